import FurlSpec
import FurlTensor

// Experts: rows are sorted by the experts that they go through, and all experts that have any are computed together.
extension BlockForward {
  /// The experts of each row, from what their router has given.
  func route(_ routing: ExpertRouting, _ router: Activations, count: Int) -> [[ExpertRouting.ChosenExperts]] {
    context.map(count) { row in router.withRow(row) { routing.choose($0) } }
  }

  /// Computes the chosen experts of some rows, and the shared one, into `sum`.
  ///
  /// Each expert is read once for all of its rows, as far as there is room for them; a row adds its experts up in the
  /// order of their numbers.
  ///
  /// - Parameters:
  ///   - input: what the stage's layers read.
  ///   - stream: the residual stream that the stage reads.
  func compute(
    _ weights: ExpertWeights, of input: Activations, stream: Activations, _ buffers: ExpertBuffers, count: Int
  ) {
    var input = input
    if let own = weights.own {
      route(own, stream, buffers, count: count)
      input = readByExperts(own, stream, buffers, count: count)
    }
    let choices = route(weights.routing, buffers.router, count: count)
    buffers.sum.clear(count: count)
    for wave in ExpertWave.waves(of: choices, experts: weights.spec.count, room: buffers.rows.capacity) {
      compute(wave, weights.experts, weights.spec.expert, of: input, buffers)
      let (added, starts) = wave.added(count: count)
      buffers.sum.addRows(buffers.output, added, starts: starts, on: context)
    }
    if let own = weights.own {
      normalize(buffers.sum, own.expertOutputNorm, count: count, for: nil, into: buffers.normed)
      buffers.sum.copyRows(buffers.normed, count: count, to: 0)
    }
    guard let output = weights.sharedOutput, let mlp = weights.spec.shared else { return }
    finish(mlp, buffers.shared, count: count)
    buffers.shared[0].clearPadding(count: count)
    apply(output, buffers.shared[0], count: count, into: buffers.output)
    if let own = weights.own {
      normalize(buffers.output, own.sharedOutputNorm, count: count, for: nil, into: buffers.normed)
      return buffers.sum.add(buffers.normed, count: count, on: context)
    }
    let factors = (0..<count).map { row -> Float in
      guard weights.spec.gatesShared else { return 1 }
      return Float(1 / (1 + Elementary.exp(-Double(buffers.sharedRouter[row][0]))))
    }
    buffers.sum.addRows(buffers.output, times: factors, on: context)
  }

  /// What a router gives that reads the stream through a norm of its own.
  func route(_ own: ExpertWeights.OwnNorms, _ stream: Activations, _ buffers: ExpertBuffers, count: Int) {
    normalize(stream, own.routerNorm, count: count, for: own.router, into: buffers.normed)
    own.router(buffers.normed, count: count, into: [buffers.router], on: context)
  }

  /// What experts read that have a norm of their own before them.
  func readByExperts(
    _ own: ExpertWeights.OwnNorms, _ stream: Activations, _ buffers: ExpertBuffers, count: Int
  ) -> Activations {
    normalize(stream, own.expertNorm, count: count, for: nil, into: buffers.normed)
    return buffers.normed
  }

  /// Computes the experts of a wave on their rows, into `output`.
  func compute(
    _ wave: ExpertWave, _ experts: [ExpertWeights.Expert], _ mlp: FeedForwardSpec, of input: Activations,
    _ buffers: ExpertBuffers
  ) {
    let neurons = mlp.isGated ? buffers.neurons : [buffers.neurons[0]]
    let first = GatheredProducts(wave.members.map { .init(experts[$0.expert].inputs, rows: $0.places) }, on: context)
    first.gather(input, wave.rows, into: buffers.rows)
    first(buffers.rows, into: neurons)
    finish(mlp, neurons, count: wave.rows.count)
    let last = GatheredProducts(wave.members.map { .init(experts[$0.expert].output, rows: $0.places) }, on: context)
    last.quantize(neurons[0])
    last(neurons[0], into: [buffers.output])
  }

  /// Computes one expert on some rows of the input: they come first in `output`, in their order.
  func compute(
    _ expert: ExpertWeights.Expert, _ mlp: FeedForwardSpec, of input: Activations, at rows: [Int],
    _ buffers: ExpertBuffers
  ) {
    let wave = ExpertWave(
      members: [.init(expert: 0, places: 0..<rows.count)], rows: rows, weights: rows.map { _ in 1 })
    compute(wave, [expert], mlp, of: input, buffers)
  }
}

/// Experts that are computed together, with the rows that go through them.
struct ExpertWave {
  struct WaveMember {
    let expert: Int
    /// Where its rows are gathered.
    let places: Range<Int>
  }

  /// In the order of the experts.
  let members: [WaveMember]
  /// For each place, the row of the input, ascending within an expert; between experts there are places that nothing reads.
  let rows: [Int]
  /// The same places' weights.
  let weights: [Float]

  init(members: [WaveMember], rows: [Int], weights: [Float]) {
    self.members = members
    self.rows = rows
    self.weights = weights
  }

  /// - Parameter choices: of all rows; those of other experts are passed over.
  private init(_ members: [WaveMember], of choices: [[ExpertRouting.ChosenExperts]]) {
    let end = members.last?.places.upperBound ?? 0
    let (first, last) = (members.first?.expert ?? 0, members.last?.expert ?? 0)
    var rows = [Int](repeating: 0, count: end)
    var weights = [Float](repeating: 0, count: end)
    var next = [Int](repeating: 0, count: last - first + 1)
    for member in members { next[member.expert - first] = member.places.lowerBound }
    for (row, choices) in choices.enumerated() {
      for choice in choices where choice.expert >= first && choice.expert <= last {
        let place = next[choice.expert - first]
        rows[place] = row
        weights[place] = choice.weight
        next[choice.expert - first] += 1
      }
    }
    self.init(members: members, rows: rows, weights: weights)
  }

  /// The experts that have rows, in waves that fit.
  ///
  /// - Parameter room: rows that can be gathered at once; at least as many as there are rows.
  static func waves(of choices: [[ExpertRouting.ChosenExperts]], experts: Int, room: Int) -> [ExpertWave] {
    var counts = [Int](repeating: 0, count: experts)
    for choices in choices { for choice in choices { counts[choice.expert] += 1 } }
    var waves: [ExpertWave] = []
    var members: [WaveMember] = []
    let alignment = GatheredProducts.alignment
    var end = 0
    for expert in counts.indices where counts[expert] > 0 {
      var start = (end + alignment - 1) / alignment * alignment
      if start + counts[expert] > room {
        waves.append(ExpertWave(members, of: choices))
        (members, start) = ([], 0)
      }
      end = start + counts[expert]
      members.append(WaveMember(expert: expert, places: start..<end))
    }
    if !members.isEmpty { waves.append(ExpertWave(members, of: choices)) }
    return waves
  }

  /// What each of the first `count` rows of the input adds up, in the order of the experts, and where each row's begins.
  func added(count: Int) -> (added: [Activations.AddedRow], starts: [Int]) {
    var starts = [Int](repeating: 0, count: count + 1)
    for member in members { for place in member.places { starts[rows[place] + 1] += 1 } }
    for row in 0..<count { starts[row + 1] += starts[row] }
    var added = [Activations.AddedRow](repeating: .init(row: 0, factor: 0), count: starts[count])
    var next = starts
    for member in members {
      for place in member.places {
        added[next[rows[place]]] = .init(row: place, factor: weights[place])
        next[rows[place]] += 1
      }
    }
    return (added, starts)
  }
}
