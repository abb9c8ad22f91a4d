package import FurlBase

/// What the processor counted while tokens were decoded, or why it did not.
package struct CounterReading: Sendable {
  package var counts: HardwareCounters.Counts
  package var tokens: Int
  package var reason: String?

  package init(counts: HardwareCounters.Counts, tokens: Int, reason: String?) {
    self.counts = counts
    self.tokens = tokens
    self.reason = reason
  }

  init?(_ json: JSON?) {
    guard let json, let tokens = json["tokens"]?.integer else { return nil }
    self.init(counts: [:], tokens: tokens, reason: json["reason"]?.string)
    for member in json["counts"]?.members ?? [] { counts[member.key] = member.value.number }
  }

  /// What a measuring process hands on.
  var transfer: JSON {
    [
      "counts": .object(counts.sorted { $0.key < $1.key }.map { .init($0.key, .number($0.value)) }),
      "tokens": .integer(tokens), "reason": .optional(reason),
    ]
  }

  /// What `bench` reports: counts for each decoded token, and instructions for each cycle.
  package var json: JSON {
    guard !counts.isEmpty else { return ["reason": .optional(reason)] }
    let perToken = counts.sorted { $0.key < $1.key }.map {
      JSON.Member("\($0.key)_per_token", .number($0.value / Double(max(1, tokens))))
    }
    let rate = counts["cycles"].flatMap { cycles in
      counts["instructions"].flatMap { cycles > 0 ? $0 / cycles : nil }
    }
    return .object(perToken + [.init("instructions_per_cycle", .optional(rate)), .init("tokens", .integer(tokens))])
  }

  func merging(_ other: CounterReading) -> CounterReading {
    let keys = Set(counts.keys).intersection(other.counts.keys)
    return CounterReading(
      counts: counts.filter { keys.contains($0.key) }.merging(
        other.counts.filter { keys.contains($0.key) }, uniquingKeysWith: +),
      tokens: tokens + other.tokens, reason: reason ?? other.reason)
  }
}
