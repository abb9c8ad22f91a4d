import Foundation
import FurlBase
import FurlTestSupport
import Testing

@testable import FurlReport

/// What is said of a machine.
@Suite struct MachineCheckTests {
  @Test func everythingIsLookedAt() throws {
    let check = MachineCheck(environment: ["FURL_CACHE": "off", "LANG": "de_DE.UTF-8"])
    #expect(
      check.findings.map(\.name) == [
        "furl", "kernels", "threads", "memory", "sandbox", "python", "blas", "energy", "cache", "locale",
      ])
    let facts = Dictionary(check.findings.map { ($0.name, $0) }) { first, _ in first }
    #expect(facts["locale"]?.standing == .good && facts["cache"]?.text == "off")
    // This machine has more than a megabyte, and reads it faster than a disk.
    #expect(try #require(facts["memory"]?.facts["bytes"]?.integer) > 1 << 20)
    if let rate = facts["memory"]?.facts["read_bytes_per_second"]?.number { #expect(rate > 1e8) }
    #expect(check.json["findings"]?["kernels"]?["facts"]?["supported"]?.array?.isEmpty == false)
    // What is missing says what to do.
    #expect(check.findings.allSatisfy { $0.standing != .missing || $0.remedy != nil })
  }

  @Test func theLocaleIsTheFirstThatSaysAnything() {
    func locale(_ environment: [String: String]) -> MachineCheck.Finding? {
      MachineCheck(environment: environment).findings.last
    }
    #expect(locale(["LC_ALL": "C", "LANG": "en_GB.UTF-8"])?.standing == .note)
    #expect(locale(["LC_ALL": "", "LANG": "en_GB.utf8"])?.standing == .good)
    #expect(locale([:])?.text == "C")
  }

  /// A control group's limit counts, not the machine's memory.
  @Test func limitsOfContainersCount() throws {
    try TestData.withTemporaryFolder { root in
      for folder in ["proc", "sys/fs/cgroup"] {
        try FileManager.default.createDirectory(atPath: root + "/" + folder, withIntermediateDirectories: true)
      }
      try TestData.write(
        Array("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 800 kB\n".utf8), to: root + "/proc/meminfo")
      #expect(MachineMemory.bytes(root: root) == (1_024_000, 819_200))
      try TestData.write(Array("max\n".utf8), to: root + "/sys/fs/cgroup/memory.max")
      #expect(MachineMemory.bytes(root: root) == (1_024_000, 819_200))
      try TestData.write(Array("500000\n".utf8), to: root + "/sys/fs/cgroup/memory.max")
      try TestData.write(Array("400000\n".utf8), to: root + "/sys/fs/cgroup/memory.current")
      #expect(MachineMemory.bytes(root: root) == (500_000, 100_000))
      #expect(MachineMemory.bytes(root: root + "/none") == (nil, nil))
    }
  }

  @Test func theCacheIsCountedAndCleared() throws {
    try TestData.withTemporaryFolder { folder in
      let root = folder + "/cache"
      #expect(CacheContents(["FURL_CACHE": "off"]) == nil)
      #expect(CacheContents(["FURL_CACHE": root])?.files == 0)
      for (name, size) in [("baselines/a.json", 1_000), ("baselines/b.json", 500), ("digests/c", 20)] {
        let path = root + "/" + name
        let parent = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
        try FileManager.default.createDirectory(
          atPath: parent, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try TestData.write([UInt8](repeating: 1, count: size), to: path)
      }
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: root)
      try TestData.write([1], to: root + "/mine.txt")
      let contents = try #require(CacheContents(["FURL_CACHE": root]))
      #expect(contents.bytes == 1_520 && contents.files == 3)
      #expect(contents.shares.map(\.files) == [2, 1])
      contents.clear()
      #expect(CacheContents(["FURL_CACHE": root])?.files == 0)
      // What is none of Furl's stays.
      #expect(FileManager.default.fileExists(atPath: root + "/mine.txt"))
    }
  }
}
