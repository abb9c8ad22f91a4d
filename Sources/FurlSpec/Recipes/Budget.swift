package import FurlBase

/// What an artifact may take: `budget` of a recipe. Schemes are then chosen tensor by tensor within it.
package struct Budget: DeclaredDocument, Sendable {
  package enum BudgetGoal: Sendable, Hashable {
    /// Bytes of the file.
    case disk(Int)
    /// Bytes of the weights when they are loaded.
    case memory(Int)
    /// Bits of the file for each of the model's parameters, as `inspect` counts them.
    case bitsPerWeight(Double)
    /// Nats from the predictions of the FP32 model, on text of the calibration.
    case divergence(Double)
  }

  private var disk: Int?
  private var memory: Int?
  private var bitsPerWeight: Double?
  private var divergence: Double?
  package private(set) var goal = BudgetGoal.disk(0)
  package private(set) var location = DocumentLocation.none

  package init() {}

  package static let declaration = Declaration<Budget>(
    "budget", "What the artifact may take, as one of these: schemes are then chosen tensor by tensor within it."
  ) {
    Field("disk", \.disk, .bytes, "Of the file.")
    Field("memory", \.memory, .bytes, "Of the weights when they are loaded.")
    Field(
      "bits_per_weight", \.bitsPerWeight, .number(in: 0.5...32, unit: "bits"),
      "Of the file for each parameter of the model.")
    Field(
      "kl_divergence", \.divergence, .number(in: 1e-6...10, unit: "nats"),
      "From the predictions of the FP32 model, on text of the calibration.")
    Field.check { $0.location = $1.location }
  }

  package mutating func settle(_ reader: DocumentReader) throws {
    let goals = [
      disk.map(BudgetGoal.disk), memory.map(BudgetGoal.memory), bitsPerWeight.map(BudgetGoal.bitsPerWeight),
      divergence.map(BudgetGoal.divergence),
    ].compactMap { $0 }
    guard goals.count == 1, let goal = goals.first else {
      throw reader.error(
        nil, goals.isEmpty ? "nothing is given" : "one goal is expected, not \(goals.count)",
        remedy: "give disk, memory, bits_per_weight or kl_divergence")
    }
    self.goal = goal
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
  package var json: JSON { declaredJSON }
}

extension ValueCodec<Int> {
  fileprivate static var bytes: ValueCodec {
    let number = integer(in: 1...Int.max, unit: "bytes")
    let bytes = ValueCodec(
      number.outline,
      read: { reader, key in
        guard reader.optional(key)?.integer == nil else { return try number.read(reader, key) }
        // What is no number is to be a text.
        return try reader.string(key).map { _ in 0 }
      }, write: number.write)
    return .size(bytes, "is not a size", remedy: "say it as 90MB or 1.5GB") { $0 < 1e18 ? Int($0) : nil }
  }
}
