import FurlBase
import FurlSpec

extension PruneStep {
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line for heads or neurons that a model's blocks do not have,
  ///   or that cannot be taken out of them.
  func checkGroups(of source: ModelSpec) throws {
    for block in source.blocks {
      if groups.contains(.neurons), block.feedForward == nil, block.experts == nil {
        throw cannotRemove("neurons", of: source, remedy: "leave neurons out")
      }
      if groups.contains(.heads), block.attention == nil, block.latentAttention == nil {
        throw cannotRemove("heads", of: source, remedy: "leave heads out")
      }
    }
  }

  /// The error for groups that cannot be taken out of a model.
  func cannotRemove(_ groups: String, of source: ModelSpec, remedy: String) -> FurlError {
    location.error("groups", "\(groups) of a \(source.architecture) model cannot be removed", remedy: remedy)
  }

  /// A specification with less of the heads and neurons that the step names, the same share of every layer.
  ///
  /// - Parameters:
  ///   - spec: as other groups have left it.
  ///   - source: what the step began with.
  ///   - extent: what is to go of heads and neurons.
  func narrowed(_ spec: ModelSpec, of source: ModelSpec, extent: PruneExtent) -> ModelSpec {
    guard !groups.isEmpty else { return spec }
    var spec = spec
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
