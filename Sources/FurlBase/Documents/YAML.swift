/// YAML documents, read into the same tree as JSON together with the lines of their keys.
package enum YAML {
  /// Reads a file of at most 1 MiB whose top is a mapping.
  ///
  /// - Parameters:
  ///   - path: the file.
  /// - Returns: a strict reader of the mapping.
  package static func read(path: String) throws -> DocumentReader {
    let file = try MappedFile(path: path)
    try FileKind.requireText(file.bytes(0..<min(16, file.count)), file: path, wanted: "a YAML document")
    let bytes = try file.readAll(limit: 1 << 20)
    return try read(bytes, file: path)
  }

  /// Reads a YAML text whose top is a mapping.
  package static func read(_ bytes: [UInt8], file: String?) throws -> DocumentReader {
    let (value, lines) = try tree(bytes, file: file)
    return try DocumentReader(value, file: file, lines: lines)
  }

  /// The value of a YAML text, and where its parts stand.
  static func tree(_ bytes: [UInt8], file: String?) throws -> (value: JSON, lines: DocumentLines) {
    guard String(validating: bytes, as: UTF8.self) != nil else { throw FurlError.input(file, "is not UTF-8") }
    try refuseGrowth(bytes, file: file)
    let root: YAMLNode?
    do {
      root = try YAMLNode.compose(bytes, file: file)
    } catch let mistake as YAMLEvents.Mistake {
      throw FurlError.input(file, nil, "not valid YAML: line \(mistake.line): \(mistake.problem)")
    }
    guard let root else { throw FurlError.input(file, "is empty") }
    var converter = Converter(file: file)
    return (try converter.convert(root, path: ""), converter.lines)
  }

  /// Refuses a text whose aliases could stand for far more values than it has bytes.
  ///
  /// A chain of k anchors with n aliases in all multiplies by at most (n / k)^k. What merely looks like an anchor or an
  /// alias, in a quoted text or a comment, counts too.
  private static func refuseGrowth(_ bytes: [UInt8], file: String?) throws {
    let separators = Set("[{,:".utf8)
    var anchors = 0
    var aliases = 0
    var previous = UInt8(ascii: " ")
    for byte in bytes {
      // Unicode has line ends, too.
      if previous <= 0x20 || previous >= 0x80 || separators.contains(previous) {
        if byte == UInt8(ascii: "&") { anchors += 1 }
        if byte == UInt8(ascii: "*") { aliases += 1 }
      }
      previous = byte
    }
    guard anchors > 0, aliases > 0 else { return }
    let growth = (1...anchors).map { pow(max(1, Double(aliases) / Double($0)), Double($0)) }.max() ?? 1
    guard growth * Double(bytes.count) < 1e8 else {
      throw FurlError.input(
        file, "has \(aliases) aliases, which could stand for too many values", remedy: "write the values out")
    }
  }

  private struct Converter {
    let file: String?
    var lines = DocumentLines()
    // An alias repeats its node, so a small text can stand for a huge tree.
    var budget = 20_000
    // The line of every value is kept with the keys on the way to it, and keys may be long.
    var pathBytes = 16 << 20

    mutating func convert(_ node: YAMLNode, path: String) throws -> JSON {
      budget -= 1
      guard budget >= 0 else { throw FurlError.input(file, "has more than 20000 values") }
      pathBytes -= path.utf8.count
      guard pathBytes >= 0 else { throw FurlError.input(file, "has too many long keys inside each other") }
      if lines.lines[path] == nil { lines.lines[path] = node.line }
      switch node.content {
      case .scalar(let text, let isPlain): return isPlain ? try convert(plain: text, path) : .string(text)
      case .sequence(let elements):
        return .array(try elements.enumerated().map { try convert($1, path: "\(path)[\($0)]") })
      case .mapping(let pairs):
        var names: Set<String> = []
        return .object(
          try pairs.map { key, value in
            guard case .scalar(let name, _) = key.content else {
              throw FurlError.input(file, lines.place(path), "a key must be a text")
            }
            let inner = path.isEmpty ? name : "\(path).\(name)"
            lines.lines[inner] = key.line
            guard names.insert(name).inserted else {
              throw FurlError.input(file, lines.place(inner), "the key \(name.readable) appears twice")
            }
            return JSON.Member(name, try convert(value, path: inner))
          })
      }
    }

    private func convert(plain text: String, _ path: String) throws -> JSON {
      switch YAMLScalar(text) {
      case .null: return .null
      case .bool(let value): return .bool(value)
      case .integer(let value): return .integer(value)
      case .number(let value): return .number(value)
      case .text: return .string(text)
      case .notFinite: throw FurlError.input(file, lines.place(path), "\(text) is not a finite number")
      case .ambiguous:
        throw FurlError.input(
          file, lines.place(path), "\(text.readable) is another number, or none, to other readers",
          remedy: "write a decimal number without leading zeros and underscores, or quotes around a text")
      }
    }
  }
}
