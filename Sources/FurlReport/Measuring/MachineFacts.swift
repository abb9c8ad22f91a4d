package import FurlBase

/// What a reader must know of the machine that figures come from. Its name is no part of it.
package struct MachineFacts: Sendable {
  package let json: JSON

  /// - Parameter root: the file system's root; tests have one of their own.
  package init(root: String = "") {
    let files = SystemText.kernel
    func cpuInfo(_ key: String) -> String? {
      // The file is long; its beginning says all that is asked for.
      files.text(root + "/proc/cpuinfo")?.split(separator: "\n").lazy
        .map { $0.split(separator: ":", maxSplits: 1).map { $0.trimmed } }
        .first { $0.count == 2 && $0[0] == key }?[1]
    }
    let kilobytes = files.text(root + "/proc/meminfo")?.split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
      .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int($0) }
    let cpu = root + "/sys/devices/system/cpu"
    let facts: [(String, JSON)] = [
      ("processor", .optional(cpuInfo("model name"))), ("microcode", .optional(cpuInfo("microcode"))),
      ("logical_cpus", .integer(ProcessInfo.processInfo.activeProcessorCount)),
      ("smt", .optional(files.text(cpu + "/smt/control"))),
      ("governor", .optional(files.text(cpu + "/cpu0/cpufreq/scaling_governor"))),
      ("highest_khz", .optional(files.text(cpu + "/cpu0/cpufreq/cpuinfo_max_freq"))),
      ("turbo_off", .optional(files.text(cpu + "/intel_pstate/no_turbo"))),
      ("memory_bytes", .optional(kilobytes.map { $0 * 1024 })),
      ("kernel", .optional(files.text(root + "/proc/sys/kernel/osrelease"))),
      ("virtual_machine", cpuInfo("flags").map { .bool($0.split(separator: " ").contains("hypervisor")) } ?? .null),
    ]
    json = .object(facts.filter { $0.1 != .null }.map { .init($0.0, $0.1) })
  }
}
