package import FurlBase

/// The energy of a row of `bench`: measured, or not and why. What is modelled has fields of its own.
package struct EnergyReading: Sendable {
  package var method: EnergySource.EnergyMethod
  /// Why nothing was measured.
  package var reason: String?
  /// Joules over the measured decoding, of the whole machine's packages; the tokens that it made and its seconds.
  package var joules: Double?
  package var tokens: Int
  package var seconds: Double
  /// Joules for a token, one figure for each repeat.
  package var samples: [Double] = []
  /// What was read, and how often.
  package var domains: [Domain] = []
  package var readings = 0
  package var invalid = 0
  /// The power of the idle machine, before and after; nil when nobody looked.
  package var idle: IdlePower?

  /// One counter.
  package struct Domain: Sendable, Hashable {
    package let name: String
    package let path: String
    package let rangeJoules: Double?
  }

  package init(
    method: EnergySource.EnergyMethod, joules: Double?, tokens: Int, seconds: Double = 0, reason: String? = nil
  ) {
    self.method = method
    self.joules = joules
    self.tokens = tokens
    self.seconds = seconds
    self.reason = reason
  }

  /// Nothing measured.
  package static func none(_ reason: String?) -> EnergyReading {
    EnergyReading(method: .none, joules: nil, tokens: 0, reason: reason)
  }

  package var joulesPerToken: Double? { joules.map { $0 / Double(max(1, tokens)) } }

  /// Joules beyond what the idle machine would have taken in the same time.
  package var netJoules: Double? { joules.flatMap { sum in idle?.watts.map { sum - $0 * seconds } } }

  /// What `bench` reports.
  package var json: JSON {
    guard let joules, let joulesPerToken else { return ["method": "none", "reason": .optional(reason)] }
    return [
      "method": .string(method.rawValue), "scope": "packages of the whole machine", "joules": .number(joules),
      "tokens": .integer(tokens), "seconds": .number(seconds), "joules_per_token": .number(joulesPerToken),
      "samples": .array(samples.map(JSON.number)), "domains": .array(domains.map(\.json)),
      "interval_seconds": .number(EnergyMeter.defaultInterval), "readings": .integer(readings),
      "invalid_readings": .integer(invalid), "idle": idle?.json ?? .null, "net_joules": .optional(netJoules),
      "net_joules_per_token": .optional(netJoules.map { $0 / Double(max(1, tokens)) }),
    ]
  }

  /// What a measuring process hands to the one that started it.
  var transfer: JSON {
    [
      "method": .string(method.rawValue), "joules": .optional(joules), "tokens": .integer(tokens),
      "seconds": .number(seconds), "reason": .optional(reason), "samples": .array(samples.map(JSON.number)),
      "domains": .array(domains.map(\.json)), "readings": .integer(readings), "invalid_readings": .integer(invalid),
    ]
  }

  /// Nil when the document is not one that ``transfer`` makes.
  init?(_ json: JSON) {
    guard let tokens = json["tokens"]?.integer else { return nil }
    self.init(
      method: json["method"]?.string.flatMap(EnergySource.EnergyMethod.init(rawValue:)) ?? .none,
      joules: json["joules"]?.number, tokens: tokens, seconds: json["seconds"]?.number ?? 0,
      reason: json["reason"]?.string)
    samples = json["samples"]?.array?.compactMap(\.number) ?? []
    domains =
      json["domains"]?.array?.map {
        Domain(
          name: $0["name"]?.string ?? "", path: $0["path"]?.string ?? "", rangeJoules: $0["range_joules"]?.number)
      } ?? []
    readings = json["readings"]?.integer ?? 0
    invalid = json["invalid_readings"]?.integer ?? 0
  }

  /// Two rounds of one model together. A round without a figure leaves none.
  func merging(_ other: EnergyReading) -> EnergyReading {
    var sum = self
    sum.joules = joules.flatMap { one in other.joules.map { one + $0 } }
    sum.tokens += other.tokens
    sum.seconds += other.seconds
    sum.samples += other.samples
    sum.readings += other.readings
    sum.invalid += other.invalid
    sum.reason = reason ?? other.reason
    return sum
  }
}

extension EnergyReading.Domain {
  init(_ counter: EnergyCounter) {
    self.init(name: counter.name, path: counter.path, rangeJoules: counter.range.map { $0 / 1e6 })
  }

  var json: JSON { ["name": .string(name), "path": .string(path), "range_joules": .optional(rangeJoules)] }
}

/// The power of the machine while Furl does nothing.
package struct IdlePower: Sendable, Hashable {
  package let seconds: Double
  package var wattsBefore: Double?
  package var wattsAfter: Double?

  package init(seconds: Double, wattsBefore: Double? = nil, wattsAfter: Double? = nil) {
    self.seconds = seconds
    self.wattsBefore = wattsBefore
    self.wattsAfter = wattsAfter
  }

  /// The mean of both; nil unless both were measured.
  package var watts: Double? { wattsBefore.flatMap { before in wattsAfter.map { (before + $0) / 2 } } }

  /// Measures now, for so many seconds; nil where nothing can be measured.
  package static func measure(seconds: Double, source: EnergySource = .detect()) async throws -> Double? {
    guard source.method != .none, seconds > 0 else { return nil }
    let meter = EnergyMeter(source)
    defer { meter.stop() }
    let clock = ContinuousClock()
    let start = clock.now
    try await Task.sleep(for: .seconds(seconds))
    return meter.joules().map { $0 / (clock.now - start).seconds }
  }

  var json: JSON {
    [
      "seconds": .number(seconds), "watts_before": .optional(wattsBefore), "watts_after": .optional(wattsAfter),
      "watts": .optional(watts),
    ]
  }
}
