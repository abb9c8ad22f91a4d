package import FurlBase
package import FurlSpec

/// Problems with the protocol by which they are put to a model.
package struct Suite: Sendable, Hashable {
  /// How gates call it.
  package var name: String
  /// The problem file.
  package var file: String
  /// The problem file's digest; of a compressed one, its content's.
  package var sha256: Digest
  package var kind: SuiteKind
  package var `protocol`: SuiteProtocol
  package var problems: Problems

  /// How many problems the whole suite has; a text is one.
  package var count: Int { problems.count }

  package init(
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
  package init(path: String) throws {
    if path.hasSuffix(".yaml") || path.hasSuffix(".yml") {
      try self.init(card: path)
    } else {
      try self.init(problems: path)
    }
  }

  /// Reads a bare problem file, gzip'd or not, with its kind's default protocol.
  private init(problems path: String) throws {
    let bytes = try ProblemFile.content(path: path)
    try FileKind.requireText(
      bytes.prefix(16), file: path, wanted: "a suite card or a problem file", remedy: "suites/ has published cards")
    let kind = try ProblemFile.kind(of: bytes, file: path)
    let problems = try Problems(bytes, kind: kind, file: path)
    self.init(
      name: Suite.stem(path), file: path, sha256: Digest(of: bytes),
      protocol: problems.content.defaults, problems: problems)
  }

  /// Reads a problem file with the protocol of a card, whatever file the card names.
  ///
  /// - Throws: ``FurlError`` of kind `usage` when they are of different kinds.
  package init(problems path: String, protocolOf card: String) throws {
    try self.init(problems: path)
    let document = try SuiteCard(declared: YAML.read(path: card))
    guard document.kind == kind else {
      throw FurlError(
        .usage, file: card,
        "is for suites of kind \(document.kind.rawValue); \(path.lastName) is of \(kind.rawValue)")
    }
    self.protocol = try Suite.protocolOf(document, problems)
    name = document.name
  }

  private static func protocolOf(_ card: SuiteCard, _ problems: Problems) throws -> SuiteProtocol {
    let settings = try SuiteProtocol(card.settings, kind: card.kind, defaults: problems.content.defaults)
    do {
      try problems.content.check(settings)
    } catch let error {
      throw card.location.error("protocol", error.problem, remedy: error.remedy)
    }
    return settings
  }

  private init(card path: String) throws {
    let card = try SuiteCard(declared: YAML.read(path: path))
    let (base, expected) = try card.problemFile()
    let file = base.hasPrefix("/") ? base : Suite.folder(path) + base
    let bytes = try ProblemFile.content(path: file)
    let actual = Digest(of: bytes)
    guard actual == expected else {
      throw card.location.error(
        "sha256", "\(base) has the sha256 \(actual)", remedy: "restore \(base), or write its new sha256 into the card")
    }
    let problems = try Problems(bytes, kind: card.kind, file: file)
    self.init(
      name: card.name, file: file, sha256: actual, protocol: try Suite.protocolOf(card, problems), problems: problems)
  }

  /// The files that opening a suite reads: a card and its problem file, or a bare problem file. What cannot be read as a
  /// card names no other.
  package static func filesRead(at path: String) -> [String] {
    guard path.hasSuffix(".yaml") || path.hasSuffix(".yml"), let card = try? YAML.read(path: path),
      let base = (try? card.string("file")) ?? nil, !base.isEmpty
    else { return [path] }
    return [path, base.hasPrefix("/") ? base : folder(path) + base]
  }

  /// The suite card of a name in a folder (`NAME.yaml`), or nil when there is none.
  package static func card(named name: String, in folder: String) -> String? {
    guard SuiteName.isValid(name) else { return nil }
    let path = "\(folder)/\(name).yaml"
    return (try? MappedFile(path: path)) == nil ? nil : path
  }

  private static func folder(_ path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  }

  private static func stem(_ path: String) -> String {
    var base = path.lastName
    if base.hasSuffix(".gz") { base = String(base.dropLast(3)) }
    guard let dot = base.lastIndex(of: "."), dot > base.startIndex else { return base }
    return String(base[..<dot])
  }
}
