import FurlBase
import FurlTensor

extension ModelSpec {
  /// Rotary positions (Su et al., "RoFormer", 2021): number i of the first half of a head's rotated part and number i
  /// of its second half are turned together by position * frequency i.
  package struct Rotary: Sendable, Hashable {
    /// How frequencies are changed to reach beyond the context that a model was trained with.
    package enum Scaling: Sendable, Hashable {
      case none
      /// All frequencies are divided by a factor (Chen et al. 2023).
      case linear(factor: Double)
      /// Low frequencies are divided by a factor, high ones stay, those between are blended (Llama 3.1).
      case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
      /// As llama3, between the frequencies that turn so often over the original context (Peng et al., "YaRN", 2023).
      case yarn(factor: Double, slowTurns: Double, fastTurns: Double, originalContext: Int, truncates: Bool)
      /// A longer context than the original one raises the base (dynamic NTK-aware scaling; bloc97 and emozilla 2023).
      case dynamic(factor: Double, originalContext: Int)
      /// Each frequency has a divisor, and another one when the context is longer than the original (Ding et al.,
      /// "LongRoPE", 2024).
      case longRoPE(short: [Double], long: [Double], originalContext: Int)
      /// All frequencies are divided by a factor, and only so many, from the first on, turn at all (Gemma 4).
      case proportional(factor: Double, turning: Int)
    }

    /// The base of the frequencies.
    package var theta: Double
    /// Numbers of each head that are turned, an even count from the first on.
    package var dimensions: Int
    package var scaling: Scaling
    /// What turned numbers are multiplied with: scores grow by its square.
    package var attentionFactor: Double

    package init(theta: Double, dimensions: Int, scaling: Scaling = .none, attentionFactor: Double = 1) {
      self.theta = theta
      self.dimensions = dimensions
      self.scaling = scaling
      self.attentionFactor = attentionFactor
    }

    /// Radians per position of a short context: [dimensions / 2].
    package var frequencies: [Double] { frequencies(context: 1) }

    /// Radians per position: [dimensions / 2].
    ///
    /// - Parameter context: positions that there may be: some scalings turn all positions otherwise where they are many.
    package func frequencies(context: Int) -> [Double] {
      var theta = theta
      if case .dynamic(let factor, let original) = scaling, context > original, dimensions > 2 {
        let stretch = factor * Double(context) / Double(original) - (factor - 1)
        theta *= Elementary.pow(stretch, Double(dimensions) / Double(dimensions - 2))
      }
      return (0..<dimensions / 2).map { index in
        scaled(Elementary.pow(theta, -2 * Double(index) / Double(dimensions)), index, context: context)
      }
    }

    private func scaled(_ frequency: Double, _ index: Int, context: Int) -> Double {
      switch scaling {
      case .none, .dynamic: return frequency
      case .linear(let factor): return frequency / factor
      case .llama3(let factor, let low, let high, let originalContext):
        let turns = Double(originalContext) * frequency / (2 * Double.pi)
        if turns < low { return frequency / factor }
        if turns > high { return frequency }
        let smooth = (turns - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency
      case .yarn(let factor, let slow, let fast, let original, let truncates):
        var (first, last) = (place(turns: fast, original), place(turns: slow, original))
        if truncates { (first, last) = (first.rounded(.down), last.rounded(.up)) }
        (first, last) = (max(first, 0), min(last, Double(dimensions - 1)))
        if first == last { last += 0.001 }
        let ramp = min(1, max(0, (Double(index) - first) / (last - first)))
        return frequency * (1 - ramp) + frequency / factor * ramp
      case .longRoPE(let short, let long, let original):
        return frequency / (context > original ? long : short)[index]
      case .proportional(let factor, let turning): return index < turning ? frequency / factor : 0
      }
    }

    /// Which frequency, as a fraction, turns so often over a context.
    private func place(turns: Double, _ context: Int) -> Double {
      Double(dimensions) * Elementary.log(Double(context) / (turns * 2 * Double.pi)) / (2 * Elementary.log(theta))
    }
  }
}

extension ModelSpec.Rotary {
  func validate(headSize: Int, _ checks: SpecChecks) throws {
    let checks = SpecChecks(file: checks.file, place: "rotary.")
    try checks.range("theta", theta, 1...1e12)
    guard dimensions > 0, dimensions % 2 == 0, dimensions <= headSize else {
      throw checks.error("dimensions", "\(dimensions) is not an even number up to the head size \(headSize)")
    }
    try checks.range("attention_factor", attentionFactor, 1e-3...1e3)
    func factor(_ factor: Double) throws { try checks.range("scaling.factor", factor, 1e-3...1e6) }
    func original(_ context: Int) throws {
      guard (1...(1 << 24)).contains(context) else {
        throw checks.error("scaling.original_context", "\(context) is out of range")
      }
    }
    switch scaling {
    case .none: break
    case .linear(let value): try factor(value)
    case .llama3(let value, let low, let high, let context):
      try factor(value)
      try checks.range("scaling.low_frequency_factor", low, 1e-3...1e6)
      try checks.range("scaling.high_frequency_factor", high, 1e-3...1e6)
      guard low < high else { throw checks.error("scaling", "the low frequency factor is not below the high one") }
      try original(context)
    case .yarn(let value, let slow, let fast, let context, _):
      try factor(value)
      try checks.range("scaling.slow_turns", slow, 1e-6...1e6)
      try checks.range("scaling.fast_turns", fast, 1e-6...1e6)
      guard theta > 1 else { throw checks.error("theta", "1 has no turns to scale") }
      try original(context)
    case .dynamic(let value, let context):
      try factor(value)
      guard value >= 1 else { throw checks.error("scaling.factor", "\(value) is below 1") }
      try original(context)
    case .longRoPE(let short, let long, let context):
      for (name, list) in [("short", short), ("long", long)] {
        guard list.count == dimensions / 2 else {
          throw checks.error("scaling.\(name)", "has \(list.count) divisors for \(dimensions / 2) frequencies")
        }
        for value in list { try checks.range("scaling.\(name)", value, 1e-6...1e6) }
      }
      try original(context)
    case .proportional(let value, let turning):
      try factor(value)
      try checks.range("scaling.turning", turning, 0...dimensions / 2)
    }
  }

  /// The form that artifacts hold.
  var json: JSON {
    var members: [JSON.Member] = [.init("theta", .number(theta)), .init("dimensions", .integer(dimensions))]
    if let scaling = scaling.json { members.append(.init("scaling", scaling)) }
    if attentionFactor != 1 { members.append(.init("attention_factor", .number(attentionFactor))) }
    return .object(members)
  }

  /// Reads the form that artifacts hold; bounds are checked with the rest of the specification.
  init(_ reader: DocumentReader) throws {
    self.init(
      theta: try reader.anyNumber("theta"), dimensions: try reader.size("dimensions"),
      scaling: try reader.reader("scaling").map(Scaling.init) ?? .none,
      attentionFactor: try reader.number("attention_factor", in: -1e300...1e300) ?? 1)
    try reader.finish()
  }
}

extension ModelSpec.Rotary.Scaling {
  fileprivate var json: JSON? {
    switch self {
    case .none: nil
    case .linear(let factor): ["kind": "linear", "factor": .number(factor)]
    case .llama3(let factor, let low, let high, let context):
      [
        "kind": "llama3", "factor": .number(factor), "low_frequency_factor": .number(low),
        "high_frequency_factor": .number(high), "original_context": .integer(context),
      ]
    case .yarn(let factor, let slow, let fast, let context, let truncates):
      [
        "kind": "yarn", "factor": .number(factor), "slow_turns": .number(slow), "fast_turns": .number(fast),
        "original_context": .integer(context), "truncates": .bool(truncates),
      ]
    case .dynamic(let factor, let context):
      ["kind": "dynamic", "factor": .number(factor), "original_context": .integer(context)]
    case .longRoPE(let short, let long, let context):
      [
        "kind": "longrope", "short": .array(short.map(JSON.number)), "long": .array(long.map(JSON.number)),
        "original_context": .integer(context),
      ]
    case .proportional(let factor, let turning):
      ["kind": "proportional", "factor": .number(factor), "turning": .integer(turning)]
    }
  }

  fileprivate init(_ reader: DocumentReader) throws {
    switch try reader.string("kind") {
    case "linear": self = .linear(factor: try reader.anyNumber("factor"))
    case "llama3":
      self = .llama3(
        factor: try reader.anyNumber("factor"), lowFrequencyFactor: try reader.anyNumber("low_frequency_factor"),
        highFrequencyFactor: try reader.anyNumber("high_frequency_factor"),
        originalContext: try reader.size("original_context"))
    case "yarn":
      self = .yarn(
        factor: try reader.anyNumber("factor"), slowTurns: try reader.anyNumber("slow_turns"),
        fastTurns: try reader.anyNumber("fast_turns"), originalContext: try reader.size("original_context"),
        truncates: try reader.needed("truncates", reader.bool))
    case "dynamic":
      self = .dynamic(
        factor: try reader.anyNumber("factor"), originalContext: try reader.size("original_context"))
    case "longrope":
      self = .longRoPE(
        short: try reader.numbers("short"), long: try reader.numbers("long"),
        originalContext: try reader.size("original_context"))
    case "proportional":
      self = .proportional(factor: try reader.anyNumber("factor"), turning: try reader.size("turning"))
    case let kind:
      throw reader.error(
        "kind", "\"\(kind ?? "")\" is not known to this version of Furl", remedy: "use a newer Furl")
    }
    try reader.finish()
  }
}

extension DocumentReader {
  fileprivate func anyNumber(_ key: String) throws -> Double {
    try needed(key) { try number($0, in: -1e300...1e300) }
  }

  fileprivate func numbers(_ key: String) throws -> [Double] {
    let list = try needed(key) { optional($0) }
    let numbers = list.array?.compactMap(\.number) ?? []
    guard let all = list.array, numbers.count == all.count, numbers.allSatisfy(\.isFinite) else {
      throw error(key, "a list of numbers is expected")
    }
    return numbers
  }
}
