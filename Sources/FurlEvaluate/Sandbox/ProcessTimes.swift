#if os(Linux)
import FurlBase
import SystemPackage

/// How long a process and what it started have computed, and how long they were ready to and did not get a processor.
struct ProcessTimes {
  /// Seconds of processor time.
  var computing = 0.0
  /// Seconds spent waiting for a processor that others had.
  var waiting = 0.0

  static func + (one: ProcessTimes, other: ProcessTimes) -> ProcessTimes {
    ProcessTimes(computing: one.computing + other.computing, waiting: one.waiting + other.waiting)
  }

  init(computing: Double, waiting: Double) {
    self.computing = computing
    self.waiting = waiting
  }

  /// Nil where the system does not tell, or the process is gone.
  init?(of process: pid_t) {
    var found = false
    // Of a sandbox, bubblewrap is the parent of a first process that is the parent of the program; none starts many.
    var left = [process]
    var seen = 0
    while let id = left.popLast(), seen < 64 {
      seen += 1
      guard let fields = ProcessTimes.fields(of: id), fields.count > 12, let user = Double(fields[11]),
        let system = Double(fields[12])
      else { continue }
      found = true
      computing += (user + system) / ProcessTimes.ticks
      let schedule = ProcessTimes.text("/proc/\(id)/schedstat").split(separator: " ")
      if schedule.count > 1, let nanoseconds = Double(schedule[1]) { waiting += nanoseconds / 1e9 }
      left += ProcessTimes.text("/proc/\(id)/task/\(id)/children").split(separator: " ").compactMap { pid_t($0) }
    }
    guard found else { return nil }
  }

  /// A second has so many ticks.
  private static let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))

  /// What stands in `stat` after the name, which may hold anything.
  private static func fields(of id: pid_t) -> [Substring]? {
    let text = text("/proc/\(id)/stat")
    guard let end = text.lastIndex(of: ")") else { return nil }
    return text[text.index(after: end)...].split(separator: " ")
  }

  static func text(_ path: String) -> String {
    guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec) else { return "" }
    defer { try? file.close() }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = (try? buffer.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
    return String(decoding: buffer[..<count], as: UTF8.self)
  }
}
#endif
