import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// A walk over a checkpoint's FP32 weights, block by block, with the calibration's sequences.
final class ModelWalk {
  let model: Checkpoint
  private let math: DenseMath
  let walk: BlockWalk
  private let tensors: [String: TensorSpec]

  init(_ model: Checkpoint, _ sequences: [[Int]], on math: DenseMath) throws {
    self.model = model
    self.math = math
    tensors = Dictionary(uniqueKeysWithValues: model.spec.tensors.map { ($0.name, $0) })
    func matrix(_ name: String) throws -> PackedMatrix {
      try PackedMatrix.encode(model.source(name), scheme: .float32, pool: math.pool)
    }
    walk = try BlockWalk(
      model.spec, embedding: matrix("embedding"),
      positions: model.spec.hasLearnedPositions ? matrix("positions") : nil, sequences: sequences, format: .float32,
      context: ComputeContext(pool: math.pool, kernels: math.kernels))
  }

  /// From here on norms read some channels of the residual stream only, and the layers behind them have so many columns;
  /// what others write stays as wide as it was.
  func narrowNorms(to channels: [Int]) throws {
    try walk.narrowNorms(to: channels)
  }

  /// A linear layer that takes the place of the model's own.
  struct WalkedLayer {
    let weight: PackedMatrix
    let bias: FloatVector?
  }

  /// Walks the first blocks.
  ///
  /// - Parameters:
  ///   - blocks: how many.
  ///   - boundary: called before every block, and behind the last one.
  ///   - body: called with every place where layers read, before those are known; it returns those that are others than
  ///     the model's own, by their names in the block.
  ///   - completing: called with every block all of whose layers are known, before it is computed; returns those that become
  ///     others.
  ///   - patched: called with the name of what stands in for blocks that were cut out; gives what stands there instead.
  func run(
    blocks: Int? = nil, boundary: (Int) throws -> Void = { _ in },
    body: (_ block: Int, ReadingSite) throws -> [String: WalkedLayer] = { _, _ in [:] },
    completing: (_ block: Int) throws -> [String: WalkedLayer] = { _ in [:] },
    patched: (String) throws -> WalkedLayer? = { _ in nil }
  ) throws {
    let spec = model.spec
    let end = blocks ?? spec.blocks.count
    for block in 0..<end {
      if spec.patches.contains(block) { try apply(spec.patchName(before: block), patched) }
      try boundary(block)
      try compute(block, body, completing)
    }
    if end == spec.blocks.count, spec.patches.contains(end) { try apply(spec.patchName(before: end), patched) }
    try boundary(end)
  }

  /// Walks the next block as it is.
  func advance(block: Int) throws {
    if model.spec.patches.contains(block) { try apply(model.spec.patchName(before: block)) { _ in nil } }
    try compute(block, { _, _ in [:] }, { _ in [:] })
  }

  private func compute(
    _ block: Int, _ body: (Int, ReadingSite) throws -> [String: WalkedLayer],
    _ completing: (Int) throws -> [String: WalkedLayer]
  ) throws {
    let (spec, prefix) = (model.spec, "blocks.\(block).")
    self.block = block
    try walk.begin(block: block, vector: vector)
    for site in spec.sites(of: block) {
      let others = try body(block, site)
      if others.isEmpty, walk.isNeeded(site), !didVisit { walk.visit(site) { _, _ in } }
      didVisit = false
      for reader in spec.readers(of: site, in: block) {
        if let other = others[reader.name] {
          walk.install(reader, other.weight, bias: other.bias)
        } else {
          let own = try layer(prefix + reader.name)
          walk.install(reader, own.weight, bias: own.bias)
        }
      }
    }
    let changed = try completing(block)
    for layer in spec.blocks[block].parts.flatMap({ $0.outputs(hidden: spec.hiddenSize) }) {
      if let other = changed[layer.name] { walk.install(layer, other.weight, bias: other.bias) }
    }
    walk.finish()
  }

  /// Whether the body has visited the input that it was called with.
  private var didVisit = false
  /// The block that is being walked.
  private var block = 0
  /// How many positions experts have had whose moments were wanted.
  private(set) var coverage = ExpertCoverage()

  /// The moments of an input; only inside of a body.
  ///
  /// An expert that few positions go through learns from others, too: see ``ExpertCoverage``.
  func moments(_ site: ReadingSite, columns: Int) throws -> InputMoments {
    let moments = try InputMoments(columns: columns)
    try walk.visit(site) { try moments.add($0, count: $1, on: math) }
    didVisit = true
    if site.expert != nil {
      let others = ExpertCoverage.others(own: moments.count, columns: columns, positions: walk.positionCount)
      let readers = model.spec.readers(of: site, in: block)
      if let name = readers.first?.name {
        coverage.note(
          "blocks.\(block)." + name, tokens: moments.count, others: others.count, positions: walk.positionCount)
      }
      try walk.visit(site, positions: others) { try moments.add($0, count: $1, on: math) }
    }
    guard moments.isFinite else {
      throw FurlError.input(
        model.path, "a layer's inputs are not finite numbers", remedy: "the weights before it are damaged")
    }
    return moments
  }

  /// The second moments of an input; only inside of a body.
  func secondMoments(
    _ site: ReadingSite, columns: Int, extent: MomentExtent
  ) throws -> SecondMoments {
    let moments = try SecondMoments(columns: columns, extent: extent)
    walk.visit(site) { moments.add($0, count: $1, on: math) }
    didVisit = true
    guard moments.coverage.isFinite else {
      throw FurlError.input(
        model.path, "a layer's inputs are not finite numbers", remedy: "the weights before it are damaged")
    }
    return moments
  }

  func layer(_ name: String) throws -> WalkedLayer {
    try naming(name) {
      let source = try model.source(name)
      defer { source.drop() }
      return WalkedLayer(
        weight: try PackedMatrix.encode(source, scheme: .float32, pool: math.pool), bias: try vector(name + ".bias"))
    }
  }

  func vector(_ name: String) throws -> FloatVector? {
    guard tensors[name] != nil else { return nil }
    return try naming(name) { try FloatVector(model.source(name)) }
  }

  /// A norm of the model's, of all channels.
  func norm(_ name: String) throws -> BlockWalk.WalkedNorm {
    guard let weight = try vector(name) else { throw FurlError(.defect, "a norm is missing") }
    return BlockWalk.WalkedNorm(weight: weight, bias: try vector(name + ".bias"))
  }

  /// Computes an input that a body will not look at; only inside of it.
  func advance(_ site: ReadingSite) {
    walk.visit(site) { _, _ in }
    didVisit = true
  }

  private func apply(_ name: String, _ patched: (String) throws -> WalkedLayer?) throws {
    let patch = try patched(name) ?? layer(name)
    walk.apply(patch: patch.weight, bias: patch.bias)
  }

  private func naming<Result>(_ name: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch var error as FurlError {
      error.file = error.file ?? model.path
      error.place = error.place ?? name
      throw error
    }
  }
}

extension BlockWalk.WalkedNorm {
  /// The norm of some channels, with their numbers.
  func gather(_ channels: [Int]) throws -> BlockWalk.WalkedNorm {
    func some(_ vector: FloatVector) throws -> FloatVector {
      let values = vector.values
      return try FloatVector(channels.map { values[$0] })
    }
    return BlockWalk.WalkedNorm(weight: try some(weight), bias: try bias.map(some))
  }
}
