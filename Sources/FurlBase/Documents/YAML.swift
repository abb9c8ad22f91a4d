import Foundation
import Yams

/// YAML documents, read into the same tree as JSON together with the lines of their keys.
public enum YAML {
  /// Reads a file of at most 1 MiB whose top is a mapping.
  ///
  /// - Parameters:
  ///   - path: the file.
  /// - Returns: a strict reader of the mapping.
  public static func read(path: String) throws -> DocumentReader {
    let bytes = try MappedFile(path: path).readAll(limit: 1 << 20)
    return try read(bytes, file: path)
  }

  /// Reads a YAML text whose top is a mapping.
  public static func read(_ bytes: [UInt8], file: String?) throws -> DocumentReader {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw FurlError.input(file, "is not UTF-8") }
    try refuseGrowth(bytes, file: file)
    let root: Node?
    do {
      root = try compose(yaml: text)
    } catch {
      throw FurlError.input(file, nil, "not valid YAML: \(firstLine(of: error))")
    }
    guard let root else { throw FurlError.input(file, "is empty") }
    var converter = Converter(file: file)
    let value = try converter.convert(root, path: "")
    return try DocumentReader(value, file: file, lines: converter.lines)
  }

  /// Refuses a text whose aliases could stand for far more values than it has bytes.
  ///
  /// A chain of k anchors with n aliases in all multiplies by at most (n / k)^k. The bound is taken before the text
  /// is parsed, because the library compares keys, and so walks whatever an alias in a key stands for. What merely
  /// looks like an anchor or an alias, in a quoted text or a comment, counts too.
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

  private static func firstLine(of error: any Error) -> String {
    guard let error = error as? YamlError else { return "\(error)" }
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return "line \(mark.line): \(problem)"
    case .duplicatedKeysInMapping(let duplicates, _):
      return "the key \(duplicates.map { "\($0)" }.sorted().joined(separator: ", ")) appears twice"
    default: return "\(error)".split(separator: "\n").first.map(String.init) ?? "unreadable"
    }
  }

  private struct Converter {
    let file: String?
    var lines = DocumentLines()
    // An alias repeats its node, so a small text can stand for a huge tree.
    var budget = 20_000

    mutating func convert(_ node: Node, path: String) throws -> JSON {
      budget -= 1
      guard budget >= 0 else { throw FurlError.input(file, "has more than 20000 values") }
      if let mark = node.mark, lines.lines[path] == nil { lines.lines[path] = mark.line }
      switch node {
      case .scalar(let scalar): return try convert(scalar, node, path)
      case .sequence(let sequence):
        return .array(try sequence.enumerated().map { try convert($1, path: "\(path)[\($0)]") })
      case .mapping(let mapping):
        var names: Set<String> = []
        return .object(
          try mapping.map { key, value in
            guard let name = key.string else { throw FurlError.input(file, lines.place(path), "a key must be a text") }
            // A number and the same number in quotes are two keys to the library, and one here.
            guard names.insert(name).inserted else {
              throw FurlError.input(file, lines.place(path), "the key \(name) appears twice")
            }
            let inner = path.isEmpty ? name : "\(path).\(name)"
            if let mark = key.mark { lines.lines[inner] = mark.line }
            return JSON.Member(name, try convert(value, path: inner))
          })
      case .alias: throw FurlError.input(file, lines.place(path), "aliases are not supported here")
      }
    }

    private func convert(_ scalar: Node.Scalar, _ node: Node, _ path: String) throws -> JSON {
      if scalar.style != .plain { return .string(scalar.string) }
      if node.null != nil { return .null }
      if let value = node.bool { return .bool(value) }
      // YAML 1.1 counts in sixties (1:30 is 90), which nobody means and which overflows.
      if scalar.string.contains(":") { return .string(scalar.string) }
      if isAmbiguous(scalar.string, node) {
        throw FurlError.input(
          file, lines.place(path), "\(scalar.string.readable) is another number, or none, to other readers",
          remedy: "write a decimal number without leading zeros and underscores, or quotes around a text")
      }
      if let value = node.int { return .integer(value) }
      if let value = node.float {
        guard value.isFinite else {
          throw FurlError.input(file, lines.place(path), "\(scalar.string) is not a finite number")
        }
        return .number(value)
      }
      return .string(scalar.string)
    }

    /// Whether YAML's versions, or its readers, differ in what number it is: `010` is 8 or 10, `0o10` 8 or a text, `1_000`
    /// a number or a text.
    private func isAmbiguous(_ text: String, _ node: Node) -> Bool {
      if text.wholeMatch(of: /[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?/) != nil { return false }
      if text.wholeMatch(of: /[-+]?(0[0-9_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|0[bB][01_]+)/) != nil { return true }
      guard text.contains(where: \.isNumber) else { return false }
      return node.int != nil || node.float != nil
    }
  }
}
