import FurlSpec
import FurlTensor

/// What the layers of a block compute on the way, for some rows at once.
struct BlockBuffers {
  /// Columns of everything, of one block or the most of several.
  private struct BufferWidths {
    var queries = 1
    var keys = 1
    var gates = 0
    var neurons = 1
    var router = 0
    var expertNeurons = 0
    var sharedNeurons = 0
    var hasGate = false
    var input = 0

    init(_ blocks: [BlockSpec]) {
      for part in blocks.flatMap(\.parts) {
        switch part.mixer {
        case .attention(let attention):
          queries = max(queries, attention.queries)
          keys = max(keys, attention.keys)
          gates = max(gates, attention.gates)
        case .latentAttention(let latent):
          queries = max(queries, latent.expanded.queries)
          keys = max(keys, latent.expanded.keys)
        case .feedForward(let mlp):
          neurons = max(neurons, mlp.size)
          hasGate = hasGate || mlp.isGated
        case .experts(let experts):
          router = max(router, experts.count)
          expertNeurons = max(expertNeurons, experts.expert.size)
          sharedNeurons = max(sharedNeurons, experts.shared?.size ?? 0)
        case .tokenInput(let spec): input = max(input, spec.size)
        case .recurrent: break
        }
      }
    }
  }

  let query: Activations
  let key: Activations
  let value: Activations
  let attended: Activations
  /// What heads' outputs are multiplied with, where blocks have that.
  let gates: Activations?
  /// Where attention is latent.
  let latent: LatentBuffers?
  /// The outputs of an MLP's first layers: gate and up, or up alone. The first holds what its last layer reads in the end.
  let mlp: [Activations]
  /// Where the block has experts.
  let experts: ExpertBuffers?
  /// Where the block takes something from the tokens.
  let input: InputBuffers?

  /// What goes into the MLP's last layer.
  var inner: Activations { mlp[0] }

  /// For one block, or as wide as the widest of several needs them.
  init(_ blocks: [BlockSpec], hidden: Int, rows: Int) throws {
    let widths = BufferWidths(blocks)
    func buffer(_ columns: Int) throws -> Activations { try Activations(columns: columns, capacity: rows) }
    query = try buffer(widths.queries)
    key = try buffer(widths.keys)
    value = try buffer(widths.keys)
    attended = try buffer(widths.queries)
    gates = widths.gates > 0 ? try buffer(widths.gates) : nil
    let latents = blocks.flatMap(\.latents)
    latent = latents.isEmpty ? nil : try LatentBuffers(latents, rows: rows)
    mlp = try (0..<(widths.hasGate ? 2 : 1)).map { _ in try buffer(widths.neurons) }
    experts =
      widths.router > 0
      ? try ExpertBuffers(
        router: widths.router, neurons: widths.expertNeurons, shared: widths.sharedNeurons, hidden: hidden, rows: rows)
      : nil
    input = widths.input > 0 ? try InputBuffers(size: widths.input, rows: rows) : nil
  }

  /// Those of a block in the memory of wider ones: blocks that are computed one after the other need it once.
  init(_ block: BlockSpec, sharing wider: BlockBuffers) {
    let widths = BufferWidths([block])
    query = Activations(columns: widths.queries, sharing: wider.query)
    key = Activations(columns: widths.keys, sharing: wider.key)
    value = Activations(columns: widths.keys, sharing: wider.value)
    attended = Activations(columns: widths.queries, sharing: wider.attended)
    gates = widths.gates > 0 ? wider.gates.map { Activations(columns: widths.gates, sharing: $0) } : nil
    latent = block.latents.first.flatMap { spec in wider.latent.map { LatentBuffers(spec, sharing: $0) } }
    mlp = wider.mlp.map { Activations(columns: widths.neurons, sharing: $0) }
    experts = block.experts.flatMap { spec in wider.experts.map { ExpertBuffers(spec, sharing: $0) } }
    input = widths.input > 0 ? wider.input.map { InputBuffers(size: widths.input, sharing: $0) } : nil
  }

  /// Where the layers of some parts that read the stage's input put their outputs, in the layers' order.
  func outputs(of parts: [PartSpec]) -> [Activations] {
    parts.flatMap { part -> [Activations] in
      switch part.mixer {
      case .attention(let attention):
        [query, key, value].prefix(attention.inputRoles.count)
          + (attention.outputGate == nil ? [] : gates.map { [$0] } ?? [])
      case .latentAttention(let spec): latent?.inputs(of: spec) ?? []
      case .feedForward(let mlp): mlp.isGated ? self.mlp : [inner]
      case .experts(let spec): experts?.inputs(of: spec) ?? []
      case .tokenInput: input.map { [$0.gate] } ?? []
      case .recurrent: []
      }
    }
  }
}

/// What a token input computes on the way.
struct InputBuffers {
  /// What its gate gives, and then what its last layer reads.
  let gate: Activations
  /// Of the tokens' embeddings, before and behind the norm, and rows of the table.
  let context: Activations
  let normed: Activations
  let rows: Activations

  init(size: Int, rows: Int) throws {
    func buffer() throws -> Activations { try Activations(columns: size, capacity: rows) }
    (gate, context, normed) = (try buffer(), try buffer(), try buffer())
    self.rows = try buffer()
  }

  init(size: Int, sharing wider: InputBuffers) {
    func buffer(_ wider: Activations) -> Activations { Activations(columns: size, sharing: wider) }
    (gate, context, normed) = (buffer(wider.gate), buffer(wider.context), buffer(wider.normed))
    rows = buffer(wider.rows)
  }
}

/// What experts compute on the way.
struct ExpertBuffers {
  /// The router's outputs.
  let router: Activations
  /// Of the shared expert: its router's, and its first layers'.
  let sharedRouter: Activations
  let shared: [Activations]
  /// Rows that were gathered for experts, what their first layers make of them, and their outputs.
  let rows: Activations
  let neurons: [Activations]
  let output: Activations
  /// What all experts together give.
  let sum: Activations
  /// What is read behind norms of their own.
  let normed: Activations

  /// Rows that are gathered at once: many enough for threads to share, few enough to stay in a usual last-level cache.
  static let places = 512

  init(router: Int, neurons: Int, shared: Int, hidden: Int, rows: Int) throws {
    func buffer(_ columns: Int) throws -> Activations { try Activations(columns: columns, capacity: rows) }
    self.router = try buffer(router)
    sharedRouter = try buffer(1)
    self.shared = try (0..<2).map { _ in try buffer(max(1, shared)) }
    // One expert's rows are all rows at most.
    let places = max(rows, ExpertBuffers.places)
    func gathered(_ columns: Int) throws -> Activations { try Activations(columns: columns, capacity: places) }
    self.rows = try gathered(hidden)
    self.neurons = try (0..<2).map { _ in try gathered(neurons) }
    output = try gathered(hidden)
    sum = try buffer(hidden)
    normed = try buffer(hidden)
  }

  init(_ spec: ExpertsSpec, sharing wider: ExpertBuffers) {
    router = Activations(columns: spec.count, sharing: wider.router)
    sharedRouter = wider.sharedRouter
    shared = wider.shared.map { Activations(columns: spec.shared?.size ?? 1, sharing: $0) }
    rows = wider.rows
    neurons = wider.neurons.map { Activations(columns: spec.expert.size, sharing: $0) }
    output = wider.output
    sum = wider.sum
    normed = wider.normed
  }

  /// In the order of ``PartSpec/inputs(hidden:)``, experts apart.
  func inputs(of spec: ExpertsSpec) -> [Activations] {
    let router = spec.ownNorms == nil ? [router] : []
    guard let mlp = spec.shared else { return router }
    return router + (spec.gatesShared ? [sharedRouter] : []) + (mlp.isGated ? shared : [shared[0]])
  }
}
