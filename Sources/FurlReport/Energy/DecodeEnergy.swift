import FurlBase

/// Measures the energy of decoding, in stretches that are long enough for counters.
struct DecodeEnergy {
  /// Stretches.
  let repeats: Int
  let source: EnergySource
  /// The shortest stretch, in seconds: counters move about every millisecond, so this is a thousand steps.
  let shortest: Double

  init(repeats: Int, source: EnergySource = .detect(), shortest: Double = 1) {
    self.repeats = repeats
    self.source = source
    self.shortest = shortest
  }

  /// - Parameters:
  ///   - tokens: that one call of `work` decodes.
  ///   - prepare: what comes before each call; what it takes is left out.
  ///   - work: decodes.
  func measure(tokens: Int, prepare: () throws -> Void, work: () throws -> Void) rethrows -> EnergyReading {
    guard source.method != .none else { return .none(source.reason) }
    let clock = ContinuousClock()
    var reading = EnergyReading(method: source.method, joules: 0, tokens: 0)
    reading.domains = source.counters.map(EnergyReading.Domain.init)
    for _ in 0..<repeats {
      let meter = EnergyMeter(source)
      defer { meter.stop() }
      let start = clock.now
      var decoded = 0
      var seconds = 0.0
      var joules: Double? = 0
      repeat {
        try prepare()
        let (before, began) = (meter.joules(), clock.now)
        try work()
        seconds += (clock.now - began).seconds
        joules = joules.flatMap { sum in before.flatMap { before in meter.joules().map { sum + $0 - before } } }
        decoded += tokens
      } while (clock.now - start).seconds < shortest
      reading.seconds += seconds
      reading.tokens += decoded
      reading.joules = reading.joules.flatMap { sum in joules.map { sum + $0 } }
      if let joules { reading.samples.append(joules / Double(max(1, decoded))) }
      let found = meter.readings
      reading.readings += found.count
      reading.invalid += found.invalid
    }
    if reading.joules == nil {
      reading.reason = "a counter could not be read, or went back and its range is not known"
    } else if reading.joules == 0 {
      reading.reason = "the counters did not move in \(Figures.significant(reading.seconds)) s"
      reading.joules = nil
    }
    return reading
  }
}
