import FurlBase
import FurlModel
import FurlSpec
package import FurlTensor
import FurlTokenizer

/// What one process measures of one model: loading, memory, prefill and decoding.
package struct SpeedMeasurement: Sendable {
  /// How it is measured.
  package struct SpeedSettings: Sendable {
    package var threads: Int
    package var promptTokens: Int
    package var decodeTokens: Int
    /// Tokens of context that decoding begins after.
    package var decodeContext: Int
    /// Completions that are generated, several at once; nil for none.
    package var batch: Batch?
    package var repeats: Int
    package var activations: ActivationForm
    package var format: KeyValueCache.CacheFormat?

    /// The positions that a sequence of a batch takes.
    var batchTokens: Int { promptTokens + decodeTokens }

    package init(
      threads: Int, promptTokens: Int = 256, decodeTokens: Int = 128, decodeContext: Int = 0, batch: Batch? = nil,
      repeats: Int = 3, activations: ActivationForm = .int8, format: KeyValueCache.CacheFormat? = nil
    ) {
      self.threads = threads
      self.promptTokens = promptTokens
      self.decodeTokens = decodeTokens
      self.decodeContext = decodeContext
      self.batch = batch
      self.repeats = repeats
      self.activations = activations
      self.format = format
    }
  }

  /// Completions that are generated greedily, with ``SpeedSettings/promptTokens`` and ``SpeedSettings/decodeTokens`` each.
  package struct Batch: Sendable, Hashable {
    package var sequences: Int
    /// The most at once.
    package var slots: Int

    package init(sequences: Int, slots: Int) {
      self.sequences = sequences
      self.slots = slots
    }
  }

  package var loadSeconds: [Double]
  /// Bytes resident after loading, before anything has run.
  package var loadedBytes: Int?
  package var peakBytes: Int?
  /// Tokens a second, one figure for each repeat.
  package var prefill: [Double]
  package var decode: [Double]
  /// New tokens a second of all sequences of a ``Batch``, reading the prompts included.
  package var batched: [Double] = []
  package var energy: EnergyReading
  /// Seconds of CPU time of all threads for a decoded token, one figure for each repeat.
  package var cpuSecondsPerToken: [Double] = []
  /// What the processor counted while decoding.
  package var counters: CounterReading?
  /// The share of the machine's CPU time that others took meanwhile.
  package var competingLoad: Double?
  package var kernels: String

  /// Measures in this process. Peak memory is only meaningful in a process that does nothing else.
  ///
  /// Prompts are seeded random tokens; one round goes before to warm caches and pages.
  package init(path: String, settings: SpeedSettings) throws {
    let watch = CompetingLoad()
    // Before the threads that compute are made: they inherit it.
    let hardware = HardwareCounters()
    let clock = ContinuousClock()
    let start = clock.now
    let pool = WorkerPool(threads: settings.threads)
    let kernels = try Kernels.fromEnvironment()
    let file = try ModelFile(path: path)
    let loaded = try file.loadAll(pool: pool)
    loadSeconds = [(clock.now - start).seconds]
    loadedBytes = ProcessMemory.current()?.resident
    let math = ComputeContext(pool: pool, kernels: kernels, activations: settings.activations)
    let rounds = try SpeedRounds(file, loaded, settings, math)
    try rounds.warmUp()
    prefill = try rounds.prefill()
    let decoded = try rounds.decode(hardware)
    (decode, cpuSecondsPerToken, counters) = (decoded.rates, decoded.cpuSeconds, decoded.counters)
    energy = try rounds.energy()
    batched = try settings.batch.map { [try rounds.batched($0)] } ?? []
    competingLoad = watch?.share()
    peakBytes = ProcessMemory.current()?.peak
    self.kernels = kernels.name
  }
}

extension Duration {
  /// The duration in seconds.
  package var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }
}
