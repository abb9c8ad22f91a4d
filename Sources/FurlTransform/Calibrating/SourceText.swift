import FurlArtifact
import FurlBase
import FurlSpec

/// The text of a file, or of the sources in a folder.
struct SourceText: Sendable {
  let text: String
  let name: String
  let bytes: Int
  let digest: Digest

  /// The most bytes that are read.
  private static let limit = 256 << 20

  /// - Parameters:
  ///   - folder: that paths are relative to; nil: the working directory.
  ///   - key: what errors at `location` call the text.
  /// - Throws: ``FurlError`` of kind `input` for a text that is missing, too long or no UTF-8.
  init(
    _ text: CalibrationSettings.Text, folder: String?, checkpointFolder: String, location: DocumentLocation,
    key: String = "text"
  ) throws {
    if case .bundled = text {
      (self.text, bytes, digest) = try SourceText.bundled()
      name = text.word
      return
    }
    let path = SourceText.path(of: text, folder: folder, checkpointFolder: checkpointFolder)
    name = path.lastName
    guard let isFolder = FileNames.isFolder(path) else {
      throw location.error(
        key, "\(path) does not exist",
        remedy: "name a text of the kind that the model is for: a file, a folder of sources or checkpoint:FILE")
    }
    if isFolder {
      (self.text, bytes, digest) = try SourceText.readFolder(path, location, key)
    } else {
      let content = try MappedFile(path: path).readAll(limit: SourceText.limit)
      guard let valid = String(validating: content, as: UTF8.self) else { throw FurlError.input(path, "is not UTF-8") }
      (self.text, bytes, digest) = (valid, content.count, Digest(of: content))
    }
  }

  /// Where a text lies; empty for the one that comes with the program.
  private static func path(
    of text: CalibrationSettings.Text, folder: String?, checkpointFolder: String
  ) -> String {
    switch text {
    case .bundled: ""
    case .checkpoint(let name): checkpointFolder + "/" + name
    case .path(let path): path.hasPrefix("/") ? path : (folder.map { $0 + "/" } ?? "") + path
    }
  }

  /// The files that reading a text opens: itself, or the sources in it.
  static func files(of text: CalibrationSettings.Text, folder: String?, checkpointFolder: String) -> [String] {
    let path = path(of: text, folder: folder, checkpointFolder: checkpointFolder)
    guard let isFolder = FileNames.isFolder(path) else { return [] }
    return isFolder ? sources(in: path).map { path + "/" + $0 } : [path]
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

  /// The names of all sources below a folder, in no order.
  private static func sources(in folder: String) -> [String] {
    (FileNames.entries(below: folder) ?? []).map(\.path).filter { name in
      !name.split(separator: "/").contains { $0.hasPrefix(".") } && endings.contains(name.ending)
    }
  }

  private static func readFolder(
    _ folder: String, _ location: DocumentLocation, _ key: String
  ) throws -> (String, Int, Digest) {
    var text = ""
    var bytes = 0
    var lines = ""
    for name in sources(in: folder).sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      let path = folder + "/" + name
      guard FileNames.isFolder(path) == false else { continue }
      let content = try MappedFile(path: path).readAll(limit: limit)
      bytes += content.count
      guard bytes <= limit else {
        throw location.error(key, "\(folder) has more than \(limit) bytes of sources")
      }
      guard let valid = String(validating: content, as: UTF8.self) else { throw FurlError.input(path, "is not UTF-8") }
      text += valid + "\n"
      lines += "\(Digest(of: content).hex) \(name)\n"
    }
    guard !text.isEmpty else { throw location.error(key, "\(folder) has no sources") }
    return (text, bytes, Digest(of: lines.utf8))
  }
}
