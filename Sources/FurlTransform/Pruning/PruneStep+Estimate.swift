import FurlSpec

extension PruneStep {
  /// About what it makes of a model: the same share of every layer.
  ///
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when channels alone cannot give so much.
  func estimate(_ source: ModelSpec) throws -> ModelSpec {
    guard method == .groupLasso else { return source }
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
      for group in groups {
        let (count, chunk) = (removable.count(group), removable.chunk(group, multiple: multiple))
        let left = Int((Double(count) * (1 - share) / Double(chunk)).rounded()) * chunk
        kept[group] = Array(0..<min(count, max(min(chunk, count), left)))
      }
      spec.blocks[index].widths = removable.block(heads: kept.heads, neurons: kept.neurons)
    }
    if refit != .none { spec.addBiases(Set(groups.map(GroupRemoval.reader))) }
    return spec
  }
}
