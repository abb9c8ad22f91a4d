import FurlBase

/// What a model is to read while it is compressed: `calibration` of a recipe.
public struct CalibrationSettings: Sendable {
  /// Where the text is.
  public enum Text: Sendable, Hashable {
    /// A file, or a folder of sources, relative to the recipe.
    case path(String)
    /// A file of the checkpoint's folder.
    case checkpoint(String)
    /// Code that comes with the program.
    case bundled
  }

  public let text: Text
  /// Sequences.
  public let samples: Int
  /// Tokens of a sequence.
  public let length: Int
  public let seed: Int
  package let location: DocumentLocation
  /// The folder that paths are relative to; nil: the working directory.
  package let folder: String?

  init(_ reader: DocumentReader) throws {
    text = try reader.string("text").map { try Text($0, key: "text", reader) } ?? .bundled
    samples = try reader.integer("samples", in: 1...65536) ?? 128
    length = try reader.integer("length", in: 8...65536) ?? 256
    seed = try reader.integer("seed", in: 0...Int.max) ?? 0
    try reader.finish()
    location = reader.location
    folder = reader.file.flatMap { file in
      file.lastIndex(of: "/").map { String(file[..<$0]) }
    }
  }

  /// The settings with every default spelled out.
  var json: JSON {
    return [
      "text": .string(text.word), "samples": .integer(samples), "length": .integer(length), "seed": .integer(seed),
    ]
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
