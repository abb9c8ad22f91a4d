import Foundation
import FurlArtifact
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTokenizer

/// The sequences that a model reads while it is compressed.
struct CalibrationSample: Sendable {
  let settings: CalibrationSettings
  /// [samples][length] ids.
  let sequences: [[Int]]
  /// Others of the text, as long, to measure on; none of ``sequences`` unless the text has no others.
  let probes: [[Int]]
  /// The base name of the file or the folder.
  let name: String
  let bytes: Int
  /// Of the file; of a folder, of the digests and names of its files.
  let digest: Digest

  /// Cuts a text into sequences without overlap and draws some of them, in their order. A tokenizer's begin-of-text
  /// token goes before each sequence where its configuration puts one before a text.
  ///
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when the text is too short or a sequence longer than
  ///   the model's context; for a text that is missing or no UTF-8, with its name.
  init(_ settings: CalibrationSettings, for checkpoint: Checkpoint, tokenizer: Tokenizer) throws {
    guard settings.length <= checkpoint.spec.contextLength else {
      throw settings.location.error(
        "length", "\(settings.length) tokens are more than the model's context of \(checkpoint.spec.contextLength)")
    }
    let text = try CalibrationText(settings, checkpointFolder: checkpoint.folder)
    let ids = tokenizer.encode(text.text, bos: .never)
    let begin = tokenizer.addsBOS ? tokenizer.bosID.map { [$0] } ?? [] : []
    let step = settings.length - begin.count
    let count = ids.count / step
    guard count >= settings.samples else {
      throw settings.location.error(
        "samples", "the text has \(ids.count) tokens, which is \(count) sequences of \(settings.length)",
        remedy: count == 0 ? "give a longer text or shorter sequences" : "give a longer text, or at most \(count)")
    }
    let drawn = CalibrationSample.draw(settings.samples, of: count, seed: settings.seed)
    let rest = Set(0..<count).subtracting(drawn).sorted()
    let others = rest.isEmpty ? drawn : rest
    let some = CalibrationSample.draw(
      min(CalibrationSample.probeCount, others.count), of: others.count, seed: settings.seed)
    sequences = drawn.map { begin + ids[$0 * step..<($0 + 1) * step] }
    probes = some.map { begin + ids[others[$0] * step..<(others[$0] + 1) * step] }
    self.settings = settings
    name = text.name
    bytes = text.bytes
    digest = text.digest
  }

  private static let probeCount = 64

  /// Some of 0..<count, each at most once, in their order.
  static func draw(_ some: Int, of count: Int, seed: Int) -> [Int] {
    var generator = SplitMix64(seed: UInt64(bitPattern: Int64(seed)))
    var all = Array(0..<count)
    for index in 0..<some {
      let left = UInt64(count - index)
      // As good as even: 2^64 is far from any number of sequences.
      all.swapAt(index, index + Int(generator.next().multipliedFullWidth(by: left).high))
    }
    return all.prefix(some).sorted()
  }

  /// What an artifact says about it.
  var json: JSON {
    [
      "name": .string(name), "bytes": .integer(bytes), "sha256": .string(digest.hex),
      "samples": .integer(settings.samples), "length": .integer(settings.length), "seed": .integer(settings.seed),
    ]
  }
}

/// The text of a file, or of the sources in a folder.
private struct CalibrationText {
  let text: String
  let name: String
  let bytes: Int
  let digest: Digest

  /// The most bytes that are read.
  private static let limit = 256 << 20

  init(_ settings: CalibrationSettings, checkpointFolder: String) throws {
    if case .bundled = settings.text {
      (text, bytes, digest) = try CalibrationText.bundled()
      name = CalibrationSettings.bundledWord
      return
    }
    let path =
      switch settings.text {
      case .bundled: ""
      case .checkpoint(let name): checkpointFolder + "/" + name
      case .path(let path): path.hasPrefix("/") ? path : (settings.folder.map { $0 + "/" } ?? "") + path
      }
    name = path.split(separator: "/").last.map(String.init) ?? path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw settings.location.error(
        "text", "\(path) does not exist",
        remedy: "name a text of the kind that the model is for: a file, a folder of sources or checkpoint:FILE")
    }
    if isFolder.boolValue {
      (text, bytes, digest) = try CalibrationText.readFolder(path, settings)
    } else {
      let content = try MappedFile(path: path).readAll(limit: CalibrationText.limit)
      guard let valid = String(validating: content, as: UTF8.self) else { throw FurlError.input(path, "is not UTF-8") }
      (text, bytes, digest) = (valid, content.count, Digest(of: content))
    }
  }

  /// The text that comes with the program.
  private static func bundled() throws -> (String, Int, Digest) {
    guard let frame = Data(base64Encoded: BundledText.base64) else {
      throw FurlError(.defect, "the bundled text is damaged")
    }
    let content = try CompressedText.decode([UInt8](frame), count: BundledText.count)
    return (String(decoding: content, as: UTF8.self), content.count, Digest(of: content))
  }

  /// Files that end in these are sources; others in a folder are left out.
  private static let endings: Set<String> = [
    "c", "cc", "cpp", "cs", "cxx", "go", "h", "hpp", "hs", "java", "jl", "js", "jsx", "kt", "lua", "m", "md", "ml",
    "php",
    "pl", "py", "pyi", "r", "rb", "rs", "scala", "sh", "sql", "swift", "ts", "tsx", "txt", "zig",
  ]

  private static func readFolder(_ folder: String, _ settings: CalibrationSettings) throws -> (String, Int, Digest) {
    let names = (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []).filter { name in
      !name.split(separator: "/").contains { $0.hasPrefix(".") } && endings.contains((name as NSString).pathExtension)
    }
    var text = ""
    var bytes = 0
    var lines = ""
    for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      let path = folder + "/" + name
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else { continue }
      let content = try MappedFile(path: path).readAll(limit: limit)
      bytes += content.count
      guard bytes <= limit else {
        throw settings.location.error("text", "\(folder) has more than \(limit) bytes of sources")
      }
      guard let valid = String(validating: content, as: UTF8.self) else { throw FurlError.input(path, "is not UTF-8") }
      text += valid + "\n"
      lines += "\(Digest(of: content).hex) \(name)\n"
    }
    guard !text.isEmpty else { throw settings.location.error("text", "\(folder) has no sources") }
    return (text, bytes, Digest(of: lines.utf8))
  }
}
