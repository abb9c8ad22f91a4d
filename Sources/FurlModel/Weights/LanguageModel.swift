import FurlBase
package import FurlSpec
package import FurlTensor

/// A model that is ready to run: its weights as the kernels read them.
///
/// Immutable, so any number of sessions share one.
package final class LanguageModel: Sendable {
  package let spec: ModelSpec
  let embedding: PackedMatrix
  /// Learned positions; nil where they are rotary.
  let positions: PackedMatrix?
  let blocks: [BlockWeights]
  /// What comes behind the last block where others were cut out.
  let patch: LinearGroup?
  let norm: NormWeights
  let head: LinearGroup
  /// How keys and values are kept unless something else is asked for: FP32 beside FP32 weights of a checkpoint, FP16
  /// beside an artifact's.
  package let defaultKeyValueFormat: KeyValueCache.CacheFormat

  /// Bytes of the weights in memory.
  package let weightBytes: Int

  /// Loads every tensor of a source.
  ///
  /// - Throws: ``FurlError`` that names the tensor.
  package init(_ source: any WeightProvider, pool: WorkerPool) throws {
    let spec = source.spec
    self.spec = spec
    defaultKeyValueFormat = source.defaultKeyValueFormat
    var loader = Loader(source: source, pool: pool, tensors: spec.tensors)
    embedding = try loader.matrix("embedding")
    positions = spec.hasLearnedPositions ? try loader.matrix("positions") : nil
    blocks = try spec.blocks.indices.map { try loader.block($0, spec) }
    patch = spec.patches.contains(spec.blocks.count) ? LinearGroup([try loader.layer("patch")]) : nil
    norm = try loader.norm("norm", spec.norm)
    head = spec.tiedEmbeddings ? LinearGroup([.init(embedding, bias: nil)]) : LinearGroup([try loader.layer("head")])
    weightBytes = loader.bytes
    source.dropPages()
    releaseFreedMemory()
  }

  /// The same model with some of its blocks, in their order; weights are shared.
  package func keeping(blocks kept: [Int]) -> LanguageModel { LanguageModel(self, keeping: kept) }

  private init(_ other: LanguageModel, keeping kept: [Int]) {
    precondition(other.spec.patches.isEmpty)
    var spec = other.spec
    spec.blocks = kept.map { other.spec.blocks[$0] }
    self.spec = spec
    embedding = other.embedding
    positions = other.positions
    blocks = kept.map { other.blocks[$0] }
    patch = nil
    norm = other.norm
    head = other.head
    defaultKeyValueFormat = other.defaultKeyValueFormat
    weightBytes = other.weightBytes
  }

  /// The same model with other layers.
  init(_ other: LanguageModel, blocks: [BlockWeights], patch: LinearGroup?, head: LinearGroup) {
    (spec, embedding, positions, norm) = (other.spec, other.embedding, other.positions, other.norm)
    (self.blocks, self.patch, self.head) = (blocks, patch, head)
    (defaultKeyValueFormat, weightBytes) = (other.defaultKeyValueFormat, other.weightBytes)
  }

  /// Loads tensors by name and adds up their bytes.
  private struct Loader {
    let source: any WeightProvider
    let pool: WorkerPool
    let tensors: [String: TensorSpec]
    var bytes = 0

    init(source: any WeightProvider, pool: WorkerPool, tensors: [TensorSpec]) {
      self.source = source
      self.pool = pool
      self.tensors = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
    }

    mutating func matrix(_ name: String) throws -> PackedMatrix {
      guard let tensor = tensors[name] else { throw FurlError(.defect, place: name, "is not in the specification") }
      let matrix = try source.matrix(tensor, pool: pool)
      bytes += matrix.layout.byteCount
      return matrix
    }

    mutating func vector(_ name: String) throws -> FloatVector? {
      guard let tensor = tensors[name] else { return nil }
      let vector = try source.vector(tensor)
      bytes += vector.count * 4
      return vector
    }

    mutating func layer(_ name: String, _ epilogue: LinearGroup.Epilogue = .none) throws -> LinearGroup.GroupedLayer {
      LinearGroup.GroupedLayer(try matrix(name), bias: try vector(name + ".bias"), epilogue: epilogue)
    }

    mutating func norm(_ name: String, _ spec: NormSpec) throws -> NormWeights {
      guard let weight = try vector(name) else { throw FurlError(.defect, place: name, "is not in the specification") }
      return NormWeights(spec: spec, weight: weight, bias: try vector(name + ".bias"))
    }

    mutating func block(_ index: Int, _ spec: ModelSpec) throws -> BlockWeights {
      let prefix = "blocks.\(index)."
      let patch = spec.patches.contains(index) ? LinearGroup([try layer(prefix + "patch")]) : nil
      var stages: [StageWeights] = []
      for stage in spec.stages(of: index) { stages.append(try self.stage(stage, prefix, hidden: spec.hiddenSize)) }
      return BlockWeights(patch: patch, stages: stages, scale: try vector(prefix + "scale")?.values[0])
    }

    private mutating func stage(_ stage: StageSpec, _ prefix: String, hidden: Int) throws -> StageWeights {
      let norm = try stage.norm.map { try self.norm(prefix + stage.normName, $0) }
      var inputs: [LinearGroup.GroupedLayer] = []
      var parts: [PartWeights] = []
      for part in stage.parts {
        for linear in part.inputs(hidden: hidden) where linear.expert == nil {
          inputs.append(try layer(prefix + linear.name, part.epilogue(linear)))
        }
        parts.append(try self.part(part, prefix, hidden: hidden))
      }
      return StageWeights(spec: stage, norm: norm, inputs: LinearGroup(inputs), parts: parts)
    }

    private mutating func part(_ part: PartSpec, _ prefix: String, hidden: Int) throws -> PartWeights {
      let outputs = part.outputs(hidden: hidden)
      func name(_ suffix: String) -> String { prefix + part.name + suffix }
      var single: LinearGroup?
      if case .experts = part.mixer {} else { single = LinearGroup([try layer(prefix + outputs[0].name)]) }
      var (queryNorm, keyNorm, valueNorm): (NormWeights?, NormWeights?, NormWeights?)
      var sinks: FloatVector?
      var experts: ExpertWeights?
      var latent: LatentWeights?
      var input: TokenInputWeights?
      switch part.mixer {
      case .attention(let attention):
        queryNorm = try attention.queryNorm.map { try norm(name(".query_norm"), $0) }
        keyNorm = try attention.keyNorm.map { try norm(name(".key_norm"), $0) }
        valueNorm = try attention.valueNormWeights()
        sinks = try vector(name(".sinks"))
      case .latentAttention(let spec): latent = try self.latent(spec, part, prefix)
      case .experts(let spec): experts = try self.experts(spec, part, prefix, hidden: hidden)
      case .tokenInput(let spec):
        let context = try part.embeddingReaders(hidden: hidden).map { try layer(prefix + $0.name) }
        input = TokenInputWeights(
          context: LinearGroup(context), norm: try norm(name(".context_norm"), spec.norm),
          table: try matrix(name(".table")))
      case .feedForward, .recurrent: break
      }
      return PartWeights(
        part, output: single, outputNorm: try part.outputNorm.map { try norm(name(".output_norm"), $0) },
        queryNorm: queryNorm, keyNorm: keyNorm, valueNorm: valueNorm, sinks: sinks, experts: experts, latent: latent,
        input: input)
    }

    private mutating func latent(
      _ spec: LatentAttentionSpec, _ part: PartSpec, _ prefix: String
    ) throws -> LatentWeights {
      func group(_ latent: ReadingSite.Latent) throws -> LinearGroup {
        LinearGroup(try part.inner(latent).map { try layer(prefix + $0.name) })
      }
      return LatentWeights(
        queries: spec.queryRank == nil
          ? nil : (try norm(prefix + "attention.query_latent_norm", spec.norm), try group(.queries)),
        norm: try norm(prefix + "attention.latent_norm", spec.norm), keysAndValues: try group(.keysAndValues))
    }

    private mutating func experts(
      _ spec: ExpertsSpec, _ part: PartSpec, _ prefix: String, hidden: Int
    ) throws -> ExpertWeights {
      var experts: [ExpertWeights.Expert] = []
      let (inputs, outputs) = (part.inputs(hidden: hidden), part.outputs(hidden: hidden))
      for index in 0..<spec.count {
        var layers: [LinearGroup.GroupedLayer] = []
        for linear in inputs where linear.expert == index {
          layers.append(try layer(prefix + linear.name, part.epilogue(linear)))
        }
        let output = try layer(prefix + outputs[index].name)
        experts.append(.init(inputs: LinearGroup(layers), output: LinearGroup([output])))
      }
      let names = part.ownNormNames
      let own = try spec.ownNorms.map { ownNorm in
        let norms = try names.map { try norm(prefix + $0, ownNorm) }
        return ExpertWeights.OwnNorms(
          router: LinearGroup(try part.ownRouter(hidden: hidden).map { try layer(prefix + $0.name) }),
          routerNorm: norms[0], expertNorm: norms[1], expertOutputNorm: norms[2], sharedOutputNorm: norms[3])
      }
      return ExpertWeights(
        spec, experts,
        sharedOutput: spec.shared == nil ? nil : LinearGroup([try layer(prefix + "mlp.shared.down")]),
        choiceBias: try vector(prefix + "mlp.router.choice"), factors: try vector(prefix + "mlp.router.factors"),
        own: own)
    }
  }
}

extension LinearGroup.FusedActivation {
  init(_ activation: ModelSpec.Activation) {
    self =
      switch activation {
      case .gelu: .gelu
      case .geluTanh: .geluTanh
      case .quickGelu: .quickGelu
      case .silu: .silu
      case .relu: .relu
      case .tanh: .tanh
      }
  }
}

extension Activations.RowNorm {
  package init(_ norm: ModelSpec.Norm) {
    self =
      switch norm {
      case .layerNorm: .layerNorm
      case .rmsNorm: .rmsNorm
      }
  }
}
