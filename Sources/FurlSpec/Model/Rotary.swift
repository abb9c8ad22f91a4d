import FurlBase
import FurlTensor

extension ModelSpec {
  /// Rotary positions (Su et al., "RoFormer", 2021): number i of the first half of a head's rotated part and number i
  /// of its second half are turned together by position * frequency i.
  public struct Rotary: Sendable, Hashable {
    /// How frequencies are changed to reach beyond the context that a model was trained with.
    public enum Scaling: Sendable, Hashable {
      case none
      /// All frequencies are divided by a factor (Chen et al. 2023).
      case linear(factor: Double)
      /// Low frequencies are divided by a factor, high ones stay, those between are blended (Llama 3.1).
      case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    }

    /// The base of the frequencies.
    public var theta: Double
    /// Numbers of each head that are turned, an even count from the first on.
    public var dimensions: Int
    public var scaling: Scaling

    public init(theta: Double, dimensions: Int, scaling: Scaling = .none) {
      self.theta = theta
      self.dimensions = dimensions
      self.scaling = scaling
    }

    /// Radians per position: [dimensions / 2].
    public var frequencies: [Double] {
      (0..<dimensions / 2).map { scaled(Elementary.pow(theta, -2 * Double($0) / Double(dimensions))) }
    }

    private func scaled(_ frequency: Double) -> Double {
      switch scaling {
      case .none: return frequency
      case .linear(let factor): return frequency / factor
      case .llama3(let factor, let low, let high, let originalContext):
        let turns = Double(originalContext) * frequency / (2 * Double.pi)
        if turns < low { return frequency / factor }
        if turns > high { return frequency }
        let smooth = (turns - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency
      }
    }
  }
}

extension ModelSpec.Rotary {
  /// The form that artifacts hold.
  var json: JSON {
    var members: [JSON.Member] = [.init("theta", .number(theta)), .init("dimensions", .integer(dimensions))]
    switch scaling {
    case .none: break
    case .linear(let factor): members.append(.init("scaling", ["kind": "linear", "factor": .number(factor)]))
    case .llama3(let factor, let low, let high, let context):
      members.append(
        .init(
          "scaling",
          [
            "kind": "llama3", "factor": .number(factor), "low_frequency_factor": .number(low),
            "high_frequency_factor": .number(high), "original_context": .integer(context),
          ]))
    }
    return .object(members)
  }

  /// Reads the form that artifacts hold; bounds are checked with the rest of the specification.
  init(_ reader: DocumentReader) throws {
    func number(_ key: String, _ reader: DocumentReader) throws -> Double {
      guard let value = try reader.number(key, in: -1e300...1e300) else { throw reader.error(key, "is missing") }
      return value
    }
    func integer(_ key: String, _ reader: DocumentReader) throws -> Int {
      guard let value = try reader.integer(key, in: 0...Int.max) else { throw reader.error(key, "is missing") }
      return value
    }
    self.init(theta: try number("theta", reader), dimensions: try integer("dimensions", reader))
    if let scaling = try reader.reader("scaling") {
      switch try scaling.string("kind") {
      case "linear": self.scaling = .linear(factor: try number("factor", scaling))
      case "llama3":
        self.scaling = .llama3(
          factor: try number("factor", scaling), lowFrequencyFactor: try number("low_frequency_factor", scaling),
          highFrequencyFactor: try number("high_frequency_factor", scaling),
          originalContext: try integer("original_context", scaling))
      case let kind:
        throw scaling.error(
          "kind", "\"\(kind ?? "")\" is not known to this version of Furl", remedy: "use a newer Furl")
      }
      try scaling.finish()
    }
    try reader.finish()
  }
}
