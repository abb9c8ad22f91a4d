import FurlBase
import FurlSpec

/// Reads problem files.
enum ProblemFile {
  static let fileLimit = 256 << 20
  static let lineLimit = 16 << 20
  static let problemLimit = 1_000_000

  /// The content of a problem file, unpacked if it is compressed.
  static func content(path: String) throws -> [UInt8] {
    let bytes = try MappedFile(path: path).readAll(limit: fileLimit)
    return Gzip.isCompressed(bytes) ? try Gzip.decompress(bytes, file: path, limit: fileLimit) : bytes
  }

  /// The kind that the keys of a problem file's first line tell.
  static func kind(of bytes: [UInt8], file: String) throws -> SuiteKind {
    let name = file.hasSuffix(".gz") ? String(file.dropLast(3)) : file
    var keys: Set<String>?
    if name.hasSuffix(".jsonl") || name.hasSuffix(".json") {
      keys = []
      try forEachLine(bytes, file: file) { reader, _ in
        keys = Set(reader.keys)
        return false
      }
    }
    if let type = SuiteKind.types.first(where: { $0.takes(keys) }) { return type.kind }
    throw FurlError.input(
      file,
      "is no problem file: its first line has neither "
        + SuiteKind.types.compactMap { $0.form }.joined(separator: ", nor "),
      remedy: "name a text .txt, or write a suite card")
  }

  /// Calls `body` with each line's mapping and number, skipping empty lines, until it returns false.
  static func forEachLine(
    _ bytes: [UInt8], file: String, _ body: (DocumentReader, Int) throws -> Bool
  ) throws {
    try forEachLine(bytes, file: file) { reader, number, _ in try body(reader, number) }
  }

  /// Bytes of a byte-order mark that a file begins with.
  static func mark(_ bytes: [UInt8]) -> Int { bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0 }

  /// The same with the place of the line's bytes.
  static func forEachLine(
    _ bytes: [UInt8], file: String, _ body: (DocumentReader, Int, Range<Int>) throws -> Bool
  ) throws {
    var start = mark(bytes)
    var number = 0
    var found = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
      let line = bytes[start..<end]
      start = end + 1
      number += 1
      if line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
      found += 1
      guard line.count <= lineLimit else {
        throw FurlError.input(file, "line \(number)", "is longer than \(lineLimit) bytes")
      }
      guard found <= problemLimit else { throw FurlError.input(file, "has more than \(problemLimit) lines") }
      do {
        let reader = try DocumentReader(JSON.parse(Array(line), file: file, dialect: .python), file: file)
        if try !body(reader, number, line.startIndex..<line.endIndex) { return }
      } catch var error as FurlError {
        // A line is parsed by itself, so the parser knows it as line 1.
        let inner = error.place.flatMap { $0.hasPrefix("line ") ? nil : $0 }
        error.place = ["line \(number)", inner].compactMap { $0 }.joined(separator: ": ")
        throw error
      }
    }
  }
}

/// Remembers where each problem's name was seen.
struct UniqueNames {
  private var lines: [ProblemID: Int] = [:]

  mutating func insert(_ id: ProblemID, line: Int, key: String, _ reader: DocumentReader) throws {
    if let first = lines.updateValue(line, forKey: id) {
      throw reader.error(key, "\"\(id)\" appears twice, first in line \(first)")
    }
  }
}

extension DocumentReader {
  /// A problem's name under a key: a text or an integer.
  func problemID(_ key: String) throws -> ProblemID? {
    switch optional(key) {
    case nil: return nil
    case .integer(let integer): return .integer(integer)
    case .string(let text):
      guard (1...200).contains(text.utf8.count) else { throw error(key, "a name of 1 to 200 bytes is expected") }
      return .text(text)
    case .some(let value): throw error(key, "a text or an integer is expected, not \(value.kindName)")
    }
  }
}

extension DocumentReader {
  /// The text of a key that must be there and not be empty.
  func filled(_ key: String, limit: Int = .max) throws -> String {
    guard let text = try string(key) else { throw error(key, "is missing") }
    guard !text.isEmpty else { throw error(key, "is empty") }
    guard text.utf8.count <= limit else { throw error(key, "is longer than \(limit) bytes") }
    guard !text.unicodeScalars.contains(JSON.loneSurrogate) else {
      throw error(
        key, "holds half of a surrogate pair, which no program can be made of", remedy: "write U+FFFD instead")
    }
    return text
  }
}
