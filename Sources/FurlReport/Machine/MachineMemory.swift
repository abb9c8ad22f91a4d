import FurlBase
import FurlTensor

/// How much memory a machine has, and how fast it is read.
enum MachineMemory {
  /// Total and available memory; where a control group has a lower limit, that. Nil where the system does not say.
  ///
  /// - Parameter root: the file system's root; tests have one of their own.
  static func bytes(root: String = "") -> (total: Int?, free: Int?) {
    let files = SystemText.kernel
    let lines = files.text(root + "/proc/meminfo")?.split(separator: "\n") ?? []
    func value(_ key: String) -> Int? {
      lines.first { $0.hasPrefix(key + ":") }.flatMap { $0.split(separator: " ").dropFirst().first }
        .flatMap { Int($0) }.map { $0 * 1024 }
    }
    var (total, free) = (value("MemTotal"), value("MemAvailable"))
    if let limit = files.number(root + "/sys/fs/cgroup/memory.max").flatMap({ Int(exactly: $0) }) {
      total = min(total ?? limit, limit)
      if let used = files.number(root + "/sys/fs/cgroup/memory.current").flatMap({ Int(exactly: $0) }) {
        free = min(free ?? limit, max(0, limit - used))
      }
    }
    return (total, free)
  }

  /// Bytes a second that all threads together read from memory, in numbers that no cache holds: the best of some passes. Nil
  /// where there is not the memory for it.
  static func readRate(bytesPerThread: Int = 64 << 20, passes: Int = 4) -> Double? {
    guard let pool = try? CommandProcess.pool(threads: WorkerPool.availableCores) else { return nil }
    let words = bytesPerThread / 8
    let (_, free) = bytes()
    guard free.map({ $0 > 4 * bytesPerThread * pool.threads }) ?? true else { return nil }
    // Not zeros: what was never written is one page.
    let numbers = [UInt64](repeating: 0x9E37_79B9_7F4A_7C15, count: words * pool.threads)
    var best = 0.0
    for _ in 0..<passes {
      let start = ContinuousClock.now
      pool.run { part, _ in
        let sum = numbers[part * words..<(part + 1) * words].reduce(0, &+)
        // What nobody looks at is not read.
        if sum == 1 { releaseFreedMemory() }
      }
      best = max(best, Double(numbers.count * 8) / max(1e-9, (ContinuousClock.now - start).seconds))
    }
    return best
  }
}
