package import FurlBase

/// A model in the GGUF format: one file, or several that belong together (`model-00001-of-00003.gguf`).
package struct GGUFFile: Sendable {
  /// The first file's path.
  package let path: String
  package let version: Int
  /// What the first file says about the model.
  package let metadata: GGUFMetadata
  /// The files in their order.
  package let files: [MappedFile]
  /// The tensors of all files, each with its file.
  package let tensors: [(tensor: GGUFTensor, file: MappedFile)]

  /// Whether a file begins as a GGUF file does.
  package static func isGGUF(path: String) -> Bool {
    guard let file = try? MappedFile(path: path), file.count >= 4 else { return false }
    return file.integer(at: 0, as: UInt32.self) == GGUFPart.magic
  }

  /// Opens a file, and those beside it that it is a part of; heads are checked, weights are not read.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names file, key or tensor.
  package init(path: String) throws {
    let first = try GGUFPart(path: path)
    var parts = [first]
    var count = try first.metadata.integer("split.count") ?? 1
    // Parts that were joined may still say that they are some.
    if try first.metadata.integer("split.tensors.count") == first.tensors.count { count = 1 }
    if count > 1 {
      for name in try GGUFParts(first, count: count).others() {
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

  /// What the model is called in its file. It is only shown, so what is no UTF-8 in it does not matter.
  package var name: String? { get throws { try metadata.text("general.name") } }

  /// Files that are no models: adapters, and what other programs keep in this format.
  ///
  /// - Throws: ``FurlError`` of kind `input` naming the key.
  package func refuseOtherKinds() throws {
    let kind = try metadata.string("general.type")
    guard kind != "adapter", !metadata.has("adapter.type") else {
      throw metadata.error(
        metadata.has("general.type") ? "general.type" : "adapter.type",
        "says that the file is a LoRA adapter, not a model",
        remedy: "merge it into its base model first (llama-export-lora), and name the result")
    }
    guard kind == nil || kind == "model" || kind == "" else {
      throw metadata.error("general.type", "\"\(kind ?? "")\" is not a language model")
    }
  }
}

/// The parts of a model beside the one that was named: by the naming of llama.cpp's `gguf-split`, else by what the
/// files in the folder say about themselves.
private struct GGUFParts {
  private let first: GGUFPart
  private let count: Int
  private var path: String { first.file.path }

  init(_ first: GGUFPart, count: Int) throws {
    self.first = first
    self.count = count
    guard count <= GGUFParts.mostParts else {
      throw first.metadata.error("split.count", "\(count) is out of range")
    }
  }

  private static let mostParts = 99_999
  private static let mostFiles = 1_000
  /// Bytes of heads that are read to find renamed parts. Those of parts are short: only the first has a vocabulary.
  private static let mostHeadBytes = 256 << 20

  /// The paths of parts 2, 3, ...
  func others() throws -> [String] {
    func digits(_ number: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    let ending = "-of-\(digits(count)).gguf"
    let isFirst = try first.metadata.integer("split.no") == 0
    if isFirst, path.hasSuffix("-00001" + ending) {
      let stem = path.dropLast("00001".count + ending.count)
      let names = (2...count).map { String(stem) + digits($0) + ending }
      guard let missing = names.first(where: { !FileManager.default.fileExists(atPath: $0) }) else { return names }
      throw FurlError.input(missing, "does not exist", remedy: "the model has \(count) parts; put them side by side")
    }
    let found = renamed()
    guard isFirst else {
      let name = found[0].flatMap { $0.count == 1 ? $0[0] : nil }
      throw FurlError.input(
        path, "is one of \(count) parts of a model, and not the first by its name",
        remedy: name.map { "name the first one: \($0)" }
          ?? "name the part whose name ends in -00001\(ending), with the other parts beside it")
    }
    return try (1..<count).map { number in
      guard let paths = found[number], let only = paths.first else {
        throw FurlError.input(
          path, "is one of \(count) parts of a model; part \(number + 1) is not beside it",
          remedy: "put all parts side by side")
      }
      guard paths.count == 1 else {
        throw FurlError.input(
          path, "has two files beside it that may be part \(number + 1) of \(count): \(paths[0]) and \(paths[1])",
          remedy: "give the parts the names that gguf-split gives, NAME-00001\(ending) and so on")
      }
      return only
    }
  }

  /// The files of the folder that say that they are parts of a model like this one, by their number.
  private func renamed() -> [Int: [String]] {
    let folder = path.folderPath
    let total = try? first.metadata.integer("split.tensors.count")
    var found: [Int: [String]] = [:]
    var room = GGUFParts.mostHeadBytes
    for name in FolderListing(folder).names.filter({ $0.hasSuffix(".gguf") }).prefix(GGUFParts.mostFiles) {
      let other = path.contains("/") ? folder + "/" + name : name
      guard other != path, room > 0, let (metadata, bytes) = try? GGUFPart.metadata(path: other) else { continue }
      room -= bytes
      guard metadata.isPart(of: count, total), let number = try? metadata.integer("split.no"),
        (0..<count).contains(number)
      else { continue }
      found[number, default: []].append(other)
    }
    return found
  }
}

extension GGUFMetadata {
  /// Whether a file says that it is one of so many parts with so many tensors together.
  fileprivate func isPart(of count: Int, _ tensors: Int?) -> Bool {
    (try? integer("split.count")) == count && (try? integer("split.tensors.count")) == tensors
  }
}
