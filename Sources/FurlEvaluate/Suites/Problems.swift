import FurlBase
import FurlSpec

/// A line to be completed (the form of CodeXGLUE's line completion).
public struct LineProblem: Sendable, Hashable {
  public var id: ProblemID
  public var input: String
  /// The rest of the line.
  public var gt: String
  /// The file or package that the line comes from, where the suite says it: lines of one resemble each other.
  public var source: String?

  public init(id: ProblemID, input: String, gt: String, source: String? = nil) {
    self.id = id
    self.input = input
    self.gt = gt
    self.source = source
  }
}

/// The problems of a suite.
public enum Problems: Sendable, Hashable {
  case programs([ProgramProblem])
  case lines([LineProblem])
  case text(String)

  /// How many there are; a text is one.
  public var count: Int {
    switch self {
    case .programs(let problems): problems.count
    case .lines(let problems): problems.count
    case .text: 1
    }
  }

  /// The names of the problems, in their order; a text has none.
  public var ids: [ProblemID] {
    switch self {
    case .programs(let problems): problems.map { .text($0.taskID) }
    case .lines(let problems): problems.map(\.id)
    case .text: []
    }
  }

  /// Whether programs are put to inputs, as HumanEval+ does, instead of to a test of their own.
  public var haveInputs: Bool {
    if case .programs(let problems) = self { problems.contains { $0.inputs != nil } } else { false }
  }

  /// The first problems; a text stays whole.
  public func prefix(_ count: Int) -> Problems {
    switch self {
    case .programs(let problems): .programs(Array(problems.prefix(count)))
    case .lines(let problems): .lines(Array(problems.prefix(count)))
    case .text: self
    }
  }
}

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
    guard name.hasSuffix(".jsonl") || name.hasSuffix(".json") else { return .text }
    var kind: SuiteKind?
    try forEachLine(bytes, file: file) { reader, _ in
      let keys = Set(reader.keys)
      // MBPP's lines have a key of PY150's files, too.
      kind = ProgramForm(keys) != nil ? .passAt1 : LineForm(keys) != nil ? .lines : nil
      return false
    }
    if let kind { return kind }
    throw FurlError.input(
      file,
      "is no problem file: its first line has neither prompt, entry_point and test (or base_input and "
        + "canonical_solution), nor text, code and test_list, nor input and gt",
      remedy: "name a text .txt, or write a suite card")
  }

  static func read(_ bytes: [UInt8], kind: SuiteKind, file: String) throws -> Problems {
    switch kind {
    case .passAt1: .programs(try programs(bytes, file: file))
    case .lines: .lines(try lines(bytes, file: file))
    case .text:
      if let text = String(validating: bytes[mark(bytes)...], as: UTF8.self), !text.isEmpty {
        .text(text)
      } else {
        throw FurlError.input(file, bytes.isEmpty ? "is empty" : "is not UTF-8")
      }
    }
  }

  private static func programs(_ bytes: [UInt8], file: String) throws -> [ProgramProblem] {
    var problems: [ProgramProblem] = []
    var names = UniqueNames()
    try forEachLine(bytes, file: file) { reader, line, range in
      // What is missing of the plainest form is what a wrong line is told.
      let form = ProgramForm(Set(reader.keys)) ?? .check
      let problem = try form.problem(reader, line: { Array(bytes[range]) })
      guard isPythonName(problem.entryPoint) else {
        throw reader.error("entry_point", "\"\(problem.entryPoint)\" is not a name of Python")
      }
      guard problems.isEmpty || (problems[0].inputs == nil) == (problem.inputs == nil) else {
        throw reader.error("test", "is a problem of another form than the ones before it")
      }
      try names.insert(.text(problem.taskID), line: line, key: "task_id", reader)
      problems.append(problem)
      return true
    }
    guard !problems.isEmpty else { throw FurlError.input(file, "has no problems") }
    return problems
  }

  private static func lines(_ bytes: [UInt8], file: String) throws -> [LineProblem] {
    var problems: [LineProblem] = []
    var names = UniqueNames()
    try forEachLine(bytes, file: file) { reader, line in
      // CodeXGLUE's own files have no ids; a problem is then called by its place.
      let id = try reader.problemID("id") ?? .integer(problems.count)
      guard let form = LineForm(Set(reader.keys)) else { throw reader.error("input", "is missing") }
      guard let (input, gt) = try form.problem(reader) else { return true }
      try names.insert(id, line: line, key: "id", reader)
      problems.append(LineProblem(id: id, input: input, gt: gt, source: try reader.string("source")))
      return true
    }
    guard !problems.isEmpty else { throw FurlError.input(file, "has no problems") }
    return problems
  }

  /// ASCII is what every data set uses, and it keeps the name safe wherever it is put.
  private static func isPythonName(_ text: String) -> Bool {
    func isLetter(_ byte: UInt8) -> Bool {
      (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_")
    }
    guard let first = text.utf8.first, isLetter(first) else { return false }
    return text.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) }
  }

  /// Calls `body` with each line's mapping and number, skipping empty lines, until it returns false.
  static func forEachLine(
    _ bytes: [UInt8], file: String, _ body: (DocumentReader, Int) throws -> Bool
  ) throws {
    try forEachLine(bytes, file: file) { reader, number, _ in try body(reader, number) }
  }

  /// Bytes of a byte-order mark that a file begins with.
  private static func mark(_ bytes: [UInt8]) -> Int { bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0 }

  /// The same with the place of the line's bytes.
  private static func forEachLine(
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

extension ProblemID {
  /// The name as JSON has it.
  public var json: JSON {
    switch self {
    case .text(let text): .string(text)
    case .integer(let integer): .integer(integer)
    }
  }
}
