import FurlBase
import FurlModel
package import FurlSpec
package import FurlTensor

/// What a recipe will make of a model, known from headers before a weight is read.
package struct Plan: Sendable {
  /// A tensor of the artifact.
  package struct PlannedTensor: Sendable {
    package let spec: TensorSpec
    package let layout: PackedLayout
    /// Its name in the source model; blocks are numbered anew when some are removed.
    package let sourceName: String
    /// How its codes are found.
    package let method: QuantizeMethod
    /// What a budget chooses its scheme or its bits from; nil where they are given.
    let freedom: StepFreedom.Range?
    /// Whether its codes are those that it is stored with.
    var keepsCodes = false
    /// Which of its columns are kept apart; with a threshold the scheme of the plan has the most that there may be.
    package let outliers: OutlierSettings?

    package var scheme: Scheme { layout.scheme }
  }

  package let recipe: Recipe
  /// The model that comes out.
  package let spec: ModelSpec
  /// In the order of the file.
  package internal(set) var tensors: [PlannedTensor]
  /// Which tensors keep the codes that they are stored with; nil where none was asked to.
  package internal(set) var keptCodes: KeptCodes?

  /// Applies a recipe's steps to a model's specification.
  ///
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line for selectors that match nothing, tensors that two
  ///   steps claim and blocks that do not exist.
  ///
  /// What a step makes of a model that it has to compute with is not known here: widths and blocks are then those of the
  /// same share everywhere.
  package init(_ recipe: Recipe, for source: ModelSpec) throws {
    try self.init(recipe, steps: recipe.steps, for: source)
  }

  /// The same with some of the recipe's steps, where the others are done.
  init(_ recipe: Recipe, steps: [Recipe.Step], for source: ModelSpec) throws {
    var spec = source
    // For every block that is left, its number in the source.
    var origin = Array(source.blocks.indices)
    var schemes: [String: PlannedChoice] = [:]
    for step in steps {
      if let change = step.change {
        let shape = try change.estimate(spec)
        if let remaining = shape.origin {
          schemes = Plan.renumber(schemes, remaining: remaining, spec: spec)
          origin = remaining.map { origin[$0] }
        }
        spec = shape.spec
      } else if case .quantize(let step) = step {
        let mix = step.mix.map { GGUFMixRules(mix: $0, spec: spec, isCalibrated: recipe.calibration != nil) }
        try Plan.assign(step, mix: mix, spec: spec, schemes: &schemes)
      }
    }
    self.recipe = recipe
    self.spec = spec
    tensors = try spec.tensors.map { tensor in
      let choice = schemes[tensor.name] ?? PlannedChoice(scheme: .float32, method: .plain)
      let apart = try choice.outliers.map { outliers in
        guard let scheme = choice.scheme.keepingApart(outliers.limit(columns: tensor.shape[1])) else {
          throw FurlError(.defect, "\(choice.scheme) keeps no columns apart")
        }
        return scheme
      }
      var layout = try PackedLayout(scheme: apart ?? choice.scheme, shape: tensor.shape)
      // Before a budget has chosen, the largest stands for its choice, so that sizes are bounds.
      if case .fixed(let schemes) = choice.freedom {
        for scheme in schemes {
          let other = try PackedLayout(scheme: scheme, shape: tensor.shape)
          if other.byteCount > layout.byteCount { layout = other }
        }
      }
      return PlannedTensor(
        spec: tensor, layout: layout,
        sourceName: tensor.block.map { Plan.rename(tensor.name, from: $0, to: origin[$0]) } ?? tensor.name,
        method: choice.method, freedom: choice.freedom, outliers: choice.outliers)
    }
  }

  /// The plan with other schemes and methods for some tensors: what a budget has chosen.
  func choosing(_ mix: [String: PlannedChoice]) throws -> Plan {
    var plan = self
    plan.tensors = try tensors.map { tensor in try mix[tensor.spec.name].map(tensor.choosing) ?? tensor }
    return plan
  }

  /// What a matrix is written down as, and how.
  struct PlannedChoice: Sendable, Hashable {
    let scheme: Scheme
    let method: QuantizeMethod
    var freedom: StepFreedom.Range?
    var outliers: OutlierSettings?
  }

  private static func rename(_ name: String, from old: Int, to new: Int) -> String {
    "blocks.\(new)." + name.dropFirst("blocks.\(old).".count)
  }

  /// Takes schemes that were given before a truncation along to the blocks' new numbers.
  private static func renumber(_ schemes: [String: PlannedChoice], remaining: [Int], spec: ModelSpec) -> [String:
    PlannedChoice]
  {
    let newNumbers = Dictionary(uniqueKeysWithValues: remaining.enumerated().map { ($1, $0) })
    var result: [String: PlannedChoice] = [:]
    for tensor in spec.tensors {
      guard let scheme = schemes[tensor.name] else { continue }
      guard let block = tensor.block else {
        result[tensor.name] = scheme
        continue
      }
      if let number = newNumbers[block] { result[rename(tensor.name, from: block, to: number)] = scheme }
    }
    return result
  }

  /// Gives every matrix its scheme: an override's, none for what is kept, the embeddings', the step's.
  private static func assign(
    _ step: QuantizeStep, mix: GGUFMixRules?, spec: ModelSpec, schemes: inout [String: PlannedChoice]
  ) throws {
    var matched: Set<Int> = []
    var kept: Set<Int> = []
    for tensor in spec.tensors {
      let overrides = step.overrides.indices.filter {
        step.overrides[$0].selector.matches(name: tensor.name, role: tensor.role, block: tensor.block)
      }
      let keeps = step.keepSelectors.indices.filter {
        step.keepSelectors[$0].matches(name: tensor.name, role: tensor.role, block: tensor.block)
      }
      matched.formUnion(overrides)
      kept.formUnion(keeps)
      let override = overrides.first.map { step.overrides[$0] }
      if tensor.role.isVector {
        guard let override else { continue }
        throw override.location.error("match", "\(tensor.name) is a vector, which stays in FP32")
      }
      if let override, overrides.count > 1 || !keeps.isEmpty {
        throw override.location.error(
          "match", "\(tensor.name) is claimed twice", remedy: "let one selector match it")
      }
      // A choice of experts that flips makes another model of a row, and routers are small: they stay as they are unless they
      // are named.
      if tensor.role == .router, override == nil { continue }
      guard keeps.isEmpty else { continue }
      guard schemes[tensor.name] == nil else {
        throw step.location.error(nil, "\(tensor.name) is already quantized by an earlier step")
      }
      var mixed: Scheme?
      if let mix, override == nil {
        guard let scheme = try mix.scheme(of: tensor) else { continue }
        mixed = scheme
      }
      schemes[tensor.name] = choice(step, override, mixed: mixed, for: tensor)
    }
    try checkThatAllMatch(step, matched: matched, kept: kept, spec: spec)
  }

  /// - Parameter mixed: what a mix of schemes says of the tensor.
  private static func choice(
    _ step: QuantizeStep, _ override: QuantizeStep.Override?, mixed: Scheme?, for tensor: TensorSpec
  ) -> PlannedChoice {
    let isEmbedding = !tensor.role.isBlockLinear
    // Rows of an embedding are looked up one by one: no input of theirs tells columns apart.
    // Only what their gradients say does.
    let isLinear =
      tensor.role.isBlockLinear || tensor.role == .head
      || tensor.role == .embedding && step.method.rowFeedback != nil
    let freedom = override != nil || isEmbedding && step.freedom?.hasEmbeddings != true ? nil : step.freedom?.range
    // Before a budget has chosen, something in between stands for its choice.
    let open: Double? = if case .coded(let bits) = freedom { (bits.lowerBound + bits.upperBound) / 2 } else { nil }
    let bits = override.map { $0.bits } ?? open ?? (isEmbedding ? step.embeddingBits : step.bits)
    let scheme = override?.scheme ?? mixed ?? (isEmbedding ? step.embeddingScheme : step.scheme)
    let hasZeroPoints =
      override.map(\.hasZeroPoints)
      ?? (mixed == nil && (isEmbedding ? step.embeddingHasZeroPoints : step.hasZeroPoints))
    return PlannedChoice(
      scheme: scheme,
      method: (isLinear && scheme.hasCodes ? step.method : .plain).coded(bits).withZeroPoints(hasZeroPoints),
      freedom: freedom,
      outliers: tensor.role.isBlockLinear && override == nil ? step.outliers : nil)
  }

  /// - Throws: ``FurlError`` of kind `input` where an override, or a word of `keep`, names nothing of the model.
  private static func checkThatAllMatch(
    _ step: QuantizeStep, matched: Set<Int>, kept: Set<Int>, spec: ModelSpec
  ) throws {
    if let beyond = step.overrides.first(where: { $0.selector.lastBlock.map { $0 >= spec.blocks.count } ?? false }) {
      throw beyond.location.error(
        "match", "\"\(beyond.match)\" names blocks that there are not",
        remedy: "the model has \(spec.blocks.count) blocks")
    }
    if let unused = step.overrides.indices.first(where: { !matched.contains($0) }) {
      let override = step.overrides[unused]
      throw override.location.error(
        "match", "\"\(override.match)\" matches no tensor", remedy: Selector.remedy(for: override.match))
    }
    // Norms and biases must be listed even for a model that has none.
    if let unused = step.keep.indices.first(where: { !kept.contains($0) && !["norm", "bias"].contains(step.keep[$0]) })
    {
      throw step.location.error(
        "keep", "\"\(step.keep[unused])\" matches no tensor", remedy: Selector.remedy(for: step.keep[unused]))
    }
  }

  /// Whether a tensor's codes depend on activations.
  func isCalibrated(_ tensor: PlannedTensor) -> Bool {
    recipe.calibration != nil && tensor.spec.shape.count == 2
      && (tensor.method.usesCalibration || tensor.outliers?.threshold != nil)
  }

  /// How rows make up for each other's errors; nil where none do.
  var rowFeedback: QuantizeMethod.RowFeedback? {
    tensors.lazy.compactMap { $0.spec.shape.count == 2 ? $0.method.rowFeedback : nil }.first
  }

  /// Whether any codes are chosen, and not just the nearest ones, or tables are.
  var choosesCodes: Bool {
    tensors.contains {
      $0.spec.shape.count == 2 && ($0.method != .plain || $0.scheme.hasOwnTable || $0.outliers != nil)
    }
  }

  // MARK: Figures

  /// Bytes of all streams, decoded: exact.
  package var rawBytes: Int { tensors.reduce(0) { $0 + $1.layout.byteCount } }

  /// Bits of a weight on average, scales included.
  package var bitsPerWeight: Double { 8 * Double(rawBytes) / Double(max(1, spec.parameterCount)) }

  /// Bytes of an FP16 KV cache of one sequence over the whole context; blocks with a window keep no more than that
  /// and one batch.
  package var keyValueBytes: Int {
    let heads = spec.blocks.compactMap(\.stored)
    return KeyValueCache.byteCount(
      heads, contextLength: spec.contextLength, format: .float16, rowLimit: Session.rowLimit(spec)) ?? .max
  }
}

extension Plan.PlannedTensor {
  /// The tensor with another scheme or method.
  func choosing(_ choice: Plan.PlannedChoice) throws -> Plan.PlannedTensor {
    .init(
      spec: spec, layout: try PackedLayout(scheme: choice.scheme, shape: spec.shape), sourceName: sourceName,
      method: choice.method, freedom: nil, keepsCodes: keepsCodes && choice.scheme == scheme,
      outliers: choice.outliers)
  }
}
