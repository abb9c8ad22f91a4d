package import FurlBase
package import FurlSpec

/// How a suite is run: everything that can move its score besides the model.
///
/// Two scores can be compared only when their protocols are equal, so the whole of it stands in every report.
package struct SuiteProtocol: Sendable, Hashable {
  /// How a program's prompt is given to the model.
  package enum Prompt: String, Sendable, Hashable, CaseIterable {
    /// Without trailing white space.
    case stripped
    /// Without white space at either end, then a newline (as EvalPlus does it).
    case evalplus
    /// As it stands.
    case raw
  }

  /// Whether the token that begins a text is put in front.
  package enum BeginToken: String, Sendable, Hashable, CaseIterable {
    /// As the tokenizer's configuration says, unless the text begins with it.
    case auto
    case always
    case never
  }

  /// How a text is cut into windows, and which of its tokens are scored.
  package enum Chunking: String, Sendable, Hashable, CaseIterable {
    /// The second half of each window, as `llama-perplexity`.
    case llamaCpp = "llama.cpp"
    /// Every token once, as lm-evaluation-harness.
    case rolling
  }

  /// What becomes of the end-of-text token.
  package enum EndToken: String, Sendable, Hashable, CaseIterable {
    /// It ends the completion and is no part of it.
    case end
    /// It ends the completion, and its text stays in it, as decoding without skipping special tokens leaves it.
    case keep
    /// Generation goes on to the limit of tokens, and the texts of special tokens stay in.
    case pass
  }

  /// What is done to a program's text before it is executed.
  package enum Sanitizer: String, Sendable, Hashable, CaseIterable {
    case none
    /// Tabs of a completion become four spaces; then the program is cut down as EvalPlus's sanitizer does it.
    case evalplus
  }

  /// What decides on a program.
  package enum Tests: String, Sendable, Hashable, CaseIterable {
    /// The problem's own test.
    case check
    /// The base inputs (HumanEval as EvalPlus judges it).
    case base
    /// The base inputs and then the further ones (HumanEval+).
    case plus
  }

  package var kind: SuiteKind
  package var chunking = Chunking.llamaCpp
  package var prompt: Prompt
  package var bos: BeginToken
  /// How many tokens are generated at most.
  package var maxTokens: Int
  /// A completion ends before the first of these; compared as text, in the order of the bytes.
  package var stop: [String]
  /// Tokens of context, cut from the left; nil means as many as the model has.
  package var context: Int?
  /// Seconds of processor time that one program may take with its test, and ten times as much of time that passes. Where inputs
  /// decide: seconds that pass for each list of inputs, as EvalPlus counts them.
  package var timeout: Double
  /// MiB of address space that each process of one program may take.
  package var memory: Int
  package var eos = EndToken.end
  package var sanitize = Sanitizer.none
  package var tests = Tests.check
  /// Seconds that a program's own text may take to run, before it is given an input.
  package var loadTimeout = 5.0
  /// Seconds that the answer to one input may take at least.
  package var inputTimeout = 4.0
  /// How many times the reference's own time the answer to an input may take.
  package var inputFactor = 4.0
  /// Completions of each problem.
  package var draws = 1
  /// 0: the most probable token is taken always.
  package var temperature = 0.0
  package var topP = 1.0
  package var seed = 0
  /// How lines are scored.
  package var score = LineScore.SimilarityMethod.plain

  /// What a bare problem file of a kind is run with.
  package init(defaultsOf kind: SuiteKind) {
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
  package func prompt(_ text: String) -> String {
    switch prompt {
    case .raw: text
    case .stripped: PythonSpace.trimmingEnd(text)
    case .evalplus: PythonSpace.trimming(text) + "\n"
    }
  }

  /// A text up to the first of the stop strings that it holds.
  package func cut(_ text: String) -> String {
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

extension SuiteProtocol: DeclaredDocument {
  package init() { self.init(defaultsOf: .passAt1) }

  package static let declaration: Declaration<SuiteProtocol> = Declaration(
    "protocol", "How a suite is run: everything that can move its score besides the model."
  ) {
    Field.check { settings, reader in
      let foreign = Set(declaration.fields.filter { !$0.means(settings) }.map(\.outline.key))
      guard let key = reader.keys.first(where: foreign.contains) else { return }
      throw reader.error(key, "means nothing for a suite of kind \(settings.kind.rawValue)", remedy: "remove it")
    }
    (original + added).map { $0.ofItsKinds() }
  }

  /// Keys that every report has.
  @DeclarationBuilder<SuiteProtocol> private static var original: [Field] {
    Field(
      "prompt", \.prompt, .word, "How a program's prompt is given: stripped, evalplus or raw.",
      absent: .means("stripped; where programs are put to inputs evalplus; of lines raw")
    )
    Field("bos", \.bos, .word, "Whether the token that begins a text is put in front: auto is as the tokenizer says.")
    Field(
      "max_tokens", \.maxTokens, .integer(in: 1...1_000_000, unit: "tokens"), "At most so many new tokens.",
      absent: .means("256; where programs are put to inputs 768; of lines 64")
    )
    Field("stop", \.stop, .stops, "End completions at these texts.", absent: .means("those of the kind"))
    Field(
      "context", \.context, .integer(in: 1...1_000_000, unit: "tokens"),
      "Cut prompts from the left to so many tokens, completion included.",
      absent: .means("as many as the model has; of a text 512")
    ).writing { .optional($0.context) }
    Field(
      "timeout", \.timeout, .seconds, "Seconds that a generated program may take.",
      absent: .means("5; where programs are put to inputs 60")
    )
    Field(
      "memory", \.memory, .integer(in: 64...1_048_576, unit: "MiB"), "Address space of each process of a program.",
      absent: .means("1024; where programs are put to inputs 4096")
    )
  }

  /// Keys that older reports do not have; their defaults are what was done then.
  @DeclarationBuilder<SuiteProtocol> private static var added: [Field] {
    Field(
      "eos", \.eos, .word,
      "The end-of-text token ends a completion; the same and its text stays in; or it ends nothing."
    )
    Field("score", \.score, .word, "How lines are scored: plain, codexglue, codexglue-clean or poster.")
    Field("chunking", \.chunking, .word, "The second half of each window is scored, or every token once.")
    Field(
      "sanitize", \.sanitize, .word,
      "Cut a program down before it is executed: none, or evalplus as its sanitizer does.",
      absent: .means("none; where programs are put to inputs evalplus")
    )
    Field(
      "tests", \.tests, .word,
      "What decides on a program: check (a test of its own), base, or plus (base and further inputs).",
      absent: .means("check; where programs are put to inputs plus")
    )
    Field("load_timeout", \.loadTimeout, .seconds, "How long a program's own text may run before it is given an input.")
    Field("input_timeout", \.inputTimeout, .seconds, "How long the answer to an input may take at least.")
    Field(
      "input_factor", \.inputFactor, .number(in: 1...1000),
      "How many times the reference's own time the answer to an input may take."
    )
    Field(
      "draws", \.draws, .integer(in: 1...1000), "Completions of each problem, for pass@k; needs a temperature."
    )
    Field("temperature", \.temperature, .number(in: 0...100), "0 takes the most probable token always.")
    Field(
      "top_p", \.topP, .number(in: 1e-6...1), "Only the most probable tokens that reach this probability together."
    )
    Field("seed", \.seed, .integer(in: 0...Int.max), "Begins the random numbers.")
  }

  /// Reads the keys of a `protocol:` mapping over defaults.
  ///
  /// - Parameters:
  ///   - complete: whether every key of the kind must be there, as in a report.
  ///   - defaults: nil for those of the kind.
  package init(
    _ reader: DocumentReader?, kind: SuiteKind, complete: Bool = false, defaults: SuiteProtocol? = nil
  ) throws {
    self = defaults ?? SuiteProtocol(defaultsOf: kind)
    guard let reader else { return }
    try self.init(declared: reader, over: self)
    if complete {
      if let key = kind.type.keys.first(where: { !reader.keys.contains($0) }) { throw reader.error(key, "is missing") }
    } else if draws > 1, temperature == 0 {
      // Samples from elsewhere were drawn at a temperature that nobody told.
      throw reader.error("draws", drawsProblem, remedy: "set temperature")
    }
  }

  var drawsProblem: String { "\(draws) completions are all the same at temperature 0" }

  /// The keys that the kind uses, with the values that were in force.
  package var json: JSON { declaredJSON }
}

extension DocumentField<SuiteProtocol> {
  /// The same key, which means something where the type of a suite has it.
  fileprivate func ofItsKinds() -> DocumentField {
    let key = outline.key
    let kinds = SuiteKind.allCases.filter { ($0.type.keys + $0.type.laterKeys).contains(key) }
    if kinds.count == SuiteKind.allCases.count { return self }
    return known("for suites of kind \(kinds.map(\.rawValue).joined(separator: " and "))") { kinds.contains($0.kind) }
  }
}

extension ValueCodec<Double> {
  fileprivate static var seconds: ValueCodec { .number(in: 0.1...3600, unit: "s") }
}

extension ValueCodec<[String]> {
  fileprivate static var stops: ValueCodec {
    texts.described(
      ValueOutline(schema: ["type": "array", "maxItems": 64, "items": ["type": "string", "minLength": 1]])
    ).checked({ _ in "at most 64 texts of 1 to 256 bytes are expected" }) { words in
      words.count <= 64 && words.allSatisfy { (1...256).contains($0.utf8.count) }
    }
  }
}
