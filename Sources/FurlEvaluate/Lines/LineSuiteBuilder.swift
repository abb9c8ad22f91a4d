import FurlBase
import FurlSpec
import FurlTensor

/// Makes a line-completion suite of a folder of Python files: of each file one line, cut at a token drawn by a seed.
package struct LineSuiteBuilder {
  /// How a suite is drawn.
  package struct LineSuiteOptions: Sendable {
    package var seed: UInt64
    /// The most problems; nil for one of each file.
    package var count: Int?
    /// Files of more bytes are passed over.
    package var longestFile: Int
    package var literals: PY150.Literals

    package init(
      seed: UInt64 = 0, count: Int? = nil, longestFile: Int = 1 << 20, literals: PY150.Literals = .init()
    ) {
      self.seed = seed
      self.count = count
      self.longestFile = longestFile
      self.literals = literals
    }
  }

  /// A suite, and what became of the folder's files.
  package struct Drawn: Sendable {
    package var problems: [LineProblem] = []
    package var files = 0
    /// Not UTF-8, no Python to CPython's tokenizer, or without a line to complete.
    package var refused = 0
    /// The same tokens as a file before.
    package var repeated = 0
    /// Longer than the limit.
    package var long = 0

    /// The problems as a file of one JSON object a line.
    package var jsonl: String {
      problems.map { problem in
        let line: JSON = ["id": problem.id.json, "input": .string(problem.input), "gt": .string(problem.gt)]
        return line.compactText + "\n"
      }.joined()
    }
  }

  private let options: LineSuiteOptions

  package init(_ options: LineSuiteOptions = LineSuiteOptions()) { self.options = options }

  /// Reads all `.py` files below a folder, in the order of the digests of their paths below it, so that a part of them is a
  /// fair draw. Links are not followed.
  ///
  /// - Parameter progress: called with how many files are done, and how many there are.
  /// - Throws: ``FurlError`` of kind `input` when the folder cannot be read or has nothing to complete.
  package func build(folder: String, progress: (Int, Int) -> Void = { _, _ in }) throws -> Drawn {
    let paths = try LineSuiteBuilder.pythonFiles(in: folder)
      .map { (path: $0, order: Digest(of: Array($0.utf8)).hex) }
      .sorted { $0.order < $1.order }.map { $0.path }
    var suite = Drawn()
    suite.files = paths.count
    var seen: Set<Digest> = []
    let form = PY150(options.literals)
    for (index, path) in paths.enumerated() {
      if let count = options.count, suite.problems.count == count { break }
      defer { progress(index + 1, paths.count) }
      let file = try MappedFile(path: "\(folder)/\(path)")
      guard file.count <= options.longestFile else {
        suite.long += 1
        continue
      }
      let bytes = try file.readAll(limit: options.longestFile)
      guard let tokens = form.tokens(of: bytes) else {
        suite.refused += 1
        continue
      }
      guard seen.insert(Digest(of: Array(tokens.joined(separator: " ").utf8))).inserted else {
        suite.repeated += 1
        continue
      }
      let digest = Digest(of: bytes)
      guard let problem = LineSuiteBuilder.problem(tokens, digest: digest, seed: options.seed) else {
        suite.refused += 1
        continue
      }
      suite.problems.append(problem)
    }
    guard !suite.problems.isEmpty else {
      throw FurlError.input(
        folder, "has no Python file with a line to complete (\(suite.files) .py files, \(suite.refused) refused)",
        remedy: "give a folder of Python sources")
    }
    return suite
  }

  /// A file's line from a token on, which is drawn by the file's content and the seed alone; nil for a file of one token.
  static func problem(_ tokens: [String], digest: Digest, seed: UInt64) -> LineProblem? {
    let places = tokens.indices.dropFirst().filter { tokens[$0] != PY150.endOfLine }
    guard !places.isEmpty else { return nil }
    let own = UInt64(digest.hex.prefix(16), radix: 16) ?? 0
    var generator = SplitMix64(seed: seed ^ own)
    let place = places[Int(generator.next().multipliedFullWidth(by: UInt64(places.count)).high)]
    let gt = tokens[place...].prefix { $0 != PY150.endOfLine }.joined(separator: " ")
    guard gt.utf8.count <= EditSimilarity.longest else { return nil }
    return LineProblem(
      id: .text("\(digest.hex.prefix(12)):\(place)"), input: "<s> " + tokens[..<place].joined(separator: " "), gt: gt)
  }

  /// The paths below a folder of its regular files whose names end in `.py`.
  /// The files that ``build(folder:progress:)`` may read; none of a folder that it refuses.
  package static func filesRead(in folder: String) -> [String] {
    ((try? pythonFiles(in: folder)) ?? []).map { folder + "/" + $0 }
  }

  private static func pythonFiles(in folder: String) throws -> [String] {
    guard FileNames.isFolder(folder) == true else {
      throw FurlError.input(folder, "is not a folder", remedy: "give a folder of Python sources")
    }
    guard let found = FileNames.entries(below: folder) else { throw FurlError.input(folder, "cannot be read") }
    return found.filter { $0.isFile && $0.path.hasSuffix(".py") }.map(\.path)
  }
}

/// The card that goes with a line suite.
package struct LineSuiteCard: Sendable {
  private let name: String

  /// - Throws: ``FurlError`` of kind `usage` when a suite cannot have the name.
  package init(name: String) throws {
    guard SuiteName.isValid(name) else {
      throw FurlError(
        .usage, "\"\(name)\" is no name of a suite", remedy: "use letters, digits, dots, dashes, underscores")
    }
    self.name = name
  }

  /// The card of a problem file that lies beside it under the suite's name.
  package func text(problems: String) -> String {
    """
    furl: 1
    suite: \(name)
    description: Line completions in PY150's normal form.
    file: \(name).jsonl
    sha256: \(Digest(of: Array(problems.utf8)).hex)
    kind: lines
    protocol:
      prompt: raw
      bos: auto
      max_tokens: 100
      stop: ["<EOL>", "</s>"]
      score: codexglue-clean

    """
  }
}
