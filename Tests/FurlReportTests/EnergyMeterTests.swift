import FurlBase
import FurlEvaluate
@testable import FurlReport
import FurlTestSupport
import Foundation
import Synchronization
import Testing

/// Powercap trees made for tests, laid out as Documentation/power/powercap/powercap.rst shows them.
struct PowercapTree {
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

  static func with(_ body: (PowercapTree) throws -> Void) throws {
    try TestData.withTemporaryFolder { try body(PowercapTree(root: $0)) }
  }

  var source: EnergySource { .powercap(root: root) }
}

@Suite struct EnergyMeterTests {
  /// The figures of two independent implementations of wrap-around, and one reading that must not count.
  @Test(arguments: [
    (1000.0, 5_001_000.0, 262_143_328_850.0 as Double?, 5_000_000.0 as Double?),
    (262_143_000_000, 500_000, 262_143_328_850, 828_850), (5000, 100, nil, nil),
    // A range that the counter has been beyond is none.
    (5000, 100, 4000, nil), (7, 7, nil, 0),
  ])
  func differences(_ sample: (last: Double, new: Double, range: Double?, expected: Double?)) {
    var sum = EnergySum(start: sample.last, range: sample.range)
    sum.add(sample.new)
    #expect((sum.invalid == 0 ? sum.total : nil) == sample.expected)
  }

  @Test func aReadingThatFailsSpoilsTheSum() {
    var sum = EnergySum(start: 0, range: nil)
    sum.add(10)
    sum.add(nil)
    sum.add(20)
    #expect(sum.invalid == 1 && sum.updates == 2)
  }

  @Test func packagesAreAddedUpAndTheirPartsAreNot() throws {
    try PowercapTree.with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "1000000")
      try tree.add("intel-rapl:1", name: "package-1", energy: "5000000")
      try tree.add("intel-rapl:0:0", name: "core", energy: "100")
      try tree.add("intel-rapl:0:1", name: "dram", energy: "100")
      // The kernel nests sub-zones in their parents, too.
      try tree.add("intel-rapl:0/intel-rapl:0:0", name: "core", energy: "100")
      try tree.add("intel-rapl:2", name: "psys", energy: "100")
      try tree.add("intel-rapl-mmio:0", name: "package-0", energy: "100")
      try tree.set("intel-rapl", "enabled", "1")
      let meter = EnergyMeter(tree.source)
      #expect(meter.source.reason == nil && meter.source.counters.map(\.name) == ["package-0", "package-1"])
      #expect(meter.source.counters.allSatisfy { !$0.path.contains("mmio") })
      #expect(meter.joules() == 0)
      try tree.set("intel-rapl:0", "energy_uj", "3500000")
      try tree.set("intel-rapl:1", "energy_uj", "5250000")
      for part in ["intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:2", "intel-rapl-mmio:0"] {
        try tree.set(part, "energy_uj", "99000000")
      }
      #expect(meter.joules() == 2.75)
      #expect(meter.readings.count >= 2 && meter.readings.invalid == 0)
    }
  }

  @Test func mmioCountsWhereThereIsNothingElse() throws {
    try PowercapTree.with { tree in
      try tree.add("intel-rapl-mmio:0", name: "package-0", energy: "100")
      #expect(tree.source.method == .powercap && tree.source.counters.map(\.name) == ["package-0"])
      // A second zone of the same name is the same package.
      try tree.add("intel-rapl:0", name: "package-0", energy: "100")
      try tree.add("intel-rapl:1", name: "package-0", energy: "100")
      #expect(tree.source.counters.map(\.path) == [tree.root + "/intel-rapl:0"])
    }
  }

  @Test func aCounterThatBeginsAgain() throws {
    try PowercapTree.with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "262143000000")
      let meter = EnergyMeter(tree.source)
      try tree.set("intel-rapl:0", "energy_uj", "500000")
      #expect(meter.joules() == 0.82885)
      // And a second time.
      try tree.set("intel-rapl:0", "energy_uj", "262143328849")
      _ = meter.joules()
      try tree.set("intel-rapl:0", "energy_uj", "0")
      #expect(meter.joules().map { abs($0 - 262_143.65770) < 1e-3 } == true)
    }
  }

  /// A counter that begins again twice between two looks of the caller is followed by the meter's own readings.
  @Test func theMeterReadsByItself() throws {
    let values = Mutex<[Double]>([0])
    let counter = EnergyCounter(name: "package-0", path: "", range: 1000) {
      // 400, 800, 1200 - 1000, ...
      values.withLock { seen in
        seen.append((Double(seen.count) * 400).truncatingRemainder(dividingBy: 1000))
        return seen[seen.count - 1]
      }
    }
    let meter = EnergyMeter(EnergySource(.powercap, [counter]), interval: 0.001)
    while meter.readings.count < 20 { Thread.sleep(forTimeInterval: 0.001) }
    meter.stop()
    let joules = try #require(meter.joules())
    let readings = values.withLock { $0.count - 1 }
    // The first reading is the start.
    #expect(abs(joules * 1e6 - Double(readings - 1) * 400) < 1e-6)
  }

  @Test func aCounterThatGoesBackWithoutARange() throws {
    for range in [nil, "", "much", "0"] as [String?] {
      try PowercapTree.with { tree in
        try tree.add("intel-rapl:0", name: "package-0", energy: "1000", range: range)
        let meter = EnergyMeter(tree.source)
        #expect(meter.source.reason == nil && meter.joules() == 0)
        try tree.set("intel-rapl:0", "energy_uj", "999")
        #expect(meter.joules() == nil && meter.readings.invalid == 1)
      }
    }
  }

  @Test(arguments: ["", "none", "nan", "inf", "-5"])
  func aCounterThatIsNoNumber(_ value: String) throws {
    try PowercapTree.with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "1000")
      try tree.add("intel-rapl:1", name: "package-1", energy: value)
      #expect(tree.source.method == .none && tree.source.reason?.contains("holds no number") == true)
      #expect(EnergyMeter(tree.source).joules() == nil)
    }
  }

  @Test func countersThatVanish() throws {
    try PowercapTree.with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "1000")
      let meter = EnergyMeter(tree.source)
      try FileManager.default.removeItem(atPath: tree.root + "/intel-rapl:0/energy_uj")
      #expect(meter.joules() == nil)
      #expect(tree.source.reason?.contains("cannot be read") == true)
    }
  }

  @Test func countersThatOnlyRootMayRead() throws {
    try PowercapTree.with { tree in
      try tree.add("intel-rapl:0", name: "package-0", energy: "1000")
      let denied = SystemText { path in
        path.hasSuffix("energy_uj") ? .failure(.forbidden) : SystemText.kernel.read(path)
      }
      let source = EnergySource.powercap(root: tree.root, files: denied)
      #expect(source.method == .none && source.reason?.contains("chmod a+r") == true)
      // What the system itself says, where the tests do not run as root.
      guard getuid() != 0 else { return }
      #expect(chmod(tree.root + "/intel-rapl:0/energy_uj", 0) == 0)
      #expect(tree.source.reason?.contains("may not read") == true)
    }
  }

  @Test func noCounters() throws {
    try PowercapTree.with { tree in
      for root in [tree.root, tree.root + "/absent"] {
        let source = EnergySource.powercap(root: root)
        #expect(source.reason == "this machine has no RAPL counters (\(root))" && EnergyMeter(source).joules() == nil)
      }
    }
  }

  // MARK: What is reported

  @Test func decodingIsMeasuredInStretches() throws {
    let clock = Mutex(0.0)
    let counter = EnergyCounter(name: "package-0", path: "/p", range: nil) { clock.withLock { $0 } }
    let source = EnergySource(.powercap, [counter])
    // Preparing takes 1 J and is left out; decoding 4 tokens takes 2 J.
    let reading = DecodeEnergy(repeats: 3, source: source, shortest: 0.002).measure(tokens: 4) {
      clock.withLock { $0 += 1e6 }
    } work: {
      clock.withLock { $0 += 2e6 }
      Thread.sleep(forTimeInterval: 0.001)
    }
    #expect(reading.samples.count == 3 && reading.samples.allSatisfy { $0 == 0.5 } && reading.joulesPerToken == 0.5)
    #expect(reading.json["method"]?.string == "rapl-powercap" && reading.invalid == 0 && reading.tokens % 4 == 0)
    let still = DecodeEnergy(
      repeats: 1, source: EnergySource(.perf, [EnergyCounter(name: "", path: "", range: nil) { 5 }]), shortest: 0
    )
    .measure(tokens: 1) {
    } work: {
    }
    #expect(still.joules == nil && still.json["reason"]?.string?.contains("did not move") == true)
    let none = DecodeEnergy(repeats: 1, source: EnergySource(.none, [], reason: "why")).measure(tokens: 1) {
    } work: {
      Issue.record("nothing is to be run where nothing can be measured")
    }
    #expect(none.json.canonicalText == #"{"method":"none","reason":"why"}"#)
  }

  @Test func readings() throws {
    var measured = EnergyReading(method: .powercap, joules: 12, tokens: 48, seconds: 2)
    #expect(measured.joulesPerToken == 0.25 && measured.netJoules == nil)
    measured.idle = IdlePower(seconds: 30, wattsBefore: 1, wattsAfter: 2)
    #expect(measured.netJoules == 9 && measured.json["net_joules_per_token"]?.number == 0.1875)
    let copy = try #require(EnergyReading(measured.transfer))
    #expect(copy.joules == 12 && copy.tokens == 48 && copy.method == .powercap)
    #expect(copy.merging(copy).joulesPerToken == 0.25 && copy.merging(.none("why")).joules == nil)
    let none = EnergyReading.none("why")
    #expect(none.joulesPerToken == nil && none.json.canonicalText == #"{"method":"none","reason":"why"}"#)
    #expect(EnergyReading(method: .perf, joules: 3, tokens: 0).joulesPerToken == 3)
    let halfIdle = IdlePower(seconds: 30, wattsBefore: 1)
    #expect(halfIdle.watts == nil)
  }

  @Test func modelsAndCarbonStandApart() throws {
    let factor = try #require(EnergyExtras.CarbonFactor("267.6:2023"))
    for text in ["", "267", "267:", ":2023", "267:1800", "nan:2023", "-1:2023", "1:2:3"] {
      #expect(EnergyExtras.CarbonFactor(text) == nil, "\(text)")
    }
    let none = EnergyReading.none("why")
    let measured = EnergyReading(method: .powercap, joules: 3.6e6, tokens: 10)
    func members(_ extras: EnergyExtras, _ reading: EnergyReading) -> JSON {
      .object(extras.members(reading, cpuSecondsPerToken: 0.02, cores: 4))
    }
    #expect(members(EnergyExtras(), measured) == .object([]))
    // 100 W x 0.02 s of one of 4 cores.
    let modelled = members(EnergyExtras(thermalDesignPower: 100), none)
    #expect(modelled["modelled"]?["joules_per_token"]?.number == 0.5 && modelled["carbon"] == nil)
    // A kilowatt-hour.
    let carbon = members(EnergyExtras(carbon: factor), measured)["carbon"]
    #expect(carbon?["grams"]?.number == 267.6 && carbon?["year"]?.integer == 2023)
    #expect(members(EnergyExtras(carbon: factor), none) == .object([]))
  }

  @Test func costsOfSuites() {
    let cost = TaskCost(suite: "s", seconds: 2, cpuSeconds: 3, joules: 20, samples: 10, solved: 4)
    #expect(cost.joulesPerSample == 2 && cost.joulesPerSolved == 5)
    #expect(TaskCost(suite: "s", seconds: 2, cpuSeconds: 3, joules: 20, samples: 10, solved: 0).joulesPerSolved == nil)
    #expect(TaskCost(suite: "s", seconds: 2, cpuSeconds: 3, joules: nil, samples: 10, solved: 4).joulesPerSolved == nil)
  }
}
