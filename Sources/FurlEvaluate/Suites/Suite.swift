import FurlSpec
import FurlTensor

/// Problems with the protocol by which they are put to a model.
public struct Suite: Sendable, Hashable {
  /// How gates call it.
  public var name: String
  /// The problem file.
  public var file: String
  /// The problem file's digest.
  public var sha256: Digest
  public var kind: SuiteKind
  public var `protocol`: SuiteProtocol
  public var problems: Problems

  /// How many problems the whole suite has; a text is one.
  public var count: Int { problems.count }

  public init(
    name: String, file: String, sha256: Digest, protocol: SuiteProtocol, problems: Problems
  ) {
    self.name = name
    self.file = file
    self.sha256 = sha256
    kind = `protocol`.kind
    self.protocol = `protocol`
    self.problems = problems
  }

  /// Reads a suite card (`.yaml`, `.yml`), or a bare problem file with its kind's default protocol.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names file, line and key.
  public init(path: String) throws {
    if path.hasSuffix(".gz") {
      throw FurlError.input(
        path, "compressed problem files are not read", remedy: "unpack it first: gzip -dk \(Suite.baseName(path))")
    }
    if path.hasSuffix(".yaml") || path.hasSuffix(".yml") {
      try self.init(card: path)
    } else {
      let bytes = try MappedFile(path: path).readAll(limit: ProblemFile.fileLimit)
      let kind = try ProblemFile.kind(of: bytes, file: path)
      self.init(
        name: Suite.stem(path), file: path, sha256: Digest(of: bytes), protocol: SuiteProtocol(defaultsOf: kind),
        problems: try ProblemFile.read(bytes, kind: kind, file: path))
    }
  }

  private init(card path: String) throws {
    let card = try YAML.read(path: path)
    try card.requireForm("suite card")
    let name = try card.suiteName("suite")
    _ = try card.string("description")
    guard let base = try card.string("file"), !base.isEmpty else { throw card.error("file", "is missing") }
    guard let hex = try card.string("sha256") else { throw card.error("sha256", "is missing") }
    guard let expected = Digest(hex: hex) else {
      throw card.error("sha256", "64 lower-case hexadecimal digits are expected")
    }
    guard let kind = try card.word("kind", ["pass_at_1": SuiteKind.passAt1, "lines": .lines, "text": .text]) else {
      throw card.error("kind", "is missing", remedy: "allowed: pass_at_1, lines, text")
    }
    let settings = try SuiteProtocol(card.reader("protocol"), kind: kind)
    try card.finish()
    guard !base.hasSuffix(".gz") else {
      throw card.error("file", "compressed problem files are not read", remedy: "unpack it first: gzip -dk \(base)")
    }
    let file = base.hasPrefix("/") ? base : Suite.folder(path) + base
    let bytes = try MappedFile(path: file).readAll(limit: ProblemFile.fileLimit)
    let actual = Digest(of: bytes)
    guard actual == expected else {
      throw card.error(
        "sha256", "\(base) has the sha256 \(actual)", remedy: "restore \(base), or write its new sha256 into the card")
    }
    self.init(
      name: name, file: file, sha256: actual, protocol: settings,
      problems: try ProblemFile.read(bytes, kind: kind, file: file))
  }

  /// The suite card of a name in a folder (`NAME.yaml`), or nil when there is none.
  public static func card(named name: String, in folder: String) -> String? {
    guard isName(name) else { return nil }
    let path = "\(folder)/\(name).yaml"
    return (try? MappedFile(path: path)) == nil ? nil : path
  }

  /// Letters, digits, dots, dashes and underscores, at most 64, not beginning with a dot: a name is also a
  /// part of file names.
  static func isName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count) && !text.hasPrefix(".")
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains(byte)
        }
      }
  }

  private static func folder(_ path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  }

  static func baseName(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  private static func stem(_ path: String) -> String {
    let base = baseName(path)
    guard let dot = base.lastIndex(of: "."), dot > base.startIndex else { return base }
    return String(base[..<dot])
  }
}

extension DocumentReader {
  /// Checks the key `furl`, which says in which version of its form a document is written.
  func requireForm(_ what: String) throws {
    guard let version = try integer("furl", in: 0...(.max)) else {
      throw error("furl", "is missing", remedy: "a \(what) begins with furl: 1")
    }
    guard version == 1 else {
      throw error("furl", "version \(version) of the form is not known here", remedy: "this Furl reads furl: 1")
    }
  }

  /// The name of a suite under a key that must be there.
  func suiteName(_ key: String) throws -> String {
    guard let name = try string(key) else { throw error(key, "is missing") }
    guard Suite.isName(name) else {
      throw error(key, "\"\(name)\" is no name of a suite", remedy: "use letters, digits, dots, dashes, underscores")
    }
    return name
  }
}
