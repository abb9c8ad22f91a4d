import ArgumentParser
import FurlBase
import FurlEvaluate

/// What `eval`, `bench` and `verify` change of a suite card's protocol.
struct ProtocolOptions: ParsableArguments {
  @Option(key: \.maxTokens, value: "n") var maxTokens: Int?
  @Option(key: \.stop, value: "text") var stop: [String] = []
  @Option(key: \.context, value: "n") var context: Int?
  @Option(key: \.timeout, value: "s") var timeout: Double?

  @Flag(help: "Run generated code WITHOUT a sandbox. Only on a machine that is one itself.")
  var unsandboxed = false

  func validate() throws {
    try check(maxTokens, \SuiteProtocol.maxTokens)
    try check(context, \SuiteProtocol.context)
  }

  private func check(_ value: Int?, _ path: AnyKeyPath) throws {
    let key = SuiteProtocol.key(path)
    guard let value, let least = key.value.bounds?.least.integer, value < least else { return }
    throw ValidationError("--\(key.optionName) must be \(least) or more.")
  }

  var overrides: ProtocolOverrides {
    var overrides = ProtocolOverrides()
    overrides.maxTokens = maxTokens
    overrides.stop = stop.isEmpty ? nil : stop
    overrides.context = context
    overrides.timeout = timeout
    return overrides
  }

  func evaluator(limit: Int?, label: String, slots: Int = Evaluator.EvaluationOptions.defaultSlots) -> Evaluator {
    evaluator(
      .init(limit: limit, overrides: overrides, isUnsandboxed: unsandboxed, slots: slots), label: label)
  }

  func evaluator(_ options: Evaluator.EvaluationOptions, label: String) -> Evaluator {
    let start = ContinuousClock.now
    return Evaluator(options) { done, total in
      Terminal.progress(label, done: done, total: total, since: start)
    }
  }
}

/// What `eval` alone changes of a suite card's protocol.
struct SuiteOptions: ParsableArguments {
  @Option(key: \.prompt) var prompt: SuiteProtocol.Prompt?
  @Option(key: \.tests) var tests: SuiteProtocol.Tests?
  @Option(key: \.sanitize) var sanitize: SuiteProtocol.Sanitizer?
  @Option(key: \.score) var score: LineScore.SimilarityMethod?
  @Option(key: \.draws, value: "n") var draws: Int?
  @Option(key: \.temperature) var temperature: Double?
  @Option(key: \.topP) var topP: Double?
  @Option(key: \.seed) var seed: Int?

  func apply(to overrides: inout ProtocolOverrides) {
    overrides.prompt = prompt
    overrides.tests = tests
    overrides.sanitize = sanitize
    overrides.score = score
    overrides.draws = draws
    overrides.temperature = temperature
    overrides.topP = topP
    overrides.seed = seed
  }
}

// What a key is called, what it means and what it takes is said where the protocol is declared.
extension Option {
  /// An option that takes the place of a card's key.
  fileprivate init<Key: ExpressibleByArgument>(key path: KeyPath<SuiteProtocol, Key>, value: String? = nil)
  where Value == Key? {
    let key = SuiteProtocol.key(path)
    self.init(name: key.name, help: key.help(value))
  }

  /// The same of a key that a card may leave out.
  fileprivate init<Key: ExpressibleByArgument>(key path: KeyPath<SuiteProtocol, Key?>, value: String? = nil)
  where Value == Key? {
    let key = SuiteProtocol.key(path)
    self.init(name: key.name, help: key.help(value))
  }

  /// The same of a list.
  fileprivate init<Key: ExpressibleByArgument>(
    wrappedValue: Value, key path: KeyPath<SuiteProtocol, [Key]>, value: String? = nil
  ) where Value == [Key] {
    let key = SuiteProtocol.key(path)
    self.init(wrappedValue: wrappedValue, name: key.name, help: key.help(value))
  }
}

extension KeyOutline {
  fileprivate var optionName: String { key.replacing("_", with: "-") }
  fileprivate var name: NameSpecification { .customLong(optionName) }
  fileprivate func help(_ value: String?) -> ArgumentHelp {
    ArgumentHelp("\(line.dropLast()) (default: the card's).", valueName: value)
  }
}

extension SuiteProtocol.Prompt: ExpressibleByArgument {}
extension SuiteProtocol.Tests: ExpressibleByArgument {}
extension SuiteProtocol.Sanitizer: ExpressibleByArgument {}
extension LineScore.SimilarityMethod: ExpressibleByArgument {}
