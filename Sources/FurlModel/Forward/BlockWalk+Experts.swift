import FurlBase
import FurlSpec
package import FurlTensor

// Experts of a block all of whose layers are known, for whoever chooses among them.
extension BlockWalk {
  /// From here on positions of the block choose among some experts, as if there were no others.
  ///
  /// - Parameter kept: ascending; nil: all.
  package func keepExperts(_ kept: [Int]?) {
    keptExperts = kept
    routes = []
  }

  /// The experts that each position goes through.
  package func expertRoutes(stage: Int, part: Int) -> [[ExpertRouting.ChosenExperts]] {
    route(stages[stage].parts[part], of: stage)
    return routes
  }

  /// What the experts of a part together give at all positions, the shared one included: [positions][hidden].
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func expertSums(stage: Int, part: Int) throws -> Activations {
    let sums = try Activations(columns: spec.hiddenSize, capacity: max(1, positionCount))
    let part = stages[stage].parts[part]
    guard let experts = weights(of: part).experts, let work, let buffers = work.buffers.experts else { return sums }
    let inputs = group(inputs(of: [part]))
    forEachPiece { piece, _ in
      normalize(norms[stage], for: inputs, piece.count)
      inputs(normed, count: piece.count, into: work.buffers.outputs(of: [part]), on: context)
      forward.compute(experts, of: normed, stream: rows, buffers, count: piece.count)
      sums.copyRows(buffers.sum, count: piece.count, to: piece.lowerBound)
    }
    return sums
  }

  /// What the experts give that some positions would choose first.
  package struct RankedExperts {
    /// The place of the first of the positions.
    package let first: Int
    /// The router's outputs: [positions][count].
    package let logits: [[Float]]
    /// [positions][depth], best first.
    package let ranked: [[Int]]
    /// Row depth * position + rank.
    package let outputs: Activations
    /// The residual stream that the stage reads: a row for each position.
    package let stream: Activations
  }

  /// Calls `body` with the first experts of all positions, some positions at a time.
  ///
  /// - Parameter depth: how many experts of each.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package func visitRankedExperts(
    stage: Int, part: Int, depth: Int, _ body: (ExpertRouting, RankedExperts) throws -> Void
  ) throws {
    let part = stages[stage].parts[part]
    guard let experts = weights(of: part).experts, let buffers = work?.buffers.experts else { return }
    let routing = experts.routing.keeping(nil)
    let own = experts.own
    let router = own?.router ?? group(inputs(of: [part]).filter { $0.name == "mlp.router" })
    let outputs = try Activations(columns: spec.hiddenSize, capacity: BlockWalk.rowLimit * depth)
    try forEachPiece { piece, _ in
      normalize(own?.routerNorm ?? norms[stage], for: router, piece.count)
      router(normed, count: piece.count, into: [buffers.router], on: context)
      if let own { normalize(own.expertNorm, for: nil, piece.count) }
      let logits = (0..<piece.count).map { buffers.router[$0] }
      let ranked = logits.map { routing.ranked($0, count: depth) }
      var places = [[(row: Int, place: Int)]](repeating: [], count: experts.spec.count)
      for (row, best) in ranked.enumerated() {
        for (rank, expert) in best.enumerated() { places[expert].append((row, row * depth + rank)) }
      }
      outputs.clear(count: piece.count * depth)
      for (expert, own) in places.enumerated() where !own.isEmpty {
        forward.compute(experts.experts[expert], experts.spec.expert, of: normed, at: own.map(\.row), buffers)
        for (index, row) in own.enumerated() { outputs.addRow(row.place, buffers.output, row: index, times: 1) }
      }
      try body(
        routing,
        RankedExperts(
          first: piece.lowerBound, logits: logits, ranked: ranked, outputs: outputs, stream: rows))
    }
  }
}
