import FurlNumerics
import FurlTensor

/// What a step that changes a model works with, beside the model.
struct ChangeContext {
  /// What the model reads: [sequences][tokens].
  let sequences: [[Int]]
  /// Other texts, to measure on.
  let probes: [[Int]]
  /// What is computed with, and by which threads.
  let math: DenseMath
  /// For what is written on the way.
  let folder: String
  /// (what is done, blocks done, blocks).
  let progress: (String, Int, Int) -> Void

  var pool: WorkerPool { math.pool }
}
