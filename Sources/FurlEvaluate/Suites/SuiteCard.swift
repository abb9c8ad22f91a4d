package import FurlBase
import FurlSpec

/// A suite card as it is written: a problem file and the protocol by which it is put to a model.
package struct SuiteCard: DeclaredDocument {
  var name = ""
  var summary: String?
  var kind = SuiteKind.passAt1
  var file: String?
  var sha256: String?
  /// Read when the problems are known, which defaults depend on.
  var settings: DocumentReader?
  var location = DocumentLocation.none

  package init() {}

  package static let declaration = Declaration<SuiteCard>(
    "suite-card", "A problem file and the protocol by which it is put to a model; without a file, a protocol alone."
  ) {
    Field.version(of: "suite card")
    Field("suite", \.name, .suiteName, "How gates and reports call it.", absent: .refused())
    Field("description", \.summary, .text, "What it measures.")
    Field(
      "kind", \.kind, .word, "What its problems look like: programs that are executed, line completions, or one text.",
      absent: .refused(remedy: "allowed: \(SuiteKind.words)"))
    Field("file", \.file, .text, "The problem file, relative to the card; .gz too.")
    Field(
      "sha256", \.sha256,
      .text(matching: "^[0-9a-f]{64}$"),
      "Of the unpacked problem file.")
    Field("protocol", \.settings, .mapping(of: SuiteProtocol.declaration.outline), "How it is run.")
    Field.check { $0.location = $1.location }
  }

  /// The name and the digest of the problem file, which a suite must have.
  func problemFile() throws -> (name: String, digest: Digest) {
    guard let file, !file.isEmpty else {
      throw location.error(
        "file", "is missing", remedy: "a card without a file is a protocol: --suite FILE --protocol CARD")
    }
    guard let sha256 else { throw location.error("sha256", "is missing") }
    guard let digest = Digest(hex: sha256) else {
      throw location.error("sha256", "64 lower-case hexadecimal digits are expected")
    }
    return (file, digest)
  }
}
