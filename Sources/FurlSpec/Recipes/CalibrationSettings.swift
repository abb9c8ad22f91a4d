package import FurlBase

/// What a model is to read while it is compressed: `calibration` of a recipe.
package struct CalibrationSettings: DeclaredDocument, Sendable {
  /// Where the text is.
  package enum Text: Sendable, Hashable {
    /// A file, or a folder of sources, relative to the recipe.
    case path(String)
    /// A file of the checkpoint's folder.
    case checkpoint(String)
    /// Code that comes with the program.
    case bundled
  }

  package private(set) var text = Text.bundled
  package private(set) var samples = 128
  /// Tokens of a sequence.
  package private(set) var length = 256
  package private(set) var seed = 0
  package private(set) var location = DocumentLocation.none

  package init() {}

  package static let declaration = Declaration<CalibrationSettings>(
    "calibration", "What a model reads while it is compressed."
  ) {
    Field(
      "text", \.text, .source,
      "A file, or a folder of sources, relative to the recipe; `checkpoint:FILE` of the checkpoint's folder; or `bundled` code."
    )
    Field("samples", \.samples, .integer(in: 1...65536, unit: "sequences"), "How much is read.")
    Field("length", \.length, .integer(in: 8...65536, unit: "tokens"), "How long a sequence is.")
    Field("seed", \.seed, .integer(in: 0...Int.max), "Begins the draws of which sequences are read.")
    Field.check { $0.location = $1.location }
  }
}

extension CalibrationSettings.Text {
  private static let prefix = "checkpoint:"
  /// How a recipe names the text that comes with the program.
  private static let bundledWord = "bundled"

  /// - Throws: ``FurlError`` of kind `input` at a key of the recipe.
  init(_ word: String, key: String, _ reader: DocumentReader) throws {
    if word == Self.bundledWord {
      self = .bundled
    } else if word.hasPrefix(Self.prefix) {
      let name = String(word.dropFirst(Self.prefix.count))
      guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/")) else {
        throw reader.error(key, "\"\(name)\" is not the name of a file in the checkpoint's folder")
      }
      self = .checkpoint(name)
    } else {
      guard !word.isEmpty else { throw reader.error(key, "is empty", remedy: "name a file or a folder") }
      self = .path(word)
    }
  }

  /// What a recipe says.
  package var word: String {
    switch self {
    case .bundled: Self.bundledWord
    case .checkpoint(let name): Self.prefix + name
    case .path(let path):
      // No folder of this machine goes into a file.
      path.hasPrefix("/") ? path.lastName : path
    }
  }
}

extension ValueCodec<CalibrationSettings.Text> {
  static var source: ValueCodec { ValueCodec<String>.text.mapped({ try .init($0, key: $2, $1) }, back: \.word) }
}
