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

  /// What a bare problem file is run with: as its kind's default, or as EvalPlus does where programs are put to inputs.
  public init(defaultsFor problems: Problems, kind: SuiteKind) {
    self.init(defaultsOf: kind)
    guard problems.haveInputs else { return }
    prompt = .evalplus
    maxTokens = 768
    stop = [
      "<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(", "\ndef ", "\nclass ",
      "\nimport ", "\nfrom ", "\nassert ",
    ]
    if case .programs(let programs) = problems, programs.contains(where: { $0.taskID.hasPrefix("Mbpp/") }) {
      stop = Array(stop.prefix(6)) + ["\n\"\"\"", "\nassert"]
    }
    timeout = 60
    memory = 4096
    sanitize = .evalplus
    tests = .plus
  }

  /// Refuses what the problems do not have.
  func check(_ problems: Problems) throws(FurlError) {
    guard case .programs = problems, (tests == .check) == problems.haveInputs else { return }
    let (own, other) = problems.haveInputs ? ("base or plus", "inputs") : ("check", "a test of its own")
    throw FurlError(
      .input, place: "tests", "\"\(tests.rawValue)\" does not go with this file: each problem has \(other)",
      remedy: "allowed: \(own)")
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
