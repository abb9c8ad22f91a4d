import FurlSpec
import FurlTensor

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

  /// How a recipe names the text that comes with the program.
  static let bundledWord = "bundled"

  public let text: Text
  /// Sequences.
  public let samples: Int
  /// Tokens of a sequence.
  public let length: Int
  public let seed: Int
  let location: DocumentLocation
  /// The folder that paths are relative to; nil: the working directory.
  let folder: String?

  init(_ reader: DocumentReader) throws {
    let word = try reader.string("text") ?? CalibrationSettings.bundledWord
    let prefix = "checkpoint:"
    if word == CalibrationSettings.bundledWord {
      text = .bundled
    } else if word.hasPrefix(prefix) {
      let name = String(word.dropFirst(prefix.count))
      guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/")) else {
        throw reader.error("text", "\"\(name)\" is not the name of a file in the checkpoint's folder")
      }
      text = .checkpoint(name)
    } else {
      guard !word.isEmpty else { throw reader.error("text", "is empty", remedy: "name a file or a folder") }
      text = .path(word)
    }
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
    let word: String
    switch text {
    case .checkpoint(let name): word = "checkpoint:" + name
    case .bundled: word = CalibrationSettings.bundledWord
    case .path(let path):
      // No folder of this machine goes into a file.
      word = path.hasPrefix("/") ? path.split(separator: "/").last.map(String.init) ?? path : path
    }
    return [
      "text": .string(word), "samples": .integer(samples), "length": .integer(length), "seed": .integer(seed),
    ]
  }
}
