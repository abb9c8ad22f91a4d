import FurlBase

/// Where a machine's energy can be read: the counters of its processor packages by powercap, else by perf events, else
/// nowhere, and why.
///
/// Interfaces: Documentation/power/powercap/powercap.rst and Documentation/admin-guide/perf-security.rst of the Linux
/// kernel.
package struct EnergySource: Sendable {
  /// How energy is measured.
  package enum EnergyMethod: String, Sendable {
    case powercap = "rapl-powercap"
    case perf
    case none
  }

  package let method: EnergyMethod
  let counters: [EnergyCounter]
  /// Why nothing can be measured; nil when something can.
  package let reason: String?

  init(_ method: EnergyMethod, _ counters: [EnergyCounter], reason: String? = nil) {
    self.method = method
    self.counters = counters
    self.reason = reason
  }

  /// The environment's name for another powercap folder.
  package static let rootVariable = "FURL_POWERCAP"

  /// Looks for counters on this machine, or in the folder that ``rootVariable`` names.
  package static func detect() -> EnergySource {
    if let root = ProcessInfo.processInfo.environment[rootVariable], !root.isEmpty {
      return powercap(root: root)
    }
    let source = powercap(root: "/sys/class/powercap")
    guard source.method == .none else { return source }
    let events = PerfEnergy.source(root: "/sys/bus/event_source/devices/power")
    return events.method == .none ? source : events
  }

  /// The packages in a powercap folder.
  ///
  /// A package contains its cores and its graphics, and `psys` contains packages, so packages alone are added up. The
  /// same package by its registers and by mmio is one: registers are preferred.
  static func powercap(root: String, files: SystemText = .kernel) -> EnergySource {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).sorted()
    var zones: [(name: String, path: String)] = []
    for control in ["intel-rapl", "intel-rapl-mmio"] {
      for entry in names where isTop(entry, of: control) {
        let path = root + "/" + entry
        guard let name = files.text(path + "/name"), name.hasPrefix("package"),
          !zones.contains(where: { $0.name == name })
        else { continue }
        zones.append((name, path))
      }
    }
    guard !zones.isEmpty else {
      return EnergySource(.none, [], reason: "this machine has no RAPL counters (\(root))")
    }
    var counters: [EnergyCounter] = []
    for zone in zones {
      let file = zone.path + "/energy_uj"
      switch files.read(file) {
      case .success(let text):
        guard UInt64(text) != nil else {
          return EnergySource(.none, [], reason: "the RAPL counter \(file) holds no number")
        }
      case .failure(.forbidden):
        return EnergySource(
          .none, [],
          reason: "this user may not read the RAPL counters (as root: chmod a+r \(root)/intel-rapl:*/energy_uj)")
      case .failure:
        return EnergySource(.none, [], reason: "the RAPL counter \(file) cannot be read")
      }
      let range = files.number(zone.path + "/max_energy_range_uj").flatMap { $0 > 0 ? $0 : nil }
      counters.append(EnergyCounter(name: zone.name, path: zone.path, range: range) { files.number(file) })
    }
    return EnergySource(.powercap, counters)
  }

  /// `intel-rapl:0` is at the top, `intel-rapl:0:1` and `intel-rapl` are not.
  private static func isTop(_ entry: String, of control: String) -> Bool {
    guard entry.hasPrefix(control + ":") else { return false }
    let number = entry.dropFirst(control.count + 1)
    return !number.isEmpty && number.utf8.allSatisfy { (0x30...0x39).contains($0) }
  }
}
