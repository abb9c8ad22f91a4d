import FurlBase
import FurlSpec

extension PruneStep {
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line for groups that a model's blocks do not have, or that
  ///   cannot be taken out of them.
  private func checkStructure(of source: ModelSpec) throws {
    func refuse(_ key: String, _ problem: String, _ remedy: String) -> FurlError {
      location.error(key, "\(problem) of a \(source.architecture) model cannot be removed", remedy: remedy)
    }
    for block in source.blocks {
      if groups.contains(.neurons), block.feedForward == nil, block.experts == nil {
        throw refuse("groups", "neurons", "leave neurons out")
      }
      if groups.contains(.heads), block.attention == nil, block.latentAttention == nil {
        throw refuse("groups", "heads", "leave heads out")
      }
      guard hasChannels else { continue }
      // What is left out would be felt where nothing makes up for it.
      let hasOwnNorms = block.stages.contains { $0.norm == nil || $0.parts.contains { $0.outputNorm != nil } }
      if block.experts != nil || hasOwnNorms {
        throw refuse("groups", "channels", "prune heads or neurons")
      }
    }
  }

  /// About what it makes of a model: the same share of every layer.
  ///
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when channels alone cannot give so much.
  func estimate(_ source: ModelSpec) throws -> ModelSpec {
    guard method == .groupLasso else { return source }
    if prunesExperts { return try ExpertExtent(self, of: source).estimate() }
    try checkStructure(of: source)
    if prunesVocabulary { return try VocabularyExtent(self, of: source).estimate() }
    var spec = source
    var extent = PruneExtent(self, of: source)
    if hasChannels {
      let channels = ChannelExtent(self, of: source)
      try channels.check()
      extent = channels.rest
      spec = ChannelRemoval.spec(
        source, channels: channels.size, hasBiases: refit != .none && channels.size < source.hiddenSize)
    }
    guard !groups.isEmpty else { return spec }
    let share = max(0, min(1, Double(extent.target()) / Double(max(1, extent.inGroups))))
    for (index, block) in source.blocks.enumerated() {
      let removable = RemovableGroups(block, of: source)
      var kept = KeptGroups()
      for kind in kinds where removable.count(kind) > 0 {
        let (count, chunk) = (removable.count(kind), removable.chunk(kind, multiple: multiple))
        let left = Int((Double(count) * (1 - share) / Double(chunk)).rounded()) * chunk
        // As many of every expert.
        kept[kind] = [Array(0..<min(count, max(min(chunk, count), left)))]
      }
      removable.remove(keeping: kept, from: &spec.blocks[index])
    }
    if refit != .none { spec.addBiases(Set(groups.map(GroupRemoval.reader))) }
    return spec
  }
}
