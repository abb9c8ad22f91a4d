import FurlBase
import CFurlKernels

/// An open counter of the kernel (perf_event_open).
final class KernelCounter: Sendable {
  private let descriptor: Int32

  /// A counter of a whole CPU; nil where it cannot be had.
  init?(type: UInt32, config: UInt64, cpu: Int32) {
    descriptor = furl_open_counter(type, config, -1, cpu, false)
    if descriptor < 0 { return nil }
  }

  private init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// A counter of this process and of the threads that this one makes from now on.
  static func ofProcess(type: UInt32, config: UInt64) -> Result<KernelCounter, HardwareCounters.Unavailable> {
    let descriptor = furl_open_counter(type, config, 0, -1, true)
    return descriptor >= 0
      ? .success(KernelCounter(descriptor: descriptor)) : .failure(HardwareCounters.Unavailable(code: -descriptor))
  }

  /// The count so far, scaled up where several counters shared one register; nil when it has not counted at all.
  func value() -> Double? {
    var fields: [UInt64] = [0, 0, 0]
    guard read(descriptor, &fields, 24) == 24 else { return nil }
    let (count, enabled, running) = (Double(fields[0]), Double(fields[1]), Double(fields[2]))
    guard running > 0 else { return enabled > 0 ? nil : 0 }
    return count * max(1, enabled / running)
  }
}

/// Cycles, instructions and cache misses of this process, where the kernel counts them.
package struct HardwareCounters: Sendable {
  /// Why there are none.
  package struct Unavailable: Error, Hashable {
    let code: Int32

    var reason: String {
      switch code {
      case ENOENT, EOPNOTSUPP, ENODEV:
        "the processor's counters are not visible here (virtual machines often hide them)"
      case EACCES, EPERM:
        "this user may not use the processor's counters (/proc/sys/kernel/perf_event_paranoid must be 2 or less)"
      default: "the kernel gives no counters: \(String(cString: strerror(code)))"
      }
    }
  }

  /// Counts by name.
  package typealias Counts = [String: Double]

  /// linux/perf_event.h: type 0 is hardware.
  static let events: KeyValuePairs<String, (type: UInt32, config: UInt64)> = [
    "cycles": (0, 0), "instructions": (0, 1), "cache_references": (0, 2), "cache_misses": (0, 3),
    "branch_misses": (0, 5),
  ]

  private let counters: [(name: String, counter: KernelCounter)]
  /// Why nothing is counted; nil when something is.
  package let reason: String?

  /// Opens what is there. Only threads that are made later are counted besides the caller's own.
  package init() { self.init(HardwareCounters.events) }

  init(_ events: KeyValuePairs<String, (type: UInt32, config: UInt64)>) {
    var counters: [(name: String, counter: KernelCounter)] = []
    var failure: Unavailable?
    for (name, event) in events {
      switch KernelCounter.ofProcess(type: event.type, config: event.config) {
      case .success(let counter): counters.append((name, counter))
      case .failure(let error): failure = failure ?? error
      }
    }
    self.counters = counters
    reason = counters.isEmpty ? failure?.reason ?? "no counters were asked for" : nil
  }

  /// The counts since the counters were opened.
  package func counts() -> Counts {
    var counts: Counts = [:]
    for (name, counter) in counters { counts[name] = counter.value() }
    return counts
  }

  /// What was counted between two readings.
  static func difference(_ end: Counts, _ start: Counts) -> Counts {
    end.reduce(into: [:]) { counts, entry in
      if let first = start[entry.key] { counts[entry.key] = max(0, entry.value - first) }
    }
  }
}
