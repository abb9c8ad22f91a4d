import FurlBase
@testable import FurlCheckpoint
import FurlTestSupport
import Testing

/// Integers in words, against the package that reads them: `make_packing.py` of the fixtures.
@Suite struct PackingTests {
  private static let fixture = TestData.root + "/Tests/Fixtures/packing/packing.json"

  @Test func wordsAreThoseOfCompressedTensors() throws {
    let cases = try #require(try JSON.parse(TestData.bytes(Self.fixture), file: nil).array)
    #expect(cases.count == 8)
    for item in cases {
      let bits = try #require(item["bits"]?.integer)
      for (codes, words) in zip(item["codes"]?.array ?? [], item["words"]?.array ?? []) {
        let integers = (codes.array ?? []).compactMap { $0.integer.map { Int8($0) } }
        let expected = (words.array ?? []).compactMap(\.integer).flatMap { word in
          (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
        #expect(PackedPartWriter.packed(integers, bits: bits) == expected, "\(bits) bits, \(integers.count) columns")
      }
    }
  }
}
