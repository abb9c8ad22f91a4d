import FurlBase
import Testing

@Suite struct GzipTests {
  /// Made with Python's `gzip` and `zlib`: an empty text, a stored block, fixed codes, own codes.
  private static let samples: [(name: String, hex: String, text: String)] = [
    ("empty", "1f8b08000000000002ff03000000000000000000", ""),
    ("stored", "1f8b08000000000002ff010f00f0ff73746f7265642061732069742069736578d15a0f000000", "stored as it is"),
    ("fixed", "1f8b08000000000002ff4b4c4a4ec4400071bbda2b15000000", "abcabcabcabcabcabcabc"),
    ("own", own, ownText),
  ]

  private static let ownText = (0..<40).map { "def f\($0 * $0 % 97)(x): return x * \($0)" }.joined(separator: " ")
  private static let own =
    "1f8b08000000000002ff65933b0e02310c05af9212a8889d2fe7d9dd926205d21e1fa1bc3499d64fb133e364db8f703c"
    + "6fd7fd15cefdf33ddfe10a8ff00cdbbf1ed77a1cf5b4d66dd4fb5a77f5296b904660790df2081c278a4663461d41c1a5"
    + "da081a28ba66804ed886567182572442af8644f00c04efd42bfac233c2ef1016c5efc491808af546198898635290d1cd"
    + "a4a06333260589cf420a3a484d0e12e7c841673739c8e031396808a4a0409b498161a32e050ddd5c0a32aee6526010ea"
    + "52d0f837a4a0408ecf4f805bbb14449e990ab01e9f0e98f41fac215a2bfe030000"

  private static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).map { $0 < 0x61 ? $0 - 0x30 : $0 - 0x61 + 10 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  @Test func samplesUnpack() throws {
    for sample in GzipTests.samples {
      let packed = GzipTests.bytes(sample.hex)
      #expect(Gzip.isCompressed(packed))
      #expect(
        try String(decoding: Gzip.decompress(packed, file: nil, limit: 10_000), as: UTF8.self) == sample.text,
        "\(sample.name)")
      // Members follow one another.
      #expect(try Gzip.decompress(packed + packed, file: nil, limit: 10_000) == Array((sample.text + sample.text).utf8))
    }
  }

  @Test func whatIsCutOrChangedIsRefused() throws {
    for sample in GzipTests.samples {
      let packed = GzipTests.bytes(sample.hex)
      for count in 0..<packed.count {
        #expect(throws: FurlError.self) { try Gzip.decompress(Array(packed[..<count]), file: "a.gz", limit: 10_000) }
      }
      // The time, the level and the system in the header mean nothing; every other bit does.
      for index in packed.indices where !(4...9).contains(index) {
        for bit in 0..<8 {
          var damaged = packed
          damaged[index] ^= 1 << UInt8(bit)
          let content = try? Gzip.decompress(damaged, file: "a.gz", limit: 10_000)
          #expect(content == nil || content == Array(sample.text.utf8))
        }
      }
    }
  }

  @Test func contentHasALimit() throws {
    let packed = GzipTests.bytes(GzipTests.samples[3].hex)
    let count = GzipTests.samples[3].text.utf8.count
    #expect(try Gzip.decompress(packed, file: nil, limit: count).count == count)
    let error = #expect(throws: FurlError.self) { try Gzip.decompress(packed, file: "a.gz", limit: count - 1) }
    #expect(error?.description.contains("unpacks to more than \(count - 1) bytes") == true)
  }
}
