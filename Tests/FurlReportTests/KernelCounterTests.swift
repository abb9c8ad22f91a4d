import FurlBase
import FurlEvaluate
@testable import FurlReport
import FurlTestSupport
import Foundation
import Testing

@Suite struct KernelCounterTests {
  /// The kernel's own clock of tasks is there on every machine; it stands in for cycles, which virtual machines hide.
  @Test func tasksAreCounted() throws {
    let counters = HardwareCounters(["task_clock": (1, 1)])
    if let reason = counters.reason { return print("skipped: \(reason)") }
    let start = counters.counts()
    let used = ProcessorTime.own
    var sum = 0.0
    while ProcessorTime.own - used < 0.02 { sum += sqrt(sum + 1) }
    let counted = HardwareCounters.difference(counters.counts(), start)
    let nanoseconds = try #require(counted["task_clock"])
    #expect(nanoseconds > 1e6 && sum > 0)
  }

  @Test func whatIsNotThereIsSaid() {
    // An event of a unit that does not exist.
    let counters = HardwareCounters(["nothing": (0xFFFF, 0)])
    #expect(counters.reason != nil && counters.counts().isEmpty)
    #expect(HardwareCounters.Unavailable(code: ENOENT).reason.contains("not visible"))
    #expect(HardwareCounters.Unavailable(code: EACCES).reason.contains("perf_event_paranoid"))
  }

  @Test func readings() throws {
    let reading = CounterReading(counts: ["cycles": 100, "instructions": 250], tokens: 10, reason: nil)
    #expect(reading.json["cycles_per_token"]?.number == 10 && reading.json["instructions_per_cycle"]?.number == 2.5)
    let copy = try #require(CounterReading(reading.transfer))
    #expect(copy.merging(copy).counts == ["cycles": 200, "instructions": 500])
    let part = CounterReading(counts: ["cycles": 1], tokens: 1, reason: nil)
    #expect(copy.merging(part).counts == ["cycles": 101])
    #expect(CounterReading(counts: [:], tokens: 1, reason: "why").json.canonicalText == #"{"reason":"why"}"#)
  }

  // MARK: Energy by perf events

  private func with(_ changes: [String: String?], _ body: (EnergySource) throws -> Void) throws {
    try TestData.withTemporaryFolder { root in
      var files: [String: String] = [
        "type": "21", "cpumask": "0,18", "events/energy-pkg": "event=0x02",
        "events/energy-pkg.scale": "2.3283064365386962890625e-10", "events/energy-pkg.unit": "Joules",
      ]
      for (key, value) in changes { files[key] = value }
      try FileManager.default.createDirectory(atPath: root + "/events", withIntermediateDirectories: true)
      for (name, text) in files { try TestData.write(Array((text + "\n").utf8), to: root + "/" + name) }
      try body(
        PerfEnergy.source(root: root) { type, config, cpu in
          #expect(type == 21 && config == 2 && [0, 18].contains(cpu))
          // Something that counts upwards: the clock of a CPU.
          return KernelCounter(type: 1, config: 0, cpu: 0)
        })
    }
  }

  @Test func theUnitIsReadFromItsTree() throws {
    try with([:]) { source in
      // Counters of a whole CPU are not for every user.
      guard source.method == .perf else {
        #expect(source.reason?.contains("perf_event_paranoid") == true)
        return
      }
      #expect(source.counters.map(\.name) == ["package-0", "package-1"])
      #expect(source.counters.allSatisfy { ($0.read() ?? -1) >= 0 })
    }
    for broken in [
      ["type": "x"], ["cpumask": ""], ["cpumask": "3-1"], ["events/energy-pkg": "umask=1"],
      ["events/energy-pkg.scale": "0"], ["events/energy-pkg.unit": "Watts"],
    ] as [[String: String?]] {
      try with(broken) { #expect($0.method == .none && $0.reason?.contains("no perf events") == true, "\(broken)") }
    }
  }

  @Test func aUserWhoMayNotLook() throws {
    try TestData.withTemporaryFolder { root in
      #expect(PerfEnergy.source(root: root).reason?.contains("no perf events") == true)
    }
    #expect(PerfEnergy.list("0-3,8") == [0, 1, 2, 3, 8])
    #expect(PerfEnergy.list("0-999999999") == nil && PerfEnergy.list("-1") == nil && PerfEnergy.list("a") == nil)
    #expect(PerfEnergy.event("event=0x1f") == 31 && PerfEnergy.event("event=7") == 7 && PerfEnergy.event("0x1") == nil)
  }

  @Test func theMachineIsDescribedWithoutItsName() throws {
    let facts = MachineFacts().json
    #expect((facts["logical_cpus"]?.integer ?? 0) > 0)
    #expect(!facts.compactText.contains(ProcessInfo.processInfo.hostName))
    try TestData.withTemporaryFolder { root in
      #expect(MachineFacts(root: root).json["processor"] == nil)
    }
  }
}
