import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec

/// Takes experts by what predictions lose: in every round each block loses the one whose absence, beside those that are gone
/// from all blocks already, moves predictions least.
///
/// How much a layer's outputs change says little of that on its own (`Benchmarks/NOTES.md`).
struct ExpertSurvey {
  private let probe: SensitivityProbe
  private let scores: [ExpertScores?]
  private let context: ChangeContext

  /// Multiplications that all measurements together may take, about, and positions of one.
  private static let work = 2e13
  private static let positions = 512.0...2048
  /// Experts of a block that are measured in a round: those whose absence changes the block's outputs least.
  private static let candidates = 16

  /// - Parameters:
  ///   - scores: of each block; nil for a block without experts.
  ///   - rounds: experts that go from each block.
  init(_ model: Checkpoint, _ scores: [ExpertScores?], rounds: Int, _ context: ChangeContext) throws {
    self.scores = scores
    self.context = context
    let each = scores.reduce(0) { $0 + min(ExpertSurvey.candidates, $1?.tokens.count ?? 0) }
    probe = try SensitivityProbe(
      of: model, measurements: each * rounds, work: ExpertSurvey.work, positions: ExpertSurvey.positions, context)
  }

  /// The scores with what was measured, and with what goes.
  func run(rounds: Int) throws -> [ExpertScores?] {
    var result = scores
    var gone = scores.map { _ in [Int]() }
    for round in 0..<rounds {
      // In the first round each block is looked at alone, so that figures stand for single experts.
      let before = gone
      for block in scores.indices.reversed() {
        guard let own = scores[block] else { continue }
        context.progress(
          "measuring experts, round \(round + 1) of \(rounds), block", scores.count - 1 - block, scores.count)
        let found = try divergences(of: block, round == 0 ? before : gone, own)
        guard let next = found.min(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key else { continue }
        gone[block].append(next)
        if round == 0 { result[block]?.divergences = own.tokens.indices.map { found[$0] } }
      }
    }
    for block in result.indices { result[block]?.removed = gone[block] }
    return result
  }

  /// What the absence of each of a block's candidates costs beside what is gone, by expert.
  private func divergences(of block: Int, _ gone: [[Int]], _ own: ExpertScores) throws -> [Int: Double] {
    let left = own.tokens.indices.filter { !gone[block].contains($0) }
    let some = left.sorted { (own.measured[$0], $0) < (own.measured[$1], $1) }.prefix(ExpertSurvey.candidates)
    var found: [Int: Double] = [:]
    for expert in some {
      var kept: [Int: [Int]] = [:]
      for (other, scores) in scores.enumerated() {
        guard let scores, !gone[other].isEmpty || other == block else { continue }
        kept[other] = scores.tokens.indices.filter {
          !gone[other].contains($0) && (other != block || $0 != expert)
        }
      }
      found[expert] = try probe.divergence(replacing: [:], keepingExperts: kept)
    }
    return found
  }
}
