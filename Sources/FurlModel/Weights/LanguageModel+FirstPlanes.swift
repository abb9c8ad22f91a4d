import FurlTensor

extension LanguageModel {
  /// The model that reads the first planes of codes in two planes, for half of the bytes; what has none, and rows of the
  /// embedding that are looked up, are as they are. Weights are shared. Nil where no codes are in two planes.
  package var firstPlanes: LanguageModel? {
    let layers = blocks.flatMap(\.stages).flatMap { [$0.inputs] + $0.parts.flatMap(\.layers) } + [head]
    guard layers.contains(where: { $0.firstPlanes != nil }) else { return nil }
    return LanguageModel(self, blocks: blocks.map(\.firstPlanes), patch: patch?.inFirstPlanes, head: head.inFirstPlanes)
  }
}

extension LinearGroup {
  fileprivate var inFirstPlanes: LinearGroup { firstPlanes ?? self }
}

extension BlockWeights {
  fileprivate var firstPlanes: BlockWeights {
    let stages = stages.map { stage in
      StageWeights(
        spec: stage.spec, norm: stage.norm, inputs: stage.inputs.inFirstPlanes, parts: stage.parts.map(\.firstPlanes))
    }
    return BlockWeights(patch: patch?.inFirstPlanes, stages: stages, scale: scale)
  }
}

extension PartWeights {
  /// Behind those that read the stage's input.
  fileprivate var layers: [LinearGroup] {
    let experts = experts.map { $0.experts.flatMap { [$0.inputs, $0.output] } + [$0.sharedOutput].compactMap { $0 } }
    return [output].compactMap { $0 } + (experts ?? [])
  }

  fileprivate var firstPlanes: PartWeights {
    PartWeights(
      spec, output: output?.inFirstPlanes, outputNorm: outputNorm, queryNorm: queryNorm, keyNorm: keyNorm,
      valueNorm: valueNorm, sinks: sinks, experts: experts?.inFirstPlanes, latent: latent?.inFirstPlanes,
      input: input.map { TokenInputWeights(context: $0.context.inFirstPlanes, norm: $0.norm, table: $0.table) })
  }
}

extension ExpertWeights {
  /// Routers choose by their first planes, too.
  fileprivate var inFirstPlanes: ExpertWeights {
    ExpertWeights(
      self,
      experts: experts.map { Expert(inputs: $0.inputs.inFirstPlanes, output: $0.output.inFirstPlanes) },
      sharedOutput: sharedOutput?.inFirstPlanes)
  }
}

extension LatentWeights {
  fileprivate var inFirstPlanes: LatentWeights {
    LatentWeights(
      queries: queries.map { (norm: $0.norm, layer: $0.layer.inFirstPlanes) }, norm: norm,
      keysAndValues: keysAndValues.inFirstPlanes)
  }
}
