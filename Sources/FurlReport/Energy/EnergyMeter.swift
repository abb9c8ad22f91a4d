import FurlBase

/// Adds up what a source's counters go up by while something runs.
///
/// A thread reads them at an interval, because a counter that begins again twice between two readings lies: at 440 W
/// one of 262 kJ does so every ten minutes.
package final class EnergyMeter: @unchecked Sendable {
  package let source: EnergySource
  private let interval: Double
  // What the sampling thread and the caller share.
  private let condition = Condition()
  private var sums: [EnergySum] = []
  private var samples = 0
  private var isStopped = false

  /// Reads the counters' start.
  ///
  /// - Parameter interval: seconds between two readings.
  package init(_ source: EnergySource = .detect(), interval: Double = EnergyMeter.defaultInterval) {
    self.source = source
    self.interval = interval
    for counter in source.counters {
      let start = counter.read()
      var sum = EnergySum(start: start ?? 0, range: counter.range)
      if start == nil { sum.add(nil) }
      sums.append(sum)
    }
    guard !sums.isEmpty else { return }
    // Without a thread it reads at the beginning and the end alone.
    _ = beginThread { [weak self] in
      while let meter = self, meter.waitForNextSample() { meter.sample() }
    }
  }

  package static let defaultInterval = 1.0

  deinit { stop() }

  /// False when the meter has stopped.
  private func waitForNextSample() -> Bool {
    condition.withLock {
      let end = ContinuousClock.now + .seconds(interval)
      while !isStopped, condition.wait(until: end) {}
      return !isStopped
    }
  }

  private func sample() {
    condition.withLock {
      guard !isStopped else { return }
      samples += 1
      for (index, counter) in source.counters.enumerated() { sums[index].add(counter.read()) }
    }
  }

  /// Joules since the start, all domains together; nil when there is no counter, one could not be read, or one went back
  /// and its range is not known.
  package func joules() -> Double? {
    sample()
    return condition.withLock {
      guard !sums.isEmpty, sums.allSatisfy({ $0.invalid == 0 }) else { return nil }
      return sums.reduce(0) { $0 + $1.total } / 1e6
    }
  }

  /// Readings so far, and those of them that could not be used.
  package var readings: (count: Int, invalid: Int) {
    condition.withLock { (samples, sums.reduce(0) { $0 + $1.invalid }) }
  }

  /// Ends the readings.
  package func stop() {
    condition.withLock {
      isStopped = true
      condition.broadcast()
    }
  }
}
