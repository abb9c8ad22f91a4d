import FurlBase
import FurlEvaluate
import FurlSpec

/// What one model's row of a report is drawn from: everything that the given documents say about it.
package struct ReportRow: Sendable {
  /// How the model is called: the base name of its file or folder, or a sweep's cell.
  package var name: String
  /// The artifact's id or the checkpoint's digest; documents that carry the same one are about the same model.
  package var digest: String?
  /// The digest of the checkpoint that the model is or was made from.
  package var source: String?
  package var recipe: String?
  package var layers: Int?
  package var diskBytes: Int?
  package var bitsPerWeight: Double?
  package var parameters: Int?
  package var nonzero: Int?
  package var peakBytes: Int?
  /// Tokens a second, one figure for each repeat.
  package var prefill: [Double] = []
  package var decode: [Double] = []
  package var energy: ReportEnergy?
  /// Milliseconds of CPU time that one decoded token took, one figure for each repeat.
  package var cpuPerToken: [Double] = []
  package var competingLoad: Double?
  package var kernels: String?
  package var threads: Int?
  package var quality: [ReportQuality] = []
  /// The verdict of `verify`, when there is one.
  package var verdict: String?

  init(name: String) { self.name = name }

  /// Reads a row of `bench`.
  init(bench row: DocumentReader) throws {
    name = try row.string("name") ?? row.string("path").map(\.lastName) ?? "unnamed"
    digest = try row.string("model")
    source = try row.string("source")
    recipe = try row.string("recipe")
    let counts = 0...Int.max
    let positive = 0...Double.greatestFiniteMagnitude
    layers = try row.integer("layers", in: counts)
    diskBytes = try row.integer("disk_bytes", in: counts)
    bitsPerWeight = try row.number("bits_per_weight", in: positive)
    parameters = try row.reader("parameters")?.integer("total", in: counts)
    nonzero = try row.reader("parameters")?.integer("nonzero", in: counts)
    peakBytes = try row.integer("peak_rss_bytes", in: counts)
    let samples = try row.reader("samples")
    func rates(_ key: String) throws -> [Double] {
      let listed = try samples?.reader(key)?.numbers("samples") ?? []
      return try listed.isEmpty ? row.number(key, in: positive).map { [$0] } ?? [] : listed
    }
    prefill = try rates("prefill_tokens_per_second")
    decode = try rates("decode_tokens_per_second")
    cpuPerToken = try samples?.reader("cpu_seconds_per_token")?.numbers("samples").map { $0 * 1000 } ?? []
    energy = try row.reader("energy").map(ReportEnergy.init)
    competingLoad = try row.number("competing_cpu_share", in: 0...1)
    kernels = try row.string("kernels")
    threads = try row.integer("threads", in: counts)
    quality = try row.readers("quality")?.map(ReportQuality.init) ?? []
    for summary in try row.readers("completions") ?? [] {
      guard let suite = try summary.string("suite"), let place = quality.firstIndex(where: { $0.suite == suite })
      else { continue }
      quality[place].repeating = try summary.integer("repeating", in: counts)
    }
  }

  /// Takes over what another document says about the same model; what is known already stays.
  mutating func absorb(_ other: ReportRow) {
    digest = digest ?? other.digest
    source = source ?? other.source
    recipe = recipe ?? other.recipe
    layers = layers ?? other.layers
    diskBytes = diskBytes ?? other.diskBytes
    bitsPerWeight = bitsPerWeight ?? other.bitsPerWeight
    parameters = parameters ?? other.parameters
    nonzero = nonzero ?? other.nonzero
    verdict = verdict ?? other.verdict
    if prefill.isEmpty, decode.isEmpty {
      peakBytes = peakBytes ?? other.peakBytes
      (prefill, decode, cpuPerToken) = (other.prefill, other.decode, other.cpuPerToken)
      (competingLoad, kernels, threads) = (other.competingLoad, other.kernels, other.threads)
    }
    if energy?.isMeasured != true { energy = other.energy ?? energy }
    for entry in other.quality {
      if let place = quality.firstIndex(where: { $0.isSame(as: entry) }) {
        quality[place].absorb(entry)
      } else {
        quality.append(entry)
      }
    }
  }

  /// Adds another run of the same cell: its samples stand beside those that are there, memory is the highest.
  mutating func addRepeat(_ other: ReportRow) {
    prefill += other.prefill
    decode += other.decode
    cpuPerToken += other.cpuPerToken
    peakBytes = [peakBytes, other.peakBytes].compactMap { $0 }.max()
    competingLoad = [competingLoad, other.competingLoad].compactMap { $0 }.max()
    if let other = other.energy { energy = energy.map { $0.adding(other) } ?? other }
  }

  /// The first entry of a kind, or that of a suite.
  func quality(_ type: any SuiteType.Type, suite: String? = nil) -> ReportQuality? {
    quality.first { $0.kind == type.kind && (suite == nil || $0.suite == suite) }
  }
}

/// The energy of a row: what was measured, or why nothing was.
package struct ReportEnergy: Sendable {
  package var method: String
  package var reason: String?
  package var joulesPerToken: Double?
  package var netJoulesPerToken: Double?
  /// One figure for each repeat.
  package var samples: [Double]
  /// By a model, never mixed with what is measured.
  package var modelledJoulesPerToken: Double?
  package var suites: [SuiteEnergy]

  /// The energy of one run of a suite.
  package struct SuiteEnergy: Sendable {
    package var name: String
    package var joulesPerSample: Double?
    package var joulesPerSolved: Double?
    package var cpuSeconds: Double?
  }

  var isMeasured: Bool { joulesPerToken != nil }

  init(_ reader: DocumentReader) throws {
    let positive = 0...Double.greatestFiniteMagnitude
    let signed = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
    method = try reader.string("method") ?? "none"
    reason = try reader.string("reason")
    joulesPerToken = try reader.number("joules_per_token", in: positive)
    netJoulesPerToken = try reader.number("net_joules_per_token", in: signed)
    samples = try reader.numbers("samples")
    modelledJoulesPerToken = try reader.reader("modelled")?.number("joules_per_token", in: positive)
    suites =
      try reader.readers("suites")?.map {
        SuiteEnergy(
          name: try $0.string("suite") ?? "", joulesPerSample: try $0.number("joules_per_sample", in: positive),
          joulesPerSolved: try $0.number("joules_per_solved", in: positive),
          cpuSeconds: try $0.number("cpu_seconds", in: positive))
      } ?? []
  }

  func adding(_ other: ReportEnergy) -> ReportEnergy {
    var sum = self
    sum.samples += other.samples
    if !sum.samples.isEmpty { sum.joulesPerToken = sum.samples.reduce(0, +) / Double(sum.samples.count) }
    return sum
  }
}

extension DocumentReader {
  /// The numbers of a list; empty when it is missing.
  func numbers(_ key: String) throws -> [Double] {
    guard let value = optional(key) else { return [] }
    guard let list = value.array else { throw error(key, "a list is expected, not \(value.kindName)") }
    return try list.map {
      guard let number = $0.number else { throw error(key, "a number is expected, not \($0.kindName)") }
      return number
    }
  }
}
