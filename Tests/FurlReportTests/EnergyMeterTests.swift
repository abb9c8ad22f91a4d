import Foundation
import FurlSpec
import FurlTestSupport
import Testing

@testable import FurlReport

/// The meter on a powercap tree of its own, laid out as Documentation/power/powercap/powercap.rst shows it.
@Suite struct EnergyMeterTests {
  private struct Tree {
    let root: String

    func set(_ domain: String, _ file: String, _ value: String) throws {
      try FileManager.default.createDirectory(atPath: root + "/" + domain, withIntermediateDirectories: true)
      try TestData.write(Array((value + "\n").utf8), to: root + "/\(domain)/\(file)")
    }

    func add(_ domain: String, name: String, energy: String, range: String? = "262143328850") throws {
      try set(domain, "name", name)
      try set(domain, "energy_uj", energy)
      if let range { try set(domain, "max_energy_range_uj", range) }
    }
  }

  private func with(_ body: (Tree) throws -> Void) throws {
    try TestData.withTemporaryFolder { try body(Tree(root: $0)) }
  }

  @Test func packagesAreAddedUpAndTheirPartsAreNot() throws {
    try with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "1000000")
      try tree.add("intel-rapl:1", name: "package-1", energy: "5000000")
      try tree.add("intel-rapl:0:0", name: "core", energy: "100")
      try tree.add("intel-rapl:0:1", name: "dram", energy: "100")
      try tree.add("intel-rapl:0/intel-rapl:0:0", name: "core", energy: "100")
      try tree.add("intel-rapl:2", name: "psys", energy: "100")
      try tree.add("intel-rapl-mmio:0", name: "package-0", energy: "100")
      try tree.set("intel-rapl", "enabled", "1")
      let meter = EnergyMeter(root: tree.root)
      #expect(meter.reason == nil && meter.domains.count == 2)
      #expect(meter.joules() == 0)
      try tree.set("intel-rapl:0", "energy_uj", "3500000")
      try tree.set("intel-rapl:1", "energy_uj", "5250000")
      for part in ["intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:2", "intel-rapl-mmio:0"] {
        try tree.set(part, "energy_uj", "99000000")
      }
      #expect(meter.joules() == 2.75)
    }
  }

  @Test func aCounterThatBeginsAgain() throws {
    try with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "262143000000")
      let meter = EnergyMeter(root: tree.root)
      try tree.set("intel-rapl:0", "energy_uj", "500000")
      #expect(meter.joules() == 0.82885)
    }
  }

  @Test func aCounterThatGoesBackWithoutARange() throws {
    for range in [nil, "", "much"] as [String?] {
      try with { tree in
        try tree.add("intel-rapl:0", name: "package-0", energy: "1000", range: range)
        let meter = EnergyMeter(root: tree.root)
        #expect(meter.reason == nil && meter.joules() == 0)
        try tree.set("intel-rapl:0", "energy_uj", "999")
        #expect(meter.joules() == nil)
      }
    }
  }

  @Test(arguments: ["", "none", "nan", "inf", "-5"])
  func aCounterThatIsNoNumber(_ value: String) throws {
    try with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "1000")
      try tree.add("intel-rapl:1", name: "package-1", energy: value)
      let meter = EnergyMeter(root: tree.root)
      #expect(meter.reason?.contains("not readable") == true && meter.joules() == nil)
    }
  }

  @Test func countersThatVanish() throws {
    try with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "1000")
      let meter = EnergyMeter(root: tree.root)
      try FileManager.default.removeItem(atPath: tree.root + "/intel-rapl:0/energy_uj")
      #expect(meter.joules() == nil)
      // What root alone may read: for others the file is there and cannot be opened.
      let unreadable = EnergyMeter(root: tree.root)
      #expect(unreadable.reason == "the RAPL counters are not readable by this user")
    }
  }

  @Test func noCounters() throws {
    try with { tree in
      for root in [tree.root, tree.root + "/absent"] {
        let meter = EnergyMeter(root: root)
        #expect(meter.reason == "this machine has no RAPL counters (\(root))" && meter.joules() == nil)
      }
    }
  }

  @Test func readings() {
    let measured = EnergyReading(joules: 12, tokens: 48, reason: nil)
    #expect(measured.joulesPerToken == 0.25)
    #expect(
      measured.json.canonicalText
        == #"{"joules":12.0,"joules_per_token":0.25,"method":"rapl-powercap","scope":"whole machine","tokens":48}"#)
    let none = EnergyReading(joules: nil, tokens: 48, reason: "why")
    #expect(none.joulesPerToken == nil && none.json.canonicalText == #"{"method":"none","reason":"why"}"#)
    #expect(EnergyReading(joules: 3, tokens: 0, reason: nil).joulesPerToken == 3)
  }
}
