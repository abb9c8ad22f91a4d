import FurlBase

/// The energy of packages by perf events: the `power` unit of the kernel, system-wide.
enum PerfEnergy {
  /// Opens a counter of a CPU; nil where that is not allowed. Tests have one of their own.
  typealias Opener = @Sendable (_ type: UInt32, _ config: UInt64, _ cpu: Int32) -> KernelCounter?

  /// - Parameter root: the unit's folder: `type`, `cpumask` (one CPU of each package), `events/energy-pkg` with its scale.
  static func source(
    root: String, files: SystemText = .kernel, open: Opener = { KernelCounter(type: $0, config: $1, cpu: $2) }
  ) -> EnergySource {
    guard let type = files.text(root + "/type").flatMap({ UInt32($0) }),
      let config = files.text(root + "/events/energy-pkg").flatMap(event),
      let scale = files.text(root + "/events/energy-pkg.scale").flatMap(Double.init), scale.isFinite, scale > 0,
      files.text(root + "/events/energy-pkg.unit") == "Joules",
      let cpus = files.text(root + "/cpumask").flatMap(list), !cpus.isEmpty
    else { return EnergySource(.none, [], reason: "this machine has no perf events of energy (\(root))") }
    var counters: [EnergyCounter] = []
    for (package, cpu) in cpus.enumerated() {
      guard let counter = open(type, config, cpu) else {
        return EnergySource(
          .none, [],
          reason: "this user may not read the perf events of energy (perf_event_paranoid 0 or CAP_PERFMON is needed)")
      }
      // 64 bits of 2^-32 joules do not overflow.
      counters.append(
        EnergyCounter(name: "package-\(package)", path: root + "/events/energy-pkg", range: nil) {
          counter.value().map { $0 * scale * 1e6 }
        })
    }
    return EnergySource(.perf, counters)
  }

  /// `event=0x02`: the number of an event.
  static func event(_ text: String) -> UInt64? {
    let parts = text.split(separator: "=")
    guard parts.count == 2, parts[0] == "event" else { return nil }
    return parts[1].hasPrefix("0x") ? UInt64(parts[1].dropFirst(2), radix: 16) : UInt64(parts[1])
  }

  /// `0,18` or `0-3,8`: a list of CPUs, 1024 at most.
  static func list(_ text: String) -> [Int32]? {
    var cpus: [Int32] = []
    for part in text.split(separator: ",") {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int32($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first >= 0,
        first <= last,
        Int(last - first) + cpus.count < 1024
      else { return nil }
      cpus += Array(first...last)
    }
    return cpus
  }
}
