import Foundation
import FurlTensor

/// A model in the GGUF format: one file, or several that belong together (`model-00001-of-00003.gguf`).
public struct GGUFFile: Sendable {
  /// The first file's path.
  public let path: String
  public let version: Int
  /// What the first file says about the model.
  public let metadata: GGUFMetadata
  /// The files in their order.
  public let files: [MappedFile]
  /// The tensors of all files, each with its file.
  let tensors: [(tensor: GGUFTensor, file: MappedFile)]

  /// Whether a file begins as a GGUF file does.
  public static func isGGUF(path: String) -> Bool {
    guard let file = try? MappedFile(path: path), file.count >= 4 else { return false }
    return file.integer(at: 0, as: UInt32.self) == GGUFPart.magic
  }

  /// Opens a file, and those beside it that it is a part of; heads are checked, weights are not read.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names file, key or tensor.
  public init(path: String) throws {
    let first = try GGUFPart(path: path)
    var parts = [first]
    let count = try first.metadata.integer("split.count") ?? 1
    if count > 1 {
      for name in try GGUFFile.otherParts(of: path, first.metadata, count: count) {
        let part = try GGUFPart(path: name)
        let number = try part.metadata.integer("split.no")
        guard try part.metadata.integer("split.count") == count, number == parts.count else {
          throw FurlError.input(
            name, "split.no", "is not part \(parts.count + 1) of \(count) of the same model",
            remedy: "fetch all parts of one model anew")
        }
        parts.append(part)
      }
    }
    self.path = path
    version = first.version
    metadata = first.metadata
    files = parts.map(\.file)
    tensors = parts.flatMap { part in part.tensors.map { ($0, part.file) } }
    var names: Set<String> = []
    for (tensor, file) in tensors where !names.insert(tensor.name).inserted {
      throw FurlError.input(file.path, tensor.name, "is in another part, too")
    }
    if let expected = try metadata.integer("split.tensors.count"), count > 1, expected != tensors.count {
      throw metadata.error(
        "split.tensors.count", "says \(expected); the parts have \(tensors.count) tensors together")
    }
  }

  /// What the model is called in its file.
  public var name: String? { get throws { try metadata.string("general.name") } }

  private static let mostParts = 99_999

  /// The paths of parts 2, 3, ... by the naming that llama.cpp's `gguf-split` uses.
  private static func otherParts(of path: String, _ metadata: GGUFMetadata, count: Int) throws -> [String] {
    func digits(_ number: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    guard count <= mostParts else { throw metadata.error("split.count", "\(count) is out of range") }
    let ending = "-of-\(digits(count)).gguf"
    guard try metadata.integer("split.no") == 0, path.hasSuffix("-00001" + ending) else {
      throw FurlError.input(
        path, "is one of \(count) parts of a model, and not the first by its name",
        remedy: "name the part whose name ends in -00001\(ending), with the other parts beside it")
    }
    let stem = path.dropLast("00001".count + ending.count)
    let names = (2...count).map { String(stem) + digits($0) + ending }
    if let missing = names.first(where: { !FileManager.default.fileExists(atPath: $0) }) {
      throw FurlError.input(missing, "does not exist", remedy: "the model has \(count) parts; put them side by side")
    }
    return names
  }
}
