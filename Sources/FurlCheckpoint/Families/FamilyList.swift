/// What a person may want to know of the families: which are taken, and which are refused and why.
package struct FamilyList: Sendable {
  package struct TakenFamily: Sendable {
    /// `model_type` of `config.json`.
    package let modelType: String
    /// The models that it covers.
    package let models: String
  }

  package struct Refused: Sendable {
    package let modelTypes: String
    package let reason: String
  }

  /// Every family that Furl computes, by `model_type`.
  package static let taken: [TakenFamily] = Architectures.all.map {
    TakenFamily(modelType: $0.modelType, models: $0.models)
  }
  .sorted { $0.modelType < $1.modelType }

  /// What people ask for and do not get yet.
  package static let refused: [Refused] = [
    .init(
      modelTypes: "qwen3_next, qwen3_5, qwen3_5_moe",
      reason: "layers of a gated delta rule, a state in the place of a cache"),
    .init(modelTypes: "mamba, mamba2, granitemoehybrid with Mamba layers", reason: "state space layers"),
    .init(modelTypes: "t5, bart, codet5", reason: "an encoder beside the decoder"),
  ]
}
