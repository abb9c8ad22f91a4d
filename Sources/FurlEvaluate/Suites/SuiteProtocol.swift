import FurlBase
import FurlSpec

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

  /// What becomes of the end-of-text token.
  public enum EndToken: String, Sendable, Hashable, CaseIterable {
    /// It ends the completion and is no part of it.
    case end
    /// It ends the completion, and its text stays in it, as decoding without skipping special tokens leaves it.
    case keep
    /// Generation goes on to the limit of tokens, and the texts of special tokens stay in.
    case pass
  }

  /// What is done to a program's text before it is executed.
  public enum Sanitizer: String, Sendable, Hashable, CaseIterable {
    case none
    /// Tabs of a completion become four spaces; then the program is cut down as EvalPlus's sanitizer does it.
    case evalplus
  }

  /// What decides on a program.
  public enum Tests: String, Sendable, Hashable, CaseIterable {
    /// The problem's own test.
    case check
    /// The base inputs (HumanEval as EvalPlus judges it).
    case base
    /// The base inputs and then the further ones (HumanEval+).
    case plus
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
  /// Seconds of processor time that one program may take with its test, and ten times as much of time that passes. Where inputs
  /// decide: seconds that pass for each list of inputs, as EvalPlus counts them.
  public var timeout: Double
  /// MiB of address space that each process of one program may take.
  public var memory: Int
  public var eos = EndToken.end
  public var sanitize = Sanitizer.none
  public var tests = Tests.check
  /// Seconds that a program's own text may take to run, before it is given an input.
  public var loadTimeout = 5.0
  /// Seconds that the answer to one input may take at least.
  public var inputTimeout = 4.0
  /// How many times the reference's own time the answer to an input may take.
  public var inputFactor = 4.0
  /// Completions of each problem.
  public var draws = 1
  /// 0: the most probable token is taken always.
  public var temperature = 0.0
  public var topP = 1.0
  public var seed = 0
  /// How lines are scored.
  public var score = LineScore.Method.plain

  /// What a bare problem file of a kind is run with.
  public init(defaultsOf kind: SuiteKind) {
    self.kind = kind
    prompt = .raw
    bos = .auto
    maxTokens = 64
    stop = []
    timeout = 5
    memory = 1024
    kind.type.setDefaults(&self)
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
  static func keys(of kind: SuiteKind) -> [String] { kind.type.keys + kind.type.laterKeys }

  /// Reads the keys of a `protocol:` mapping over defaults.
  ///
  /// - Parameters:
  ///   - complete: whether every key of the kind must be there, as in a report.
  ///   - defaults: nil for those of the kind.
  public init(
    _ reader: DocumentReader?, kind: SuiteKind, complete: Bool = false, defaults: SuiteProtocol? = nil
  ) throws {
    self = defaults ?? SuiteProtocol(defaultsOf: kind)
    guard let reader else { return }
    let known = SuiteProtocol.keys(of: kind)
    let all = SuiteKind.allCases.flatMap(SuiteProtocol.keys)
    if let key = reader.keys.first(where: { all.contains($0) && !known.contains($0) }) {
      throw reader.error(key, "means nothing for a suite of kind \(kind.rawValue)", remedy: "remove it")
    }
    let later = kind.type.laterKeys
    if complete, let missing = known.first(where: { !later.contains($0) && !reader.keys.contains($0) }) {
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
    try readLater(reader, known, isReport: complete)
    try reader.finish()
  }

  private mutating func readLater(_ reader: DocumentReader, _ known: [String], isReport: Bool) throws {
    if known.contains("eos") { eos = try reader.word("eos", ["end": .end, "keep": .keep, "pass": .pass]) ?? eos }
    if known.contains("score") {
      score =
        try reader.word(
          "score", ["plain": .plain, "codexglue": .codexglue, "codexglue-clean": .codexglueClean, "poster": .poster])
        ?? score
    }
    guard known.contains("draws") else { return }
    sanitize = try reader.word("sanitize", ["none": .none, "evalplus": .evalplus]) ?? sanitize
    tests = try reader.word("tests", ["check": .check, "base": .base, "plus": .plus]) ?? tests
    loadTimeout = try reader.number("load_timeout", in: SuiteProtocol.seconds) ?? loadTimeout
    inputTimeout = try reader.number("input_timeout", in: SuiteProtocol.seconds) ?? inputTimeout
    inputFactor = try reader.number("input_factor", in: 1...1000) ?? inputFactor
    draws = try reader.integer("draws", in: SuiteProtocol.drawCounts) ?? draws
    temperature = try reader.number("temperature", in: SuiteProtocol.temperatures) ?? temperature
    topP = try reader.number("top_p", in: SuiteProtocol.shares) ?? topP
    seed = try reader.integer("seed", in: 0...(.max)) ?? seed
    // Samples from elsewhere were drawn at a temperature that nobody told.
    if draws > 1, temperature == 0, !isReport {
      throw reader.error("draws", "\(draws) completions are all the same at temperature 0", remedy: "set temperature")
    }
  }

  static let drawCounts = 1...1000
  static let temperatures = 0.0...100.0
  static let shares = 1e-6...1.0
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
          case "eos": .string(eos.rawValue)
          case "score": .string(score.rawValue)
          case "sanitize": .string(sanitize.rawValue)
          case "tests": .string(tests.rawValue)
          case "load_timeout": .number(loadTimeout)
          case "input_timeout": .number(inputTimeout)
          case "input_factor": .number(inputFactor)
          case "draws": .integer(draws)
          case "temperature": .number(temperature)
          case "top_p": .number(topP)
          case "seed": .integer(seed)
          default: .integer(memory)
          }
        return JSON.Member(key, value)
      })
  }
}
