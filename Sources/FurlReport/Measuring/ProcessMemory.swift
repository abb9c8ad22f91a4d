import FurlBase

/// What the kernel says of this process's memory.
package struct ProcessMemory: Sendable {
  /// Bytes that are resident now.
  package let resident: Int
  /// The most bytes that were resident.
  package let peak: Int

  /// The memory of this process; nil where the kernel does not say.
  package static func current() -> ProcessMemory? {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
    func bytes(_ key: String) -> Int? {
      guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key + ":") }) else { return nil }
      return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }
    guard let resident = bytes("VmRSS"), let peak = bytes("VmHWM") else { return nil }
    return ProcessMemory(resident: resident, peak: peak)
  }
}

/// How busy the machine is with other things while something is measured.
package struct CompetingLoad: Sendable {
  private let busy: Double
  private let total: Double
  private let own: Double

  /// Starts to watch; nil where the kernel does not say.
  package init?() {
    guard let sample = CompetingLoad.sample() else { return nil }
    (busy, total, own) = sample
  }

  /// The share of the machine's CPU time that went to others since the start, from 0 to 1.
  package func share() -> Double? {
    guard let now = CompetingLoad.sample(), now.total > total else { return nil }
    return max(0, (now.busy - busy) - (now.own - own)) / (now.total - total)
  }

  /// Seconds of CPU time: of all that is busy, in all, and of this process.
  private static func sample() -> (busy: Double, total: Double, own: Double)? {
    guard let line = try? String(contentsOfFile: "/proc/stat", encoding: .utf8).split(separator: "\n").first else {
      return nil
    }
    // user nice system idle iowait irq softirq steal
    let ticks = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
    guard ticks.count == 8 else { return nil }
    let total = ticks.reduce(0, +)
    let perSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
    var usage = rusage()
    guard perSecond > 0, getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return (
      (total - ticks[3] - ticks[4]) / perSecond, total / perSecond, seconds(usage.ru_utime) + seconds(usage.ru_stime)
    )
  }
}
