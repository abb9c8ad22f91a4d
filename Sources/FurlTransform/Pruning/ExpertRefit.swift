import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// Makes the experts of a block that stay give what all of them gave: least squares over their last layers together.
///
/// A position that lost an expert goes through others, whose outputs are not those that it would need. The change of all last
/// layers that makes up for it best is found by block coordinate descent, one expert after the other, each by its own second
/// moments and what the others leave to be desired; a ridge keeps experts that few positions go through near what they were.
struct ExpertRefit {
  let walk: ModelWalk
  /// The model as it was, behind the block.
  let original: ModelWalk
  let math: DenseMath
  let block: Int
  let place: (stage: Int, part: Int)
  let spec: ExpertsSpec

  /// How often every expert is gone through, and what is added to the diagonal of its moments, as a share of their mean.
  private static let sweeps = 2
  private static let ridge = 0.2

  /// The changed last layers by their expert, when the others are gone.
  ///
  /// - Parameter kept: experts that stay, ascending; the walk goes on with them alone.
  func run(keeping kept: [Int]) throws -> [Int: Matrix] {
    let block = walk.walk
    block.keepExperts(nil)
    let missing = try wanted()
    block.keepExperts(kept)
    let own = try block.expertSums(stage: place.stage, part: place.part)
    missing.add(own, times: -1, count: block.positionCount, on: block.context)
    var rows = [[(position: Int, weight: Float)]](repeating: [], count: spec.count)
    for (position, choices) in block.expertRoutes(stage: place.stage, part: place.part).enumerated() {
      for choice in choices { rows[choice.expert].append((position, choice.weight)) }
    }
    let work = try RefitWork(inputs: spec.expert.size, outputs: missing.columns)
    var changes: [Int: Matrix] = [:]
    for _ in 0..<ExpertRefit.sweeps {
      for expert in kept where !rows[expert].isEmpty {
        changes[expert] = try fit(expert, rows[expert], changes[expert], missing, work)
      }
    }
    var result: [Int: Matrix] = [:]
    for (expert, change) in changes {
      let weight = try walk.model.floats("blocks.\(self.block).mlp.experts.\(expert).down")
      weight.values = zip(weight.values, change.values).map { $0 + $1 }
      result[expert] = weight
    }
    return result
  }

  /// What the experts should give together: what makes the residual stream that of the model as it was, where they add to
  /// it as they are and alone; else what all of them would give.
  private func wanted() throws -> Activations {
    let block = walk.walk
    let stage = walk.model.spec.blocks[self.block].stages[place.stage]
    let part = stage.parts[place.part]
    guard stage.parts.count == 1, part.outputNorm == nil, !stage.isBeside else {
      return try block.expertSums(stage: place.stage, part: place.part)
    }
    let difference = try original.walk.hiddenStates()
    difference.add(try block.hiddenStates(), times: -1, count: block.positionCount, on: block.context)
    difference.scaleRows(by: Array(repeating: Float(1 / part.factor), count: block.positionCount))
    return difference
  }

  /// Room for some rows of an expert.
  private struct RefitWork {
    let input: Activations
    let output: Activations

    init(inputs: Int, outputs: Int) throws {
      input = try Activations(columns: inputs, capacity: BlockWalk.rowLimit)
      output = try Activations(columns: outputs, capacity: BlockWalk.rowLimit)
    }
  }

  /// One expert's change, when it was something before; what it makes up for is taken off what is missing.
  private func fit(
    _ expert: Int, _ rows: [(position: Int, weight: Float)], _ before: Matrix?, _ missing: Activations,
    _ work: RefitWork
  ) throws -> Matrix {
    let fit = try ResidualFit(inputs: work.input.columns, outputs: work.output.columns)
    visit(expert, rows, work) { some in
      work.output.copyRows(missing, at: some.map(\.position))
      fit.add(work.input, work.output, count: some.count, on: math)
    }
    let change = try fit.change(from: before, ridge: ExpertRefit.ridge, on: math)
    let step = try Matrix(copying: change)
    if let before { step.values = zip(change.values, before.values).map { $0 - $1 } }
    let layer = LinearGroup([.init(try step.packed(.float32, on: math.pool), bias: nil)])
    visit(expert, rows, work) { some in
      layer(work.input, count: some.count, into: [work.output], on: walk.walk.context)
      for (index, row) in some.enumerated() { missing.addRow(row.position, work.output, row: index, times: -1) }
    }
    return change
  }

  /// Calls `body` with what an expert's last layer reads at its positions, times their weights, some at a time.
  private func visit(
    _ expert: Int, _ rows: [(position: Int, weight: Float)], _ work: RefitWork,
    _ body: (ArraySlice<(position: Int, weight: Float)>) -> Void
  ) {
    var done = 0
    let site = ReadingSite(stage: place.stage, .expertOutput(part: place.part, expert: expert))
    walk.walk.visit(site) { input, count in
      let some = rows[done..<done + count]
      done += count
      work.input.copyRows(input, count: count, to: 0)
      work.input.clearPadding(count: count)
      work.input.scaleRows(by: some.map(\.weight))
      body(some)
    }
  }
}
