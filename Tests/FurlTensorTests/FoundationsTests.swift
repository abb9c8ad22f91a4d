import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Synchronization
import Testing

/// Digests, draws, threads and errors.
@Suite struct FoundationsTests {
  /// FIPS 180-2, appendix B, and the empty message.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
  ])
  func digestsAreThoseOfTheStandard(_ text: String, _ hex: String) throws {
    let bytes = Array(text.utf8)
    #expect(Digest(of: bytes).hex == hex && Digest(of: bytes).description == hex)
    let file = try TestData.mapped([1, 2, 3] + bytes + [4])
    #expect(Digest(of: file, 3..<3 + bytes.count).hex == hex)
    let storage = try ByteStorage(zeroed: bytes.count)
    storage.withMutableBytes(0..<bytes.count) { $0.copyBytes(from: bytes) }
    #expect(Digest(of: storage).hex == hex)
    var hasher = Digest.Hasher()
    for start in stride(from: 0, to: bytes.count, by: 977) {
      hasher.update(Array(bytes[start..<min(start + 977, bytes.count)]))
    }
    #expect(hasher.finish() == Digest(hex: hex))
  }

  /// A file longer than the pieces that are read at once.
  @Test func aLongFileIsDigestedInPieces() throws {
    let bytes = [UInt8](repeating: 0x61, count: (8 << 20) + 12_345)
    #expect(try Digest(of: TestData.mapped(bytes)) == Digest(of: bytes))
  }

  @Test(arguments: [
    "", "ab", String(repeating: "g", count: 64), String(repeating: "A", count: 64), String(repeating: "é", count: 32),
  ])
  func whatIsNoDigestIsRefused(_ text: String) {
    #expect(Digest(hex: text) == nil)
  }

  /// The values that the generator's reference implementation (Vigna) prints for these seeds.
  @Test func drawsAreThosePublished() {
    var draws = SplitMix64(seed: 1_234_567)
    let published: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
      16_408_922_859_458_223_821,
    ]
    #expect((0..<5).map { _ in draws.next() } == published)
    var zero = SplitMix64(seed: 0)
    #expect(zero.next() == 0xE220_A839_7B1D_CDAF)
    var unit = SplitMix64(seed: 3)
    let numbers = (0..<10_000).map { _ in unit.unit() }
    #expect(numbers.allSatisfy { (0..<1).contains($0) } && abs(numbers.reduce(0, +) / 10_000 - 0.5) < 0.02)
  }

  @Test(arguments: 1...8)
  func everyPartRunsOnce(_ threads: Int) {
    let pool = WorkerPool(threads: threads)
    #expect((1...threads).contains(pool.threads))
    let runs = (0..<threads).map { _ in Counter() }
    for repeats in 1...2000 {
      pool.run { part, parts in
        if parts == pool.threads { runs[part].add(1) }
      }
      // All parts are done when the call returns.
      guard runs.prefix(pool.threads).allSatisfy({ $0.value == repeats }) else {
        Issue.record("after run \(repeats): \(runs.map(\.value))")
        return
      }
    }
  }

  @Test(arguments: 1...8)
  func everyIndexIsVisitedOnce(_ threads: Int) {
    let pool = WorkerPool(threads: threads)
    for count in Array(0...40) + [1000] {
      let visits = (0..<count).map { _ in Counter() }
      pool.forEach(count) { visits[$0].add(1) }
      #expect(visits.allSatisfy { $0.value == 1 })
    }
  }

  @Test func sharesCoverEverythingEvenly() {
    for count in 0...70 {
      for parts in 1...9 {
        let shares = (0..<parts).map { WorkerPool.share(count, $0, parts) }
        #expect(shares.flatMap { Array($0) } == Array(0..<count))
        #expect((shares.map(\.count).max() ?? 0) - (shares.map(\.count).min() ?? 0) <= 1)
      }
    }
  }

  /// Pools come and go, also unused.
  @Test func poolsCanBeMadeAndDropped() {
    for threads in 1...60 { _ = WorkerPool(threads: 1 + threads % 8) }
    #expect(WorkerPool.availableCores >= 1)
  }

  @Test func anErrorIsOneLine() {
    let error = FurlError.input(
      "a\nb.json", "line 3: \u{1B}[31mkey\u{0}", "is \"x\r\n\u{2028}y\u{202E}\u{7F}\u{9B}é漢\"", remedy: "use\tz")
    #expect(
      "\(error)"
        == #"a\u{a}b.json: line 3: \u{1b}[31mkey\u{0}: is "x\u{d}\u{a}\u{2028}y\u{202e}\u{7f}\u{9b}é漢" (use\u{9}z)"#)
    #expect("\(FurlError(.usage, "nothing to do"))" == "nothing to do")
    #expect("\(FurlError(.input, file: "f", "is wrong"))" == "f: is wrong")
    for scalar in (0...0x2FFF as ClosedRange<UInt32>).compactMap(Unicode.Scalar.init) {
      let line = FurlError.input(nil, "x" + String(Character(scalar))).description
      #expect(line.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).count == 1)
    }
  }

  @Test func everyKindHasItsExitStatus() {
    let kinds: [FurlError.Kind] = [.usage, .input, .unavailable, .defect, .cannotCreate, .cannotWrite]
    #expect(kinds.map { FurlError($0, "").exitStatus } == [64, 65, 69, 70, 73, 74])
  }
}

/// A number that threads add to.
final class Counter: Sendable {
  private let total = Atomic<Int>(0)
  var value: Int { total.load(ordering: .acquiring) }
  func add(_ count: Int) { total.add(count, ordering: .acquiringAndReleasing) }
}
