import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer

/// What is timed: a model that reads seeded random tokens, as prompts and one by one.
final class SpeedRounds {
  private let model: LanguageModel
  private let tokenizer: Tokenizer
  private let session: Session
  private let settings: SpeedMeasurement.SpeedSettings
  private let prompt: [Int]
  private let context: [Int]
  private let continuation: [Int]
  private var draws = SplitMix64(seed: 0)
  private let vocabulary: UInt64
  private let clock = ContinuousClock()

  /// - Throws: ``FurlError`` of kind `usage` when the tokens do not fit in the model's context, and of kind `unavailable`.
  init(
    _ file: ModelFile, _ loaded: (model: LanguageModel, tokenizer: Tokenizer),
    _ settings: SpeedMeasurement.SpeedSettings,
    _ math: ComputeContext
  ) throws {
    (model, tokenizer) = loaded
    self.settings = settings
    session = try Session(model, context: math, format: settings.format)
    vocabulary = UInt64(max(1, min(tokenizer.vocabularySize, model.spec.vocabularySize)))
    let room = session.contextLength
    let longest = max(
      settings.promptTokens, settings.decodeContext + settings.decodeTokens,
      settings.batch == nil ? 0 : settings.batchTokens)
    guard longest <= room else {
      throw FurlError(
        .usage, file: file.path, "\(longest) tokens do not fit in a context of \(room)",
        remedy: "lower --prompt-tokens, --decode-tokens or --decode-context")
    }
    let ids = SpeedRounds.draw(
      max(settings.promptTokens, settings.decodeTokens, settings.decodeContext), of: vocabulary, &draws)
    prompt = Array(ids.prefix(settings.promptTokens))
    context = Array(ids.prefix(settings.decodeContext))
    continuation = Array(ids.prefix(settings.decodeTokens))
  }

  private static func draw(_ count: Int, of vocabulary: UInt64, _ draws: inout SplitMix64) -> [Int] {
    (0..<count).map { _ in Int(draws.next() % vocabulary) }
  }

  private func time(_ body: () throws -> Void) rethrows -> Double {
    let start = clock.now
    try body()
    return (clock.now - start).seconds
  }

  private func read(_ prompt: [Int]) throws {
    session.truncate(slot: 0)
    for start in stride(from: 0, to: prompt.count, by: session.rowLimit) {
      let end = min(start + session.rowLimit, prompt.count)
      try session.forward([
        .init(slot: 0, ids: Array(prompt[start..<end]), logits: end == prompt.count ? .last : .none)
      ])
    }
  }

  private func decodeAll() throws {
    for id in continuation {
      try session.forward([.init(slot: 0, ids: [id], logits: .last, isGenerated: true)])
      _ = session.logits.argmax(row: 0, session.context.kernels)
    }
  }

  /// Everything once, so that caches and pages are warm.
  func warmUp() throws {
    try read(prompt)
    try read(context)
    try decodeAll()
  }

  /// Tokens of the prompt a second, for each repeat.
  func prefill() throws -> [Double] {
    try (0..<settings.repeats).map { _ in Double(prompt.count) / (try time { try read(prompt) }) }
  }

  /// Tokens a second, for each repeat; reading the context is no part of what decoding takes.
  ///
  /// - Returns: beside them the seconds of CPU time that each token took, and what the processor counted.
  func decode(_ hardware: HardwareCounters) throws -> (rates: [Double], cpuSeconds: [Double], counters: CounterReading)
  {
    var cpuSeconds: [Double] = []
    var counts: [HardwareCounters.Counts] = []
    let rates = try (0..<settings.repeats).map { _ in
      try read(context)
      let (before, used) = (hardware.counts(), ProcessorTime.own)
      let seconds = try time(decodeAll)
      cpuSeconds.append((ProcessorTime.own - used) / Double(max(1, continuation.count)))
      counts.append(HardwareCounters.difference(hardware.counts(), before))
      return Double(continuation.count) / seconds
    }
    let counters = CounterReading(
      counts: counts.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) },
      tokens: continuation.count * settings.repeats, reason: hardware.reason)
    return (rates, cpuSeconds, counters)
  }

  /// What decoding takes in energy.
  func energy() throws -> EnergyReading {
    try DecodeEnergy(repeats: settings.repeats).measure(tokens: continuation.count) {
      try read(context)
    } work: {
      try decodeAll()
    }
  }

  /// New tokens a second of all sequences of a batch, reading the prompts included.
  func batched(_ batch: SpeedMeasurement.Batch) throws -> Double {
    let slots = try Session(
      model, context: session.context, slots: min(batch.slots, batch.sequences), contextLength: settings.batchTokens,
      format: settings.format)
    let generator = Generator(session: slots, tokenizer: tokenizer)
    let requests = (0..<batch.sequences).map { _ in
      var request = GenerationRequest(
        ids: SpeedRounds.draw(settings.promptTokens, of: vocabulary, &draws), maxTokens: settings.decodeTokens)
      request.endsAtEndOfText = false
      return request
    }
    var generated = 0
    let seconds = try time { try generator.run(requests) { generated += $1.tokenCount } }
    return Double(generated) / seconds
  }
}
