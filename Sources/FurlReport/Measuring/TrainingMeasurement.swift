package import FurlBase
import FurlCheckpoint
import FurlModel
import FurlNumerics
import FurlSpec
import FurlTensor

/// What one process measures of training one model: whole steps of forward pass, backward pass, clipping and AdamW.
package struct TrainingMeasurement: Sendable {
  /// How it is measured.
  package struct TrainingSpeedSettings: Sendable {
    package var threads: Int
    package var sequences: Int
    package var length: Int
    package var steps: Int

    package init(threads: Int, sequences: Int, length: Int, steps: Int) {
      self.threads = threads
      self.sequences = sequences
      self.length = length
      self.steps = steps
    }
  }

  /// Of each step; the first one takes the memory.
  package var seconds: [Double] = []
  /// CPU time of all threads in each step, those that wait included: what a busy machine changes least.
  package var cpuSeconds: [Double] = []
  /// Mean cross entropy before each step, nats.
  package var losses: [Double] = []
  package var peakBytes: Int?
  package var competingLoad: Double?

  /// Trains on seeded ids, which any program can draw: id i is 40503 i modulo 65536, modulo the vocabulary.
  ///
  /// - Throws: ``FurlError``.
  package init(checkpoint path: String, settings: TrainingSpeedSettings) throws {
    let checkpoint = try Checkpoint(path: path)
    let spec = checkpoint.spec
    guard settings.sequences > 0, settings.steps > 0, (1...spec.contextLength).contains(settings.length) else {
      throw FurlError(.usage, "a batch of \(settings.sequences) x \(settings.length) tokens cannot be trained on")
    }
    let math = DenseMath(pool: WorkerPool(threads: settings.threads), kernels: try Kernels.forTransforms())
    let parameters = try ModelParameters(checkpoint)
    checkpoint.dropPages()
    let gradients = try ModelParameters(zeros: spec)
    let optimizer = try AdamW(count: parameters.all.count)
    let rows = settings.sequences * settings.length
    let pass = try TrainingPass(
      spec, sequences: settings.sequences, length: settings.length, isTrained: true, math: math)
    let head = try HeadLoss(rows: rows, vocabulary: spec.vocabularySize, hasTeacher: false, math: math)
    let gradient = try Matrix(rows: rows, columns: spec.hiddenSize)
    let ids = (0...rows).map { ($0 * 40503) % 65536 % spec.vocabularySize }
    let load = CompetingLoad()
    let clock = ContinuousClock()
    for _ in 0..<settings.steps {
      let start = clock.now
      let startOfCPU = clockSeconds()
      gradients.all.clear()
      pass.forward(parameters, ids: Array(ids[..<rows]))
      let sums = head(
        hidden: pass.output, head: parameters.head, targets: Array(ids[1...]), teacher: nil,
        weights: .init(entropy: 1 / Float(rows), divergence: 0),
        gradients: .init(hidden: gradient, head: gradients.head))
      try pass.backward(parameters, gradients: gradients, from: gradient, ids: Array(ids[..<rows]))
      let norm = math.squares(gradients.all).squareRoot()
      optimizer.step(
        parameters.all, gradients.all, gradientScale: norm > 1 ? Float(1 / norm) : 1, rate: 1e-4,
        parts: [.init(range: 0..<parameters.all.count, decay: 0.01)], with: math)
      let elapsed = clock.now - start
      cpuSeconds.append(clockSeconds() - startOfCPU)
      seconds.append(Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18)
      losses.append(sums.entropy / Double(rows))
    }
    competingLoad = load?.share()
    peakBytes = ProcessMemory.current()?.peak
  }

  package var json: JSON {
    [
      "step_seconds": .array(seconds.map(JSON.number)), "step_cpu_seconds": .array(cpuSeconds.map(JSON.number)),
      "losses": .array(losses.map(JSON.number)),
      "peak_rss_bytes": peakBytes.map(JSON.integer) ?? .null,
      "competing_load": competingLoad.map(JSON.number) ?? .null,
    ]
  }
}

/// CPU time of this process.
private func clockSeconds() -> Double {
  var usage = rusage()
  guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
  func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
  return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
