import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Sets single weights of the blocks' linear layers to zero, block by block on the inputs that the pruned model gives.
///
/// No width changes: a file becomes smaller, memory and time stay what they are.
struct WeightPruning: ModelChange {
  let step: PruneStep
  let model: Checkpoint
  let context: ChangeContext

  struct ZeroReport: ChangeReport {
    let method: PruneStep.Method
    let zeros: Int
    let spec: ModelSpec

    var json: JSON {
      [
        "step": "prune", "method": .string(method.rawValue), "zero_weights": .integer(zeros),
        "sparsity": [
          "blocks": .number(Double(zeros) / Double(max(1, spec.blockLinearCount))),
          "model": .number(Double(zeros) / Double(max(1, spec.parameterCount))),
        ],
        "parameters": .integer(spec.parameterCount),
      ]
    }
  }

  /// No width changes.
  static func estimate(_ step: PruneStep, _ spec: ModelSpec) -> EstimatedShape { EstimatedShape(spec: spec) }

  func run() throws -> Changed<ZeroReport> {
    let draft = try ModelDraft(model, folder: context.folder)
    let walk = try ModelWalk(model, context.sequences, on: context.math)
    var zeros = 0
    try walk.run(boundary: { block in
      context.progress("pruning block", block, model.spec.blocks.count)
    }) { block, site in
      // What is looked up is no layer.
      let readers = model.spec.readers(of: site, in: block).filter(\.role.isBlockLinear)
      guard !readers.isEmpty else { return [:] }
      var layers: [String: ModelWalk.WalkedLayer] = [:]
      let moments = try walk.secondMoments(
        site, columns: readers[0].columns, extent: step.method == .sparseGPT ? .full : .diagonal)
      let factor =
        step.method == .sparseGPT
        ? try FeedbackFactor(
          moments, order: .natural, block: .row, damping: PruneStep.damping, keepsMoments: false, on: context.math)
        : nil
      for reader in readers {
        let name = "blocks.\(block)." + reader.name
        let weight = try model.floats(name)
        if let factor {
          SparseWeights.sparseGPT(weight, factor, sparsity: step.sparsity, on: context.math)
        } else {
          SparseWeights.wanda(weight, meanSquares: moments.meanSquares, sparsity: step.sparsity, on: context.pool)
        }
        zeros += weight.zeroCount
        try draft.set(name, weight)
        layers[reader.name] = .init(weight: try weight.packed(on: context.pool), bias: try walk.vector(name + ".bias"))
      }
      return layers
    }
    let report = ZeroReport(method: step.method, zeros: zeros, spec: model.spec)
    return Changed(model: try draft.finish(model.spec), report: report)
  }
}
