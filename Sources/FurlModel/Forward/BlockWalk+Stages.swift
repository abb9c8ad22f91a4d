package import FurlSpec
package import FurlTensor

// The stages of a block that is being walked.
extension BlockWalk {
  /// Puts other numbers in the place of those of one of the block's norms.
  package func replace(_ site: ReadingSite, by norm: WalkedNorm) {
    norms[site.stage] = norms[site.stage].map { NormWeights(spec: $0.spec, weight: norm.weight, bias: norm.bias) }
  }

  /// Makes a layer of the block known.
  package func install(_ layer: LinearSpec, _ weight: PackedMatrix, bias: FloatVector?) {
    let part = stages.flatMap(\.parts).first { layer.name.hasPrefix($0.name + ".") }
    weights[layer.name] = LinearGroup.GroupedLayer(weight, bias: bias, epilogue: part?.epilogue(layer) ?? .none)
  }

  func group(_ layers: [LinearSpec]) -> LinearGroup { LinearGroup(layers.map { weights[$0.name]! }) }

  /// The layers of some parts that read the stage's input, experts apart.
  func inputs(of parts: [PartSpec]) -> [LinearSpec] {
    parts.flatMap { $0.inputs(hidden: spec.hiddenSize) }.filter { $0.expert == nil }
  }

  func norm(_ spec: NormSpec?, _ name: String) -> NormWeights? {
    guard let spec, let weight = vectors[name] else { return nil }
    return NormWeights(spec: spec, weight: weight, bias: vectors[name + ".bias"])
  }

  /// A part with all its layers.
  func weights(of part: PartSpec) -> PartWeights {
    let outputs = part.outputs(hidden: spec.hiddenSize)
    let shared = outputs.filter { $0.expert == nil }
    var isSingle = true
    if case .experts = part.mixer { isSingle = false }
    var weights: ExpertWeights?
    if case .experts(let experts) = part.mixer {
      let all = part.inputs(hidden: spec.hiddenSize)
      weights = ExpertWeights(
        experts,
        (0..<experts.count).map { index in
          .init(inputs: group(all.filter { $0.expert == index }), output: group(outputs.filter { $0.expert == index }))
        },
        sharedOutput: shared.isEmpty ? nil : group(shared), choiceBias: vectors["mlp.router.choice"],
        factors: vectors["mlp.router.factors"], own: own(of: part, experts), keeping: keptExperts)
    }
    return PartWeights(
      part, output: isSingle ? group(shared) : nil, outputNorm: norm(part.outputNorm, part.name + ".output_norm"),
      experts: weights, latent: latent(of: part), input: tokenInput(of: part))
  }

  /// What router and experts stand between, where they have norms of their own; the router must be known.
  private func own(of part: PartSpec, _ experts: ExpertsSpec) -> ExpertWeights.OwnNorms? {
    let norms = part.ownNormNames.compactMap { norm(experts.ownNorms, $0) }
    guard norms.count == 4 else { return nil }
    return ExpertWeights.OwnNorms(
      router: group(part.ownRouter(hidden: spec.hiddenSize)), routerNorm: norms[0], expertNorm: norms[1],
      expertOutputNorm: norms[2], sharedOutputNorm: norms[3])
  }

  /// What experts read the stream through: a norm of their own, or that of their stage.
  private func expertNorm(_ stage: Int) -> NormWeights? {
    let own = stages[stage].parts.lazy.compactMap { part -> NormWeights? in
      guard case .experts(let experts) = part.mixer else { return nil }
      return self.norm(experts.ownNorms, "mlp.expert_norm")
    }
    return own.first ?? norms[stage]
  }

  /// What a token input has beside its gate and its last layer, which must be known.
  private func tokenInput(of part: PartSpec) -> TokenInputWeights? {
    guard case .tokenInput(let input) = part.mixer, let norm = norm(input.norm, "input.context_norm") else {
      return nil
    }
    let context = group(part.embeddingReaders(hidden: spec.hiddenSize))
    guard let table = part.tables(vocabulary: spec.vocabularySize).first.flatMap({ weights[$0.name] }) else {
      return nil
    }
    return TokenInputWeights(context: context, norm: norm, table: table.weight)
  }

  /// The inner layers of a part, which must be known.
  private func latent(of part: PartSpec) -> LatentWeights? {
    guard case .latentAttention(let latent) = part.mixer,
      let norm = norm(latent.norm, "attention.latent_norm")
    else { return nil }
    let queries = self.norm(latent.norm, "attention.query_latent_norm").map { ($0, group(part.inner(.queries))) }
    return LatentWeights(queries: queries, norm: norm, keysAndValues: group(part.inner(.keysAndValues)))
  }

  /// Whether a place of the block is computed for those behind it, too, so that it has to be visited whether anybody looks
  /// or not.
  package func isNeeded(_ site: ReadingSite) -> Bool {
    switch site.place {
    case .norm: site.stage > 0 && !stages[site.stage].isBeside
    case .output(let part): BlockWalk.isKept(stages[site.stage].parts[part])
    case .latent, .expertInput, .expertOutput, .embedding, .table, .router: false
    }
  }

  /// Whether what a part's last layer reads is kept for all positions, and not computed again.
  private static func isKept(_ part: PartSpec) -> Bool { part.attendedSize != nil }

  /// Calls `body` with what is read at a place of the block, some rows at a time: all positions in their order, or those
  /// that go through an expert.
  ///
  /// The layers that read at earlier places must be known.
  ///
  /// - Parameters:
  ///   - positions: of a place of an expert: those that are taken, ascending, whether they go through it or not; nil: its own.
  ///   - body: (rows of the input, how many there are).
  package func visit(
    _ site: ReadingSite, positions: [Int]? = nil, _ body: (Activations, Int) throws -> Void
  ) rethrows {
    let stage = stages[site.stage]
    switch site.place {
    case .norm:
      let before = isNeeded(site) ? parts(endingAt: site.stage - 1) : []
      try forEachPiece { piece, position in
        if !before.isEmpty { complete(before, piece, position: position) }
        normalize(norms[site.stage], for: nil, piece.count)
        try body(normed, piece.count)
      }
    case .latent(let index, let latent):
      try visit(latent, of: stage.parts[index], stage: site.stage, body)
    case .embedding:
      try forEachPiece { piece, _ in
        embedTokens(at: piece, into: copies)
        try body(copies, piece.count)
      }
    case .table: break
    case .router(let index):
      guard case .experts(let experts) = stage.parts[index].mixer else { return }
      try forEachPiece { piece, _ in
        normalize(norm(experts.ownNorms, "mlp.router_norm"), for: nil, piece.count)
        try body(normed, piece.count)
      }
    case .output(let index):
      let part = stage.parts[index]
      let inputs = group(inputs(of: [part]))
      try forEachPiece { piece, position in
        let inner = compute(part, inputs, of: site.stage, piece, position: position)
        if BlockWalk.isKept(part) { heads?.copyRows(inner, count: piece.count, to: piece.lowerBound) }
        try body(inner, piece.count)
      }
    case .expertInput(let index, let expert):
      let own = positions ?? self.positions(of: expert, in: stage.parts[index], of: site.stage)
      try forEachRows(at: own, of: site.stage) { try body(normed, $0) }
    case .expertOutput(let index, let expert):
      guard case .experts(let experts) = stage.parts[index].mixer, let buffers = work?.buffers.experts else { return }
      let layers = group(
        stage.parts[index].inputs(hidden: spec.hiddenSize).filter { $0.expert == expert })
      let own = positions ?? self.positions(of: expert, in: stage.parts[index], of: site.stage)
      try forEachRows(at: own, of: site.stage) { count in
        if layers.readsRounded(context) {
          normed.quantize(count: count, leavingOut: layers.outlierColumns, on: context)
        }
        let neurons = experts.expert.isGated ? buffers.neurons : [buffers.neurons[0]]
        layers(normed, count: count, into: neurons, on: context)
        forward.finish(experts.expert, neurons, count: count)
        try body(neurons[0], count)
      }
    }
  }

  /// Calls `body` with what the inner layers of a part read.
  private func visit(
    _ latent: ReadingSite.Latent, of part: PartSpec, stage: Int, _ body: (Activations, Int) throws -> Void
  ) rethrows {
    guard case .latentAttention(let spec) = part.mixer, let buffers = work?.buffers, let own = buffers.latent,
      let norm = norm(spec.norm, latent == .queries ? "attention.query_latent_norm" : "attention.latent_norm")
    else { return }
    let inputs = group(inputs(of: [part]))
    try forEachPiece { piece, _ in
      normalize(norms[stage], for: inputs, piece.count)
      inputs(normed, count: piece.count, into: own.inputs(of: spec), on: context)
      try body(forward.normalize(latent, norm, own, count: piece.count, for: nil), piece.count)
    }
  }

  /// How many positions go through each expert of a part whose router is known.
  package func expertCounts(stage: Int, part: Int) -> [Int] {
    guard case .experts(let experts) = stages[stage].parts[part].mixer else { return [] }
    route(stages[stage].parts[part], of: stage)
    var counts = [Int](repeating: 0, count: experts.count)
    for choice in routes.joined() { counts[choice.expert] += 1 }
    return counts
  }

  /// Finds out which experts all positions go through.
  func route(_ part: PartSpec, of stage: Int) {
    guard routes.isEmpty, case .experts(let experts) = part.mixer, let buffers = work?.buffers.experts else { return }
    let routing = ExpertRouting(
      experts, choiceBias: vectors["mlp.router.choice"]?.values ?? [],
      factors: vectors["mlp.router.factors"]?.values ?? [], keeping: keptExperts)
    let own = part.ownRouter(hidden: spec.hiddenSize)
    let router = group(own.isEmpty ? inputs(of: [part]).filter { $0.name == "mlp.router" } : own)
    forEachPiece { piece, _ in
      normalize(own.isEmpty ? norms[stage] : norm(experts.ownNorms, "mlp.router_norm"), for: router, piece.count)
      router(normed, count: piece.count, into: [buffers.router], on: context)
      routes += forward.route(routing, buffers.router, count: piece.count)
    }
  }

  /// The positions that go through an expert.
  private func positions(of expert: Int, in part: PartSpec, of stage: Int) -> [Int] {
    route(part, of: stage)
    return routes.indices.filter { routes[$0].contains { $0.expert == expert } }
  }

  /// Calls `body` with so many rows in `normed` at a time: what experts read at some positions.
  private func forEachRows(at places: [Int], of stage: Int, _ body: (Int) throws -> Void) rethrows {
    for start in stride(from: 0, to: places.count, by: BlockWalk.rowLimit) {
      let some = Array(places[start..<min(start + BlockWalk.rowLimit, places.count)])
      rows.copyRows(hidden, at: some)
      normalize(expertNorm(stage), for: nil, some.count)
      try body(some.count)
    }
  }

  /// Ends the block, all of whose layers must be known: hidden states are those behind it.
  package func finish() {
    let parts = parts(endingAt: stages.count - 1)
    forEachPiece { piece, position in
      complete(parts, piece, position: position, scale: vectors["scale"]?.values[0])
    }
    weights = [:]
  }

  /// A part whose results are to be added to the rows.
  private struct PendingPart {
    let stage: Int
    let weights: PartWeights
    /// The layers that read the stage's input; nil where what they give is kept.
    let inputs: LinearGroup?
  }

  /// The parts of a stage and of those before it that it stands beside.
  private func parts(endingAt last: Int) -> [PendingPart] {
    var first = last
    while first > 0, stages[first].isBeside { first -= 1 }
    return (first...last).flatMap { stage in
      stages[stage].parts.map { part in
        PendingPart(
          stage: stage, weights: weights(of: part), inputs: BlockWalk.isKept(part) ? nil : group(inputs(of: [part])))
      }
    }
  }

  /// Computes what a part's last layer reads, from the rows; of experts, what the shared one's reads.
  ///
  /// - Parameters:
  ///   - piece: where the rows are among all positions.
  ///   - position: of the first row in its sequence.
  private func compute(
    _ part: PartSpec, _ layers: LinearGroup, of stage: Int, _ piece: Range<Int>, position: Int
  ) -> Activations {
    guard let work else { preconditionFailure("no block has begun") }
    let (buffers, count) = (work.buffers, piece.count)
    normalize(norms[stage], for: layers, count)
    layers(normed, count: count, into: buffers.outputs(of: [part]), on: context)
    switch part.mixer {
    case .attention(let attention):
      attend(attention, work, position: position, piece: piece)
      forward.finish(attention, buffers, count: count)
      return buffers.attended
    case .latentAttention(let spec):
      guard let inner = latent(of: part) else { preconditionFailure("a layer is not known") }
      forward.expand(spec, inner, buffers, count: count)
      attend(spec.expanded, work, position: position, piece: piece)
      return forward.narrow(spec, buffers, count: count)
    case .feedForward(let mlp):
      forward.finish(mlp, buffers.mlp, count: count)
      return buffers.inner
    case .experts(let experts):
      guard let own = buffers.experts, let shared = experts.shared else { return normed }
      forward.finish(shared, own.shared, count: count)
      return own.shared[0]
    case .tokenInput:
      guard let weights = tokenInput(of: part), let own = buffers.input else {
        preconditionFailure("a layer is not known")
      }
      embedTokens(at: piece, into: copies)
      forward.finish(weights, own, copies, tokens: tokens(at: piece))
      return own.gate
    case .recurrent: preconditionFailure("a model that is not computed was not refused")
    }
  }

  /// Adds what parts give to the rows, and keeps them as the hidden states of a piece.
  ///
  /// - Parameter scale: what the rows are multiplied with then; nil: nothing.
  private func complete(_ parts: [PendingPart], _ piece: Range<Int>, position: Int, scale: Float? = nil) {
    guard let work else { preconditionFailure("no block has begun") }
    // What is computed again reads the rows as they are before anything is added.
    let results = parts.map { part -> Activations in
      guard let inputs = part.inputs else {
        let attended = work.buffers.latent?.attended ?? work.buffers.attended
        if let heads { attended.copyRows(heads, from: piece) }
        return attended
      }
      if let experts = part.weights.experts, let buffers = work.buffers.experts {
        normalize(norms[part.stage], for: inputs, piece.count)
        inputs(
          normed, count: piece.count, into: work.buffers.outputs(of: [part.weights.spec]),
          on: context)
        forward.compute(experts, of: normed, stream: rows, buffers, count: piece.count)
        return buffers.sum
      }
      return compute(part.weights.spec, inputs, of: part.stage, piece, position: position)
    }
    for (part, result) in zip(parts, results) {
      forward.add(part.weights, result, to: rows, branch: branch, other: copies, count: piece.count)
    }
    if let scale { rows.scaleRows(by: scale, count: piece.count, on: context) }
    hidden.copyRows(rows, count: piece.count, to: piece.lowerBound)
  }
}
