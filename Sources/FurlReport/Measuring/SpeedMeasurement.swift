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
    package var quantizesActivations: Bool
    package var format: KeyValueCache.CacheFormat?

    package init(
      threads: Int, promptTokens: Int = 256, decodeTokens: Int = 128, decodeContext: Int = 0, batch: Batch? = nil,
      repeats: Int = 3, quantizesActivations: Bool = true, format: KeyValueCache.CacheFormat? = nil
    ) {
      self.threads = threads
      self.promptTokens = promptTokens
      self.decodeTokens = decodeTokens
      self.decodeContext = decodeContext
      self.batch = batch
      self.repeats = repeats
      self.quantizesActivations = quantizesActivations
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
    let (model, tokenizer) = try file.loadAll(pool: pool)
    loadSeconds = [(clock.now - start).seconds]
    loadedBytes = ProcessMemory.current()?.resident
    let session = try Session(
      model, context: .init(pool: pool, kernels: kernels, quantizesActivations: settings.quantizesActivations),
      format: settings.format)
    var generator = SplitMix64(seed: 0)
    let room = session.contextLength
    let batchTokens = settings.batch == nil ? 0 : settings.promptTokens + settings.decodeTokens
    let longest = max(settings.promptTokens, settings.decodeContext + settings.decodeTokens, batchTokens)
    guard longest <= room else {
      throw FurlError(
        .usage, file: path, "\(longest) tokens do not fit in a context of \(room)",
        remedy: "lower --prompt-tokens, --decode-tokens or --decode-context")
    }
    let vocabulary = UInt64(min(tokenizer.vocabularySize, model.spec.vocabularySize))
    func draw(_ count: Int) -> [Int] { (0..<count).map { _ in Int(generator.next() % max(1, vocabulary)) } }
    let ids = draw(max(settings.promptTokens, settings.decodeTokens, settings.decodeContext))
    let prompt = Array(ids.prefix(settings.promptTokens))
    let continuation = Array(ids.prefix(settings.decodeTokens))
    func time(_ body: () throws -> Void) rethrows -> Double {
      let start = clock.now
      try body()
      return (clock.now - start).seconds
    }
    func read(_ prompt: [Int]) throws {
      session.truncate(slot: 0)
      for start in stride(from: 0, to: prompt.count, by: session.rowLimit) {
        let end = min(start + session.rowLimit, prompt.count)
        try session.forward([
          .init(slot: 0, ids: Array(prompt[start..<end]), logits: end == prompt.count ? .last : .none)
        ])
      }
    }
    func readPrompt() throws { try read(prompt) }
    func decodeAll() throws {
      for id in continuation {
        try session.forward([.init(slot: 0, ids: [id], logits: .last)])
        _ = session.logits.argmax(row: 0, kernels)
      }
    }
    let context = Array(ids.prefix(settings.decodeContext))
    try readPrompt()
    try read(context)
    try decodeAll()
    prefill = try (0..<settings.repeats).map { _ in Double(prompt.count) / (try time(readPrompt)) }
    var cpuSeconds: [Double] = []
    var counts: [HardwareCounters.Counts] = []
    decode = try (0..<settings.repeats).map { _ in
      try read(context)
      // Reading the context is no part of what decoding takes.
      let (before, used) = (hardware.counts(), ProcessorTime.own)
      let seconds = try time(decodeAll)
      cpuSeconds.append((ProcessorTime.own - used) / Double(max(1, continuation.count)))
      counts.append(HardwareCounters.difference(hardware.counts(), before))
      return Double(continuation.count) / seconds
    }
    cpuSecondsPerToken = cpuSeconds
    counters = CounterReading(
      counts: counts.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) },
      tokens: continuation.count * settings.repeats, reason: hardware.reason)
    energy = try DecodeEnergy(repeats: settings.repeats).measure(tokens: continuation.count) {
      try read(context)
    } work: {
      try decodeAll()
    }
    if let batch = settings.batch {
      let slots = try Session(
        model, context: session.context, slots: min(batch.slots, batch.sequences), contextLength: batchTokens,
        format: settings.format)
      let batchGenerator = Generator(session: slots, tokenizer: tokenizer)
      let requests = (0..<batch.sequences).map { _ in
        var request = GenerationRequest(ids: draw(settings.promptTokens), maxTokens: settings.decodeTokens)
        request.endsAtEndOfText = false
        return request
      }
      var generated = 0
      let seconds = try time { try batchGenerator.run(requests) { generated += $1.tokenCount } }
      batched = [Double(generated) / seconds]
    }
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
