import FurlSpec
import FurlTensor

/// How a suite is run: everything that can move its score besides the model.
///
/// Two scores can be compared only when their protocols are equal, so the whole of it stands in every report.
public struct SuiteProtocol: Sendable, Hashable {
  /// How a program's prompt is given to the model.
  public enum Prompt: String, Sendable, Hashable, CaseIterable {
    /// Without trailing white space.
    case stripped
    /// Without white space at either end, then a newline (as EvalPlus does it).
    case evalplus
    /// As it stands.
    case raw
  }

  /// Whether the token that begins a text is put in front.
  public enum BeginToken: String, Sendable, Hashable, CaseIterable {
    /// As the tokenizer's configuration says, unless the text begins with it.
    case auto
    case always
    case never
  }

  /// How a text is cut into windows, and which of its tokens are scored.
  public enum Chunking: String, Sendable, Hashable, CaseIterable {
    /// The second half of each window, as `llama-perplexity`.
    case llamaCpp = "llama.cpp"
    /// Every token once, as lm-evaluation-harness.
    case rolling
  }

  public var kind: SuiteKind
  public var chunking = Chunking.llamaCpp
  public var prompt: Prompt
  public var bos: BeginToken
  /// How many tokens are generated at most.
  public var maxTokens: Int
  /// A completion ends before the first of these; compared as text, in the order of the bytes.
  public var stop: [String]
  /// Tokens of context, cut from the left; nil means as many as the model has.
  public var context: Int?
  /// Seconds that one program may take, from the moment its processes run.
  public var timeout: Double
  /// MiB of address space that each process of one program may take.
  public var memory: Int

  /// What a bare problem file of a kind is run with.
  public init(defaultsOf kind: SuiteKind) {
    self.kind = kind
    prompt = kind == .passAt1 ? .stripped : .raw
    bos = .auto
    maxTokens = kind == .passAt1 ? 256 : 64
    stop =
      switch kind {
      case .passAt1: ["\nclass", "\ndef", "\n#", "\nif", "\nprint"]
      case .lines: ["<EOL>", "</s>"]
      case .text: []
      }
    context = kind == .text ? 512 : nil
    timeout = 5
    memory = 1024
  }

  /// The text that the model is given for a program's prompt, and that its program begins with.
  public func prompt(_ text: String) -> String {
    switch prompt {
    case .raw: text
    case .stripped: PythonSpace.trimmingEnd(text)
    case .evalplus: PythonSpace.trimming(text) + "\n"
    }
  }

  /// A text up to the first of the stop strings that it holds.
  public func cut(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var end = bytes.count
    for word in stop.map({ Array($0.utf8) }) where !word.isEmpty {
      let last = end - word.count
      if last < 0 { continue }
      if let found = (0...last).first(where: { bytes[$0...].starts(with: word) }) { end = found }
    }
    return String(decoding: bytes[..<end], as: UTF8.self)
  }
}

extension SuiteProtocol {
  /// The keys that mean something for a kind, in the order in which they are written.
  static func keys(of kind: SuiteKind) -> [String] {
    switch kind {
    case .passAt1: ["prompt", "bos", "max_tokens", "stop", "context", "timeout", "memory"]
    case .lines: ["prompt", "bos", "max_tokens", "stop", "context"]
    case .text: ["bos", "context", "chunking"]
    }
  }

  /// Reads the keys of a `protocol:` mapping over the defaults of a kind.
  ///
  /// - Parameter complete: whether every key of the kind must be there, as in a report.
  public init(_ reader: DocumentReader?, kind: SuiteKind, complete: Bool = false) throws {
    self.init(defaultsOf: kind)
    guard let reader else { return }
    let known = SuiteProtocol.keys(of: kind)
    let all = SuiteProtocol.keys(of: .passAt1) + SuiteProtocol.keys(of: .text)
    if let key = reader.keys.first(where: { all.contains($0) && !known.contains($0) }) {
      throw reader.error(key, "means nothing for a suite of kind \(kind.rawValue)", remedy: "remove it")
    }
    // Texts were cut as llama.cpp does it before the key was there.
    if complete, let missing = known.first(where: { $0 != "chunking" && !reader.keys.contains($0) }) {
      throw reader.error(missing, "is missing")
    }
    if known.contains("prompt") {
      prompt = try reader.word("prompt", ["stripped": .stripped, "evalplus": .evalplus, "raw": .raw]) ?? prompt
    }
    bos = try reader.word("bos", ["auto": .auto, "always": .always, "never": .never]) ?? bos
    if known.contains("max_tokens") {
      maxTokens = try reader.integer("max_tokens", in: SuiteProtocol.tokens) ?? maxTokens
    }
    if known.contains("stop"), let words = try reader.strings("stop") {
      guard SuiteProtocol.isStop(words) else { throw reader.error("stop", SuiteProtocol.stopProblem) }
      stop = words
    }
    context = try reader.integer("context", in: SuiteProtocol.tokens) ?? context
    if known.contains("chunking") {
      chunking = try reader.word("chunking", ["llama.cpp": .llamaCpp, "rolling": .rolling]) ?? chunking
    }
    if known.contains("timeout") { timeout = try reader.number("timeout", in: SuiteProtocol.seconds) ?? timeout }
    if known.contains("memory") { memory = try reader.integer("memory", in: SuiteProtocol.mebibytes) ?? memory }
    try reader.finish()
  }

  static let tokens = 1...1_000_000
  static let seconds = 0.1...3600.0
  static let mebibytes = 64...1_048_576
  static let stopProblem = "at most 64 texts of 1 to 256 bytes are expected"

  static func isStop(_ words: [String]) -> Bool {
    words.count <= 64 && words.allSatisfy { (1...256).contains($0.utf8.count) }
  }

  /// The keys that the kind uses, with the values that were in force.
  public var json: JSON {
    .object(
      SuiteProtocol.keys(of: kind).map { key in
        let value: JSON =
          switch key {
          case "prompt": .string(prompt.rawValue)
          case "bos": .string(bos.rawValue)
          case "max_tokens": .integer(maxTokens)
          case "stop": .array(stop.map(JSON.string))
          case "context": .optional(context)
          case "chunking": .string(chunking.rawValue)
          case "timeout": .number(timeout)
          default: .integer(memory)
          }
        return JSON.Member(key, value)
      })
  }
}

/// Options of the command that take the place of what a suite card says.
public struct ProtocolOverrides: Sendable, Hashable {
  public var prompt: SuiteProtocol.Prompt?
  public var bos: SuiteProtocol.BeginToken?
  public var maxTokens: Int?
  public var stop: [String]?
  public var context: Int?
  public var timeout: Double?
  public var memory: Int?

  public init() {}

  /// The names of the keys that are given, as reports list them.
  public var names: [String] {
    let given: [(String, Bool)] = [
      ("prompt", prompt != nil), ("bos", bos != nil), ("max_tokens", maxTokens != nil), ("stop", stop != nil),
      ("context", context != nil), ("timeout", timeout != nil), ("memory", memory != nil),
    ]
    return given.filter(\.1).map(\.0)
  }
}

extension SuiteProtocol {
  /// A copy with the options in force.
  ///
  /// - Throws: ``FurlError`` of kind `usage` for a value out of range, or one that the kind has no use for.
  public func applying(_ overrides: ProtocolOverrides) throws -> SuiteProtocol {
    let known = SuiteProtocol.keys(of: kind)
    for name in overrides.names where !known.contains(name) {
      throw FurlError(.usage, "the option for \(name) means nothing for a suite of kind \(kind.rawValue)")
    }
    func check<Value: Comparable>(_ name: String, _ value: Value?, _ range: ClosedRange<Value>) throws {
      guard let value, !range.contains(value) else { return }
      throw FurlError(
        .usage, "\(name) is \(value)", remedy: "allowed: \(range.lowerBound) to \(range.upperBound)")
    }
    try check("max_tokens", overrides.maxTokens, SuiteProtocol.tokens)
    try check("context", overrides.context, SuiteProtocol.tokens)
    try check("timeout", overrides.timeout, SuiteProtocol.seconds)
    try check("memory", overrides.memory, SuiteProtocol.mebibytes)
    if let stop = overrides.stop, !SuiteProtocol.isStop(stop) {
      throw FurlError(.usage, "stop: \(SuiteProtocol.stopProblem)")
    }
    var copy = self
    copy.prompt = overrides.prompt ?? prompt
    copy.bos = overrides.bos ?? bos
    copy.maxTokens = overrides.maxTokens ?? maxTokens
    copy.stop = overrides.stop ?? stop
    copy.context = overrides.context ?? context
    copy.timeout = overrides.timeout ?? timeout
    copy.memory = overrides.memory ?? memory
    return copy
  }
}
