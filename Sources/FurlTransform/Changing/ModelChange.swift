import FurlBase
import FurlCheckpoint
import FurlSpec

/// A kind of step that changes a model's shape or its FP32 weights: what it would make of a description, and the work.
protocol ModelChange {
  associatedtype Step
  associatedtype Report: ChangeReport

  /// About what a step makes of a model, by its description alone.
  ///
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line for what the step cannot do to such a model.
  static func estimate(_ step: Step, _ spec: ModelSpec) throws -> EstimatedShape

  init(step: Step, model: Checkpoint, context: ChangeContext)

  /// - Throws: as ``estimate(_:_:)``, and for what shows only in the weights and the text.
  func run() throws -> Changed<Report>
}

/// What a step has done, for an artifact to say.
protocol ChangeReport: Sendable {
  var json: JSON { get }
}

/// About what a step makes of a model.
struct EstimatedShape {
  var spec: ModelSpec
  /// For every block that is left, its number before; nil: all are left.
  var origin: [Int]?
}

/// What a step has made of a model.
struct Changed<Report> {
  let model: Checkpoint
  let report: Report
  /// The text in the tokens that the model has now; nil: those it had.
  var sample: CalibrationSample?
}

/// A step of a recipe as the work that it is.
struct ChangeJob {
  let estimate: (ModelSpec) throws -> EstimatedShape
  let run: (Checkpoint, ChangeContext) throws -> Changed<any ChangeReport>

  init<Change: ModelChange>(_: Change.Type, _ step: Change.Step) {
    estimate = { try Change.estimate(step, $0) }
    run = { model, context in
      let changed = try Change(step: step, model: model, context: context).run()
      return Changed(model: changed.model, report: changed.report, sample: changed.sample)
    }
  }
}

extension Recipe.Step {
  /// Its work on a model; nil: it only says how weights are written.
  var change: ChangeJob? {
    switch self {
    case .truncate(let step): ChangeJob(Truncation.self, step)
    case .heal(let step): ChangeJob(Healing.self, step)
    case .prune(let step): step.change
    case .quantize, .tune: nil
    }
  }
}

extension PruneStep {
  /// Its work on a model.
  var change: ChangeJob {
    switch removal {
    case .weights: ChangeJob(WeightPruning.self, self)
    case .groups: ChangeJob(GroupPruning.self, self)
    case .trainedGroups: ChangeJob(TrainedPruning.self, self)
    case .channels: ChangeJob(ChannelPruning.self, self)
    case .vocabulary: ChangeJob(VocabularyPruning.self, self)
    case .experts: ChangeJob(ExpertPruning.self, self)
    }
  }
}
