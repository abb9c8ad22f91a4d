package import FurlBase
import FurlCheckpoint
import FurlSpec
package import FurlTensor

/// Which tensors of an artifact keep the codes that they were stored with, and why others do not.
package struct KeptCodes: Sendable {
  /// The schemes of those that do, by their names in the plan.
  package internal(set) var schemes: [String: Scheme] = [:]
  /// Why others do not, by their names in the plan.
  package internal(set) var reasons: [String: String] = [:]

  private static func counted(_ words: some Sequence<String>) -> [(word: String, count: Int)] {
    Dictionary(grouping: words, by: { $0 }).map { ($0.key, $0.value.count) }.sorted {
      ($1.count, $0.word) < ($0.count, $1.word)
    }
  }

  /// `tensors`, `schemes` and, of those that were compressed anew, `others`: each reason with its count.
  package var json: JSON {
    let kept = KeptCodes.counted(schemes.values.map(\.name))
    let others = KeptCodes.counted(reasons.values)
    return [
      "tensors": .integer(schemes.count),
      "schemes": .array(kept.map { ["scheme": .string($0.word), "tensors": .integer($0.count)] }),
      "others": .array(others.map { ["reason": .string($0.word), "tensors": .integer($0.count)] }),
    ]
  }

  /// What a reader of the result should know.
  package var notes: [String] {
    let kept = KeptCodes.counted(schemes.values.map(\.name)).map { "\($0.count) \($0.word)" }
    let list = kept.isEmpty ? "" : " (\(kept.joined(separator: ", ")))"
    return ["the codes of \(KeptCodes.tensors(schemes.count)) are kept as they are\(list)"]
      + KeptCodes.counted(reasons.values).map {
        "\(KeptCodes.tensors($0.count)) compressed anew: \($0.word)"
      }
  }

  private static func tensors(_ count: Int) -> String { "\(count) tensor\(count == 1 ? "" : "s")" }
}

extension Plan {
  /// The plan with the codes of a checkpoint's tensors as they are stored, where a layout holds them. The others get what the
  /// recipe says, and numbers of BF16 stay such where it says nothing.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a recipe that says another scheme for a tensor whose codes are held, and for
  ///   codes that are not held where the recipe says nothing.
  func keepingCodes(of checkpoint: Checkpoint) throws -> Plan {
    var plan = self
    var kept = KeptCodes()
    let step = recipe.steps.lazy.compactMap { if case .quantize(let step) = $0 { step } else { nil } }.first
    for (index, tensor) in tensors.enumerated() where tensor.spec.shape.count == 2 {
      let source = try checkpoint.source(tensor.sourceName)
      switch source.holding() {
      case .numbers:
        guard step == nil, source.type == .bfloat16, source.fold == .none else { continue }
        plan.tensors[index] = try tensor.choosing(.init(scheme: .bfloat16, method: .plain))
      case .held(let scheme):
        if let step, !tensor.accepts(scheme) { throw contradiction(step, tensor, scheme, source) }
        if let step, tensor.method.hasZeroPoints, !source.hasZeroPoints {
          throw step.location.error(
            "zero",
            "is point for \(tensor.spec.name), whose codes are to be kept: the minimums of \(source.storedForm) are no "
              + "multiples of their scales", remedy: "say zero: minimum, or compress it anew without --keep-codes")
        }
        plan.tensors[index] = try tensor.choosing(.init(scheme: scheme, method: .plain))
        plan.tensors[index].keepsCodes = true
        kept.schemes[tensor.spec.name] = scheme
      case .unheld(let reason):
        guard step != nil else {
          throw FurlError.input(
            checkpoint.path, tensor.sourceName, "is \(source.storedForm), whose codes cannot be kept: \(reason)",
            remedy: "give a recipe that says how it is compressed")
        }
        kept.reasons[tensor.spec.name] = "\(source.storedForm): \(reason)"
      }
    }
    plan.keptCodes = kept
    return plan
  }

  private func contradiction(
    _ step: QuantizeStep, _ tensor: PlannedTensor, _ scheme: Scheme, _ source: WeightSource
  ) -> FurlError {
    step.location.error(
      nil,
      "makes \(tensor.method.codedBits == nil ? "\(tensor.scheme)" : "coded bits") of \(tensor.spec.name), "
        + "whose codes are to be kept: they are \(source.storedForm), which is \(scheme)",
      remedy: "say \(scheme.recipeWords), in an override if others have other codes; or leave --recipe out to keep all")
  }
}

extension Plan.PlannedTensor {
  /// Whether codes of a scheme are what the recipe says of the tensor, or allows, or nothing else.
  fileprivate func accepts(_ scheme: Scheme) -> Bool {
    guard method.codedBits == nil, outliers == nil else { return false }
    if case .fixed(let schemes) = freedom { return schemes.contains(scheme) }
    return freedom == nil && (self.scheme == scheme || self.scheme == .float32)
  }
}

extension Scheme {
  /// How a recipe says the scheme.
  var recipeWords: String {
    guard !isFixed, let block else { return "weights: \(codingName)" }
    let suffix = "-minimum"
    let weights = hasMinimum ? "\(codingName.dropLast(suffix.count)), zero: minimum" : codingName
    let size = if case .columns(let columns) = block { "\(columns)" } else { "row" }
    return "weights: \(weights), block: \(size)\(scales == .u8 ? ", scales: u8" : "")"
  }
}
