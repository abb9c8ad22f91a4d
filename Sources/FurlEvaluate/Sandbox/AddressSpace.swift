#if os(Linux)
import FurlBase
import SystemPackage

/// How a program's process lays out its memory. Each mapping, and each page far from every other one, costs the kernel memory
/// that no limit counts: a process may have 65,000 of them, with half a GB of tables of pages.
struct AddressSpace {
  /// What an ordinary program has a few hundred of.
  private static let mappings = 16_384
  /// Bytes of tables that a process may have beyond those of pages side by side, which need 2 KB a MB.
  private static let tables = 32 << 20

  private let child: pid_t
  private let tables: Int
  /// The program's own process, once it is known.
  private var program: pid_t?

  /// - Parameters:
  ///   - child: the process that was started: the program's, or what it is a grandchild of.
  ///   - memory: MiB that the program may have.
  init(of child: pid_t, memory: Int) {
    self.child = child
    tables = AddressSpace.tables + memory << 12
  }

  /// Whether it is in more pieces than may be. Where the system does not tell, it is not.
  mutating func isScattered() -> Bool {
    if program == nil { program = AddressSpace.last(child) }
    guard let program else { return false }
    let status = ProcessTimes.text("/proc/\(program)/status")
    if let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmPTE:") }),
      let size = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }), size << 10 > tables
    {
      return true
    }
    return AddressSpace.lines("/proc/\(program)/maps", atMost: AddressSpace.mappings + 1) > AddressSpace.mappings
  }

  private static func lines(_ path: String, atMost limit: Int) -> Int {
    guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec) else { return 0 }
    defer { try? file.close() }
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    var found = 0
    while found < limit {
      let count = (try? buffer.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
      if count == 0 { break }
      found += buffer[..<count].count { $0 == UInt8(ascii: "\n") }
    }
    return found
  }

  /// The last of the processes of which each is the first child of the one before.
  private static func last(_ process: pid_t) -> pid_t {
    var last = process
    for _ in 0..<8 {
      guard let child = ProcessTimes.text("/proc/\(last)/task/\(last)/children").split(separator: " ").first,
        let id = pid_t(child)
      else { break }
      last = id
    }
    return last
  }
}
#endif
