/// A counter of the energy of one domain, whatever interface it is read by.
struct EnergyCounter: Sendable {
  /// What the kernel calls the domain: `package-0`.
  let name: String
  /// Where it is read.
  let path: String
  /// Microjoules after which it begins again; nil when that is not known.
  let range: Double?
  /// Microjoules now.
  let read: @Sendable () -> Double?
}

/// What a counter has gone up by, over any number of readings.
struct EnergySum: Sendable {
  private var last: Double
  private let range: Double?
  /// Microjoules.
  private(set) var total = 0.0
  /// Readings that were different from the one before.
  private(set) var updates = 0
  /// Readings that failed, or went back where no range explains it. The sum is worth nothing then.
  private(set) var invalid = 0

  init(start: Double, range: Double?) {
    last = start
    self.range = range
  }

  /// Takes a reading. A counter begins again at its range; it must be read more often than it does that.
  mutating func add(_ reading: Double?) {
    guard let reading else {
      invalid += 1
      return
    }
    if reading >= last {
      total += reading - last
    } else if let range, range >= last {
      total += reading + range - last
    } else {
      invalid += 1
    }
    if reading != last { updates += 1 }
    last = reading
  }
}
