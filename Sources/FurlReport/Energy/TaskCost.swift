import FurlBase

/// What one run of a suite took: time, processor time and, where it can be measured, energy.
package struct TaskCost: Sendable {
  package let suite: String
  package let seconds: Double
  /// Of this process and of the programs that it ran and that have ended.
  package let cpuSeconds: Double
  package let joules: Double?
  package let samples: Int
  /// Problems that were solved; nil for a text.
  package let solved: Int?

  /// Whole machine's joules for each problem.
  package var joulesPerSample: Double? { samples > 0 ? joules.map { $0 / Double(samples) } : nil }
  /// The same for each problem that was solved; nil when none was.
  package var joulesPerSolved: Double? {
    guard let solved, solved > 0 else { return nil }
    return joules.map { $0 / Double(solved) }
  }

  var json: JSON {
    [
      "suite": .string(suite), "seconds": .number(seconds), "cpu_seconds": .number(cpuSeconds),
      "joules": .optional(joules), "samples": .integer(samples), "solved": .optional(solved),
      "joules_per_sample": .optional(joulesPerSample), "joules_per_solved": .optional(joulesPerSolved),
    ]
  }

  /// Watches a run.
  package final class Watch {
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private let cpuStart: Double
    private let meter: EnergyMeter

    package init(_ source: EnergySource = .detect()) {
      meter = EnergyMeter(source)
      start = clock.now
      cpuStart = ProcessorTime.withChildren
    }

    /// What it took until now. Energy over less than a second is not reported: counters are too coarse for it.
    package func cost(suite: String, samples: Int, solved: Int?) -> TaskCost {
      let seconds = (clock.now - start).seconds
      let joules = meter.joules()
      meter.stop()
      return TaskCost(
        suite: suite, seconds: seconds, cpuSeconds: ProcessorTime.withChildren - cpuStart,
        joules: seconds >= 1 ? joules : nil, samples: samples, solved: solved)
    }
  }
}

/// Seconds of processor time.
enum ProcessorTime {
  /// Of all threads of this process.
  static var own: Double {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Of this process and its children that have ended.
  static var withChildren: Double {
    var usage = rusage()
    guard getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage) == 0 else { return own }
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return own + seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }
}
