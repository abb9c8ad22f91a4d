import FurlBase

/// What an artifact may take: `budget` of a recipe. Schemes are then chosen tensor by tensor within it.
public struct Budget: Sendable {
  public enum Goal: Sendable, Hashable {
    /// Bytes of the file.
    case disk(Int)
    /// Bytes of the weights when they are loaded.
    case memory(Int)
    /// Bits of the file for each of the model's parameters, as `inspect` counts them.
    case bitsPerWeight(Double)
    /// Nats from the predictions of the FP32 model, on text of the calibration.
    case divergence(Double)
  }

  public let goal: Goal
  package let location: DocumentLocation

  init(_ reader: DocumentReader) throws {
    var goals: [Goal] = []
    if let bytes = try Budget.bytes(reader, "disk") { goals.append(.disk(bytes)) }
    if let bytes = try Budget.bytes(reader, "memory") { goals.append(.memory(bytes)) }
    if let bits = try reader.number("bits_per_weight", in: 0.5...32) { goals.append(.bitsPerWeight(bits)) }
    if let nats = try reader.number("kl_divergence", in: 1e-6...10) { goals.append(.divergence(nats)) }
    try reader.finish()
    guard goals.count == 1, let goal = goals.first else {
      throw reader.error(
        nil, goals.isEmpty ? "nothing is given" : "one goal is expected, not \(goals.count)",
        remedy: "give disk, memory, bits_per_weight or kl_divergence")
    }
    self.goal = goal
    location = reader.location
  }

  /// A size as `90MB`, `1.5 GB` or a number of bytes.
  private static func bytes(_ reader: DocumentReader, _ key: String) throws -> Int? {
    guard let value = reader.optional(key) else { return nil }
    if value.integer != nil { return try reader.integer(key, in: 1...Int.max) }
    let units: KeyValuePairs = ["kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "B": 1.0]
    let text = try reader.string(key) ?? ""
    if let unit = units.first(where: { text.hasSuffix($0.key) }),
      let number = Double(text.dropLast(unit.key.count).filter { $0 != " " }), number > 0, number * unit.value < 1e18
    {
      return Int(number * unit.value)
    }
    throw reader.error(key, "\"\(text)\" is not a size", remedy: "say it as 90MB or 1.5GB")
  }

  /// A budget chooses among something, by a text.
  func check(_ steps: [Recipe.Step], hasCalibration: Bool) throws {
    guard hasCalibration else {
      throw location.error(
        nil, "needs a calibration to measure sensitivities on", remedy: "add calibration: {text: FILE}")
    }
    var freedoms: [StepFreedom] = []
    for case .quantize(let step) in steps { freedoms += step.freedom.map { [$0] } ?? [] }
    guard !freedoms.isEmpty else {
      throw location.error(
        nil, "has nothing to choose", remedy: "use goal: disk without bits, or give the quantize step choices")
    }
    if case .memory = goal, freedoms.contains(where: { if case .coded = $0.range { true } else { false } }) {
      throw location.error(
        "memory", "does not depend on coded bits, which are 8 in memory", remedy: "use goal: memory with choices")
    }
  }

  /// As a recipe says it.
  public var json: JSON {
    switch goal {
    case .disk(let bytes): ["disk": .integer(bytes)]
    case .memory(let bytes): ["memory": .integer(bytes)]
    case .bitsPerWeight(let bits): ["bits_per_weight": .number(bits)]
    case .divergence(let nats): ["kl_divergence": .number(nats)]
    }
  }
}
