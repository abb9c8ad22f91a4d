import FurlBase
import FurlSpec

/// What a removal of groups has done to a model's widths.
struct PruningReport: ChangeReport {
  let before: ModelSpec
  let after: ModelSpec
  /// Weights of the groups that are gone.
  let removedWeights: Int
  /// What there is to say of one kind of groups.
  var more: [JSON.Member] = []

  var json: JSON {
    func share(_ before: Int, _ after: Int) -> JSON { .number(1 - Double(after) / Double(max(1, before))) }
    let channels: [JSON.Member] =
      after.hiddenSize == before.hiddenSize ? [] : [.init("hidden_size", .integer(after.hiddenSize))]
    let rest: JSON = [
      "step": "prune",
      "sparsity": [
        "blocks": share(before.blockLinearCount, after.blockLinearCount),
        "model": share(before.parameterCount, after.parameterCount),
      ],
      "removed_weights": .integer(removedWeights),
      "parameters": .integer(after.parameterCount),
      "widths": .array(zip(before.blocks, after.blocks).map(PruningReport.widths)),
    ]
    return .object((rest.members ?? []) + channels + more)
  }

  /// The widths of a block; of experts where they are not what they were.
  private static func widths(_ before: BlockSpec, _ after: BlockSpec) -> JSON {
    let widths = after.widths
    func changed(_ key: String, _ size: (BlockSpec) -> Int?) -> [JSON.Member] {
      guard let own = size(after), own != size(before) else { return [] }
      return [.init(key, .integer(own))]
    }
    return .object(
      [
        .init("heads", .integer(widths.heads)), .init("kv_heads", .integer(widths.kvHeads)),
        .init("mlp_size", .integer(widths.mlpSize)),
      ] + changed("latent_heads") { $0.latentAttention?.heads } + changed("expert_size") { $0.experts?.expert.size }
        + changed("shared_size") { $0.experts?.shared?.size })
  }
}
