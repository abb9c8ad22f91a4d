import FurlTensor

/// What a step that changes a model works with, beside the model.
struct ChangeContext {
  /// What the model reads: [sequences][tokens].
  let sequences: [[Int]]
  /// Other texts, to measure on.
  let probes: [[Int]]
  let pool: WorkerPool
  /// For what is written on the way.
  let folder: String
  /// (what is done, blocks done, blocks).
  let progress: (String, Int, Int) -> Void
}
