package import FurlBase

extension EvaluationReport.TextFigures {
  /// What a report says about a text, in the order of its keys.
  package var members: [JSON.Member] {
    var members: [JSON.Member] = [
      .init("perplexity", .number(perplexity)), .init("kl_divergence", .optional(klDivergence)),
      .init("tokens", .integer(tokens)),
    ]
    if let bytes { members.append(.init("bytes", .integer(bytes))) }
    if let bitsPerByte { members.append(.init("bits_per_byte", .number(bitsPerByte))) }
    if let comparison { members.append(.init("comparison", comparison.json)) }
    if !chunks.isEmpty { members.append(.init("chunks", .array(chunks.map(\.json)))) }
    return members
  }

  /// Reads what a report says about a text; a figure that the windows contradict is an error.
  package init(_ reader: DocumentReader) throws {
    guard let items = try reader.readers("results") else { throw reader.error("results", "is missing") }
    guard items.isEmpty else { throw reader.error("results", "a text has none") }
    let positive = 0...Double.greatestFiniteMagnitude
    self.init(
      perplexity: try reader.figure("perplexity", in: positive),
      klDivergence: try reader.number("kl_divergence", in: anyFinite),
      interval95: try reader.interval("interval_95"), tokens: try reader.integer("tokens", in: 0...(.max)) ?? 0,
      bytes: try reader.integer("bytes", in: 0...(.max)),
      comparison: try reader.reader("comparison").map {
        try .init($0, tokens: reader.integer("tokens", in: 1...(.max)) ?? 1)
      },
      chunks: try reader.readers("chunks")?.map { try .init($0) } ?? [])
    // It follows from the others.
    _ = try reader.number("bits_per_byte", in: positive)
    guard !chunks.isEmpty else { return }
    guard tokens == chunks.reduce(0, { $0 + $1.tokens }) else {
      throw reader.error("tokens", "does not follow from the chunks")
    }
    func equal(_ key: String, _ value: Double?, _ other: Double?) throws {
      guard value == other else {
        throw reader.error(key, "does not follow from the chunks", remedy: "make the report again with furl eval")
      }
    }
    try equal("perplexity", perplexity, exp(Self.meanLoss(chunks)))
    try equal("kl_divergence", klDivergence, Self.meanDivergence(chunks))
  }

  package func check(_ reader: DocumentReader) throws {
    if reader.optional("limit") != nil { throw reader.error("limit", "means nothing for a text") }
  }
}

private let anyFinite = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude

extension EvaluationReport.TextChunk {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [.init("tokens", .integer(tokens)), .init("loss", .number(loss))]
    if let baselineLoss { members.append(.init("baseline_loss", .number(baselineLoss))) }
    if let divergence { members.append(.init("kl_divergence", .number(divergence))) }
    return .object(members)
  }

  fileprivate init(_ reader: DocumentReader) throws {
    guard let tokens = try reader.integer("tokens", in: 1...1_000_000) else {
      throw reader.error("tokens", "is missing")
    }
    self.init(
      tokens: tokens, loss: try reader.figure("loss", in: anyFinite),
      baselineLoss: try reader.number("baseline_loss", in: anyFinite),
      divergence: try reader.number("kl_divergence", in: anyFinite))
    try reader.finish()
  }
}

extension EvaluationReport.TextComparison {
  fileprivate var json: JSON {
    [
      "baseline_perplexity": .number(baselinePerplexity), "perplexity_ratio": .number(ratio),
      "perplexity_ratio_interval_95": .interval(ratioInterval95),
      "kl_divergence_interval_95": .interval(divergenceInterval95),
      "kl_divergence_percentiles": divergences.json, "same_top": .number(sameTop.value),
      "same_top_tokens": .integer(sameTop.successes),
      "delta_p": ["mean": .number(deltaMean), "rms": .number(deltaRMS), "percentiles": deltas.json],
    ]
  }

  fileprivate init(_ reader: DocumentReader, tokens: Int) throws {
    func interval(_ key: String) throws -> ClosedRange<Double> {
      guard let interval = try reader.interval(key) else { throw reader.error(key, "is missing") }
      return interval
    }
    let delta = try reader.mapping("delta_p")
    let share = try reader.figure("same_top", in: 0...1)
    guard let agreed = try reader.integer("same_top_tokens", in: 0...tokens) else {
      throw reader.error("same_top_tokens", "is missing")
    }
    let sameTop = Proportion(successes: agreed, count: tokens)
    guard sameTop.value == share else { throw reader.error("same_top", "does not follow from same_top_tokens") }
    self.init(
      baselinePerplexity: try reader.figure("baseline_perplexity", in: 0...(.greatestFiniteMagnitude)),
      ratio: try reader.figure("perplexity_ratio", in: 0...(.greatestFiniteMagnitude)),
      ratioInterval95: try interval("perplexity_ratio_interval_95"),
      divergenceInterval95: try interval("kl_divergence_interval_95"),
      divergences: try .init(reader.mapping("kl_divergence_percentiles")),
      sameTop: sameTop, deltaMean: try delta.figure("mean", in: -1...1),
      deltaRMS: try delta.figure("rms", in: 0...1), deltas: try .init(delta.mapping("percentiles")))
    try delta.finish()
    try reader.finish()
  }
}

extension EvaluationReport.Percentiles {
  fileprivate var json: JSON {
    .object(zip(Self.shares, values).map { JSON.Member($0.0.name, .number($0.1)) })
  }

  fileprivate init(_ reader: DocumentReader) throws {
    self.init(values: try Self.shares.map { try reader.figure($0.name, in: anyFinite) })
    try reader.finish()
  }
}
