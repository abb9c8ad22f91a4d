import FurlBase
import FurlSpec

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
    original
    added
  }

  /// Keys that every report has.
  @DeclarationBuilder<SuiteProtocol> private static var original: [Field] {
    Field(
      "prompt", \.prompt, .word, "How a program's prompt is given: stripped, evalplus or raw.",
      absent: .means("stripped; where programs are put to inputs evalplus; of lines raw")
    ).of(.passAt1, .lines)
    Field("bos", \.bos, .word, "Whether the token that begins a text is put in front: auto is as the tokenizer says.")
    Field(
      "max_tokens", \.maxTokens, .integer(in: 1...1_000_000, unit: "tokens"), "At most so many new tokens.",
      absent: .means("256; where programs are put to inputs 768; of lines 64")
    ).of(.passAt1, .lines)
    Field("stop", \.stop, .stops, "End completions at these texts.", absent: .means("those of the kind"))
      .of(.passAt1, .lines)
    Field(
      "context", \.context, .integer(in: 1...1_000_000, unit: "tokens"),
      "Cut prompts from the left to so many tokens, completion included.",
      absent: .means("as many as the model has; of a text 512")
    ).writing { .optional($0.context) }
    Field(
      "timeout", \.timeout, .seconds, "Seconds that a generated program may take.",
      absent: .means("5; where programs are put to inputs 60")
    ).of(.passAt1)
    Field(
      "memory", \.memory, .integer(in: 64...1_048_576, unit: "MiB"), "Address space of each process of a program.",
      absent: .means("1024; where programs are put to inputs 4096")
    ).of(.passAt1)
  }

  /// Keys that older reports do not have; their defaults are what was done then.
  @DeclarationBuilder<SuiteProtocol> private static var added: [Field] {
    Field(
      "eos", \.eos, .word,
      "The end-of-text token ends a completion; the same and its text stays in; or it ends nothing."
    )
    .of(.passAt1, .lines)
    Field("score", \.score, .word, "How lines are scored: plain, codexglue, codexglue-clean or poster.").of(.lines)
    Field("chunking", \.chunking, .word, "The second half of each window is scored, or every token once.").of(.text)
    Field(
      "sanitize", \.sanitize, .word,
      "Cut a program down before it is executed: none, or evalplus as its sanitizer does.",
      absent: .means("none; where programs are put to inputs evalplus")
    ).of(.passAt1)
    Field(
      "tests", \.tests, .word,
      "What decides on a program: check (a test of its own), base, or plus (base and further inputs).",
      absent: .means("check; where programs are put to inputs plus")
    ).of(.passAt1)
    Field("load_timeout", \.loadTimeout, .seconds, "How long a program's own text may run before it is given an input.")
      .of(.passAt1)
    Field("input_timeout", \.inputTimeout, .seconds, "How long the answer to an input may take at least.").of(.passAt1)
    Field(
      "input_factor", \.inputFactor, .number(in: 1...1000),
      "How many times the reference's own time the answer to an input may take."
    ).of(.passAt1)
    Field(
      "draws", \.draws, .integer(in: 1...1000), "Completions of each problem, for pass@k; needs a temperature."
    ).of(.passAt1)
    Field("temperature", \.temperature, .number(in: 0...100), "0 takes the most probable token always.").of(.passAt1)
    Field(
      "top_p", \.topP, .number(in: 1e-6...1), "Only the most probable tokens that reach this probability together."
    ).of(.passAt1)
    Field("seed", \.seed, .integer(in: 0...Int.max), "Begins the random numbers.").of(.passAt1)
  }

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
    try self.init(declared: reader, over: self)
    if complete {
      for field in SuiteProtocol.original where field.means(self) && !reader.keys.contains(field.outline.key) {
        throw reader.error(field.outline.key, "is missing")
      }
    } else if draws > 1, temperature == 0 {
      // Samples from elsewhere were drawn at a temperature that nobody told.
      throw reader.error("draws", drawsProblem, remedy: "set temperature")
    }
  }

  var drawsProblem: String { "\(draws) completions are all the same at temperature 0" }

  /// The keys that the kind uses, with the values that were in force.
  public var json: JSON { declaredJSON }
}

extension DocumentField<SuiteProtocol> {
  /// A key that means something for suites of these kinds alone.
  fileprivate func of(_ kinds: SuiteKind...) -> DocumentField {
    known("of \(kinds.map(\.rawValue).joined(separator: " and "))") { kinds.contains($0.kind) }
  }
}

extension ValueCodec<Double> {
  fileprivate static var seconds: ValueCodec { .number(in: 0.1...3600, unit: "s") }
}

extension ValueCodec<[String]> {
  fileprivate static var stops: ValueCodec {
    texts.described(
      ValueOutline(schema: ["type": "array", "maxItems": 64, "items": ["type": "string", "minLength": 1]])
    ).checked { words, reader, key in
      guard words.count <= 64, words.allSatisfy({ (1...256).contains($0.utf8.count) }) else {
        throw reader.error(key, "at most 64 texts of 1 to 256 bytes are expected")
      }
    }
  }
}
