import FurlBase
import FurlSpec

/// Options of the command that take the place of what a suite card says.
public struct ProtocolOverrides: Sendable, Hashable {
  public var prompt: SuiteProtocol.Prompt?
  public var bos: SuiteProtocol.BeginToken?
  public var maxTokens: Int?
  public var stop: [String]?
  public var context: Int?
  public var timeout: Double?
  public var memory: Int?
  public var draws: Int?
  public var temperature: Double?
  public var topP: Double?
  public var seed: Int?
  public var tests: SuiteProtocol.Tests?
  public var sanitize: SuiteProtocol.Sanitizer?
  public var score: LineScore.Method?

  public init() {}

  /// The names of the keys that are given, as reports list them.
  public var names: [String] {
    let given: [(String, Bool)] = [
      ("prompt", prompt != nil), ("bos", bos != nil), ("max_tokens", maxTokens != nil), ("stop", stop != nil),
      ("context", context != nil), ("timeout", timeout != nil), ("memory", memory != nil),
      ("draws", draws != nil), ("temperature", temperature != nil), ("top_p", topP != nil), ("seed", seed != nil),
      ("tests", tests != nil), ("sanitize", sanitize != nil), ("score", score != nil),
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
    try check("draws", overrides.draws, SuiteProtocol.drawCounts)
    try check("temperature", overrides.temperature, SuiteProtocol.temperatures)
    try check("top_p", overrides.topP, SuiteProtocol.shares)
    try check("seed", overrides.seed, 0...(.max))
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
    copy.draws = overrides.draws ?? draws
    copy.temperature = overrides.temperature ?? temperature
    copy.topP = overrides.topP ?? topP
    copy.seed = overrides.seed ?? seed
    copy.tests = overrides.tests ?? tests
    copy.sanitize = overrides.sanitize ?? sanitize
    copy.score = overrides.score ?? score
    if copy.draws > 1, copy.temperature == 0 {
      throw FurlError(
        .usage, "\(copy.draws) completions are all the same at temperature 0", remedy: "give a temperature")
    }
    return copy
  }
}
