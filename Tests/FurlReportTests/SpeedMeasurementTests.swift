import FurlBase
import FurlEvaluate
@testable import FurlReport
import FurlTensor
import FurlTestSupport
import Testing

@Suite struct SpeedMeasurementTests {
  @Test func measuresAModel() throws {
    let settings = SpeedMeasurement.SpeedSettings(threads: 2, promptTokens: 20, decodeTokens: 5, repeats: 3)
    let speed = try SpeedMeasurement(path: TestData.minipy, settings: settings)
    #expect(speed.loadSeconds.count == 1 && speed.prefill.count == 3 && speed.decode.count == 3)
    #expect((speed.loadSeconds + speed.prefill + speed.decode).allSatisfy { $0.isFinite && $0 > 0 })
    #expect(speed.cpuSecondsPerToken.count == 3 && speed.cpuSecondsPerToken.allSatisfy { $0 > 0 })
    #expect(speed.counters?.tokens == 15)
    #expect((speed.energy.joules == nil) == (speed.energy.reason != nil))
    #expect(speed.kernels == (try Kernels.fromEnvironment().name))
    if let loaded = speed.loadedBytes, let peak = speed.peakBytes {
      // The weights alone are 27.9 MB.
      #expect(loaded > 27_000_000 && peak >= loaded)
    }
  }

  @Test func measuresDecodingInAContextAndInABatch() throws {
    let settings = SpeedMeasurement.SpeedSettings(
      threads: 2, promptTokens: 10, decodeTokens: 6, decodeContext: 506, batch: .init(sequences: 5, slots: 3),
      repeats: 2)
    let speed = try SpeedMeasurement(path: TestData.minipy, settings: settings)
    #expect(speed.decode.count == 2 && speed.batched.count == 1)
    #expect((speed.decode + speed.batched).allSatisfy { $0.isFinite && $0 > 0 })
    for settings in [
      SpeedMeasurement.SpeedSettings(threads: 1, promptTokens: 1, decodeTokens: 6, decodeContext: 507),
      .init(threads: 1, promptTokens: 300, decodeTokens: 213, batch: .init(sequences: 1, slots: 1)),
    ] {
      let error = #expect(throws: FurlError.self) { try SpeedMeasurement(path: TestData.minipy, settings: settings) }
      #expect(error?.kind == .usage && error?.problem.contains("513 tokens do not fit in a context of 512") == true)
    }
  }

  /// As many tokens as the context holds, and none at all.
  @Test(arguments: [(512, 512), (0, 0), (1, 1)])
  func unusualSettings(_ sample: (prompt: Int, decode: Int)) throws {
    let settings = SpeedMeasurement.SpeedSettings(
      threads: 2, promptTokens: sample.prompt, decodeTokens: sample.decode, repeats: 1, format: .float16)
    let speed = try SpeedMeasurement(path: TestData.minipy, settings: settings)
    #expect(speed.prefill.count == 1 && speed.decode.count == 1)
    #expect(speed.counters?.tokens == sample.decode)
  }

  @Test(arguments: [(513, 1), (1, 513)])
  func moreTokensThanTheContextHoldsAreRefused(_ sample: (prompt: Int, decode: Int)) throws {
    let settings = SpeedMeasurement.SpeedSettings(threads: 1, promptTokens: sample.prompt, decodeTokens: sample.decode)
    let error = #expect(throws: FurlError.self) { try SpeedMeasurement(path: TestData.minipy, settings: settings) }
    #expect(error?.kind == .usage && error?.problem.contains("context of 512") == true)
  }

  private static let whole = """
    {"load_seconds":[0.5,0.25],"loaded_rss_bytes":10,"peak_rss_bytes":20,"prefill_tokens_per_second":[1.5],\
    "decode_tokens_per_second":[2.5,3.5],"batched_tokens_per_second":[9.5],\
    "cpu_seconds_per_token":[0.5],"counters":{"counts":{"cycles":7.0},"tokens":6,"reason":null},\
    "energy":{"method":"rapl-powercap","joules":4.5,"tokens":6,"seconds":1.5,"reason":null,"samples":[0.75],\
    "domains":[{"name":"package-0","path":"/p","range_joules":9.5}],"readings":3,"invalid_readings":0},\
    "competing_cpu_share":0.125,\
    "kernels":"avx2"}
    """

  private func read(_ text: String) throws -> SpeedMeasurement {
    try SpeedMeasurement(JSON.parse(Array(text.utf8), file: nil))
  }

  @Test func theDocumentComesBack() throws {
    let speed = try read(Self.whole)
    #expect(speed.json.compactText == Self.whole)
    #expect(
      speed.loadSeconds == [0.5, 0.25] && speed.loadedBytes == 10 && speed.peakBytes == 20 && speed.prefill == [1.5])
    #expect(
      speed.decode == [2.5, 3.5] && speed.energy.joules == 4.5 && speed.energy.tokens == 6 && speed.kernels == "avx2")
    let none = try read(
      #"{"load_seconds":[],"prefill_tokens_per_second":[],"decode_tokens_per_second":[],"energy":{"tokens":0,"reason":"no"},"kernels":"k"}"#
    )
    #expect(none.peakBytes == nil && none.energy.reason == "no" && none.competingLoad == nil)
    #expect(try read(none.json.compactText).json == none.json)
  }

  @Test(arguments: [
    "load_seconds", "prefill_tokens_per_second", "decode_tokens_per_second", "energy", "tokens", "kernels",
  ])
  func anAnswerThatIsNotWhole(_ key: String) {
    #expect(throws: FurlError.self) { try read(Self.whole.replacing("\"\(key)\"", with: "\"other\"")) }
    #expect(throws: FurlError.self) { try read("[]") }
  }

  @Test func roundsArePutTogether() throws {
    var one = try read(Self.whole)
    var other = one
    other.loadSeconds = [1]
    other.prefill = [7]
    other.decode = []
    other.batched = [4]
    other.loadedBytes = 5
    other.peakBytes = 90
    other.competingLoad = nil
    let both = try #require(SpeedMeasurement.merging([one, other]))
    #expect(both.loadSeconds == [0.5, 0.25, 1] && both.prefill == [1.5, 7] && both.decode == [2.5, 3.5])
    #expect(both.batched == [9.5, 4])
    #expect(both.loadedBytes == 10 && both.peakBytes == 90 && both.competingLoad == 0.125)
    #expect(both.energy.joules == 9 && both.energy.tokens == 12 && both.energy.reason == nil)
    one.energy = EnergyReading(method: .none, joules: nil, tokens: 6, reason: "why")
    for rounds in [[one, other], [other, one], [other, one, other]] {
      let energy = try #require(SpeedMeasurement.merging(rounds)).energy
      #expect(energy.joules == nil && energy.reason == "why" && energy.tokens == 6 * rounds.count)
    }
    #expect(SpeedMeasurement.merging([one])?.json == one.json)
    #expect(SpeedMeasurement.merging([]) == nil)
  }

  @Test func thisProcessHasMemory() throws {
    guard let memory = ProcessMemory.current() else { return }
    #expect(memory.resident > 1 << 20 && memory.peak >= memory.resident)
    let share = CompetingLoad()?.share()
    if let share { #expect((0...1).contains(share)) }
  }
}
