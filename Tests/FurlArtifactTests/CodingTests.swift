@testable import FurlArtifact
import FurlBase
import FurlTensor
import Testing

/// Compact coding of streams, without a file around them.
@Suite struct CodingTests {
  static let forms = SymbolForm.allCases

  /// Compresses and decodes the frames as a reader does.
  private func roundTrip(_ bytes: [UInt8], _ form: SymbolForm) throws -> [UInt8] {
    let chunks = StreamChunks(form: form, byteCount: bytes.count)
    let source = try storage(bytes)
    let target = try ByteStorage(zeroed: bytes.count)
    let compressor = try FrameCompressor()
    let decompressor = try Decompressor()
    for chunk in 0..<chunks.count {
      let frames = try compressor.frames(source, chunks.range(chunk), form)
      #expect(frames.count == form.planes)
      for (plane, frame) in frames.enumerated() {
        let stored = try storage(frame)
        try decompressor.decode(stored, 0..<frame.count, plane: plane, to: target, chunks.range(chunk), form)
      }
    }
    return target.bytes
  }

  @Test(arguments: forms)
  func everySizeComesBack(_ form: SymbolForm) throws {
    var draws = SplitMix64(seed: 7)
    for size in Array(0...70) + [255, 256, 257, 511, 1000, 1023, 3001, 4097] {
      let bytes = (0..<size * form.unit).map { _ in UInt8(truncatingIfNeeded: draws.next()) }
      #expect(try roundTrip(bytes, form) == bytes)
    }
  }

  @Test(arguments: forms)
  func chunksMeetAtTheirEnds(_ form: SymbolForm) throws {
    var draws = SplitMix64(seed: 8)
    let chunk = StreamChunks(form: form, byteCount: 0).chunkBytes
    for size in [chunk - form.unit, chunk, chunk + form.unit, 2 * chunk + 12 * form.unit] {
      let bytes = sampleBytes(size, &draws)
      #expect(try roundTrip(bytes, form) == bytes)
    }
  }

  @Test func chunksCoverAStreamOnce() {
    for form in Self.forms {
      for size in [0, 1, 5, 1 << 17, (1 << 20) - 4, (1 << 20) + 4, 5_000_000] {
        let chunks = StreamChunks(form: form, byteCount: size)
        var end = 0
        for chunk in 0..<chunks.count {
          #expect(chunks.range(chunk).lowerBound == end && !chunks.range(chunk).isEmpty)
          #expect(chunks.frameSymbols(chunks.range(chunk).count) <= StreamChunks.symbolsPerFrame)
          end = chunks.range(chunk).upperBound
        }
        #expect(end == size)
      }
    }
  }

  @Test func whatCannotBeCompressedLiesRaw() throws {
    var draws = SplitMix64(seed: 9)
    let noise = try storage((0..<300_000).map { _ in UInt8(truncatingIfNeeded: draws.next()) })
    #expect(try CompactCoding.storedBytes(of: noise, symbols: .bytes) == 300_000)
    let weights = try storage(sampleBytes(300_000, &draws))
    #expect(try CompactCoding.storedBytes(of: weights, symbols: .bytes) < 180_000)
  }

  /// Normal deviates of scale 4 have 4.05 bits of entropy; Huffman codes must come within 2 % of it.
  @Test func codesTakeLittleMoreThanTheirEntropy() throws {
    var draws = SplitMix64(seed: 10)
    let bytes = (0..<1 << 20).map { _ in
      // The sum of twelve uniform draws is close to a normal deviate.
      let deviate = (0..<12).reduce(-6.0) { sum, _ in sum + draws.unit() }
      return UInt8(Int((deviate * 4).rounded()) + 128)
    }
    var counts = [Double](repeating: 0, count: 256)
    for byte in bytes { counts[Int(byte)] += 1 }
    let total = Double(bytes.count)
    let entropy = counts.reduce(0) { $0 + ($1 > 0 ? -$1 / total * log2($1 / total) : 0) }
    let stored = try CompactCoding.storedBytes(of: storage(bytes), symbols: .bytes)
    #expect(Double(stored) * 8 / total < entropy * 1.02)
  }

  /// Rows that were never trained are all alike: a stream of few different pieces takes next to nothing, although
  /// Huffman codes alone, which frames without repetitions are given, would take most of a byte for each symbol.
  @Test(arguments: [SymbolForm.bytes, .nibbles])
  func repetitionsAreFound(_ form: SymbolForm) throws {
    var draws = SplitMix64(seed: 11)
    let row = (0..<4096).map { _ in UInt8(truncatingIfNeeded: draws.next()) }
    let bytes = (0..<256).flatMap { _ in row }
    #expect(try CompactCoding.storedBytes(of: storage(bytes), symbols: form) < bytes.count / 8)
    // Also where only a part of the stream repeats itself.
    let noise = (0..<bytes.count).map { _ in UInt8(truncatingIfNeeded: draws.next() % 200) }
    let mixed = zip(noise, bytes).enumerated().map { $0 / 65536 % 2 == 0 ? $1.0 : $1.1 }
    #expect(try CompactCoding.storedBytes(of: storage(mixed), symbols: form) < bytes.count * 5 / 8)
  }

  // MARK: Zeros apart

  /// Elements of which so many hundredths are zero, and the byte that zeros consist of.
  private func sparse(_ count: Int, _ form: SymbolForm, zeros: UInt64, zero: UInt8, seed: UInt64) -> [UInt8] {
    var draws = SplitMix64(seed: seed)
    return (0..<count).flatMap { _ in
      let isZero = draws.next() % 100 < zeros
      return (0..<form.planes).map { _ in isZero ? zero : UInt8(truncatingIfNeeded: draws.next()) }
    }
  }

  @Test(arguments: [SymbolForm.bytes, .halves, .floats])
  func zerosApartComeBack(_ form: SymbolForm) throws {
    let compressor = try FrameCompressor()
    let decompressor = try Decompressor()
    for (seed, count) in [1, 7, 8, 9, 63, 1000, 1023, 262_144, 300_001].enumerated() {
      for zeros: UInt64 in [60, 97, 100] {
        let bytes = sparse(count, form, zeros: zeros, zero: 128, seed: UInt64(seed))
        let source = try storage(bytes)
        let chunks = StreamChunks(form: form, byteCount: bytes.count, hasBitmap: true)
        let target = try ByteStorage(zeroed: bytes.count)
        for chunk in 0..<chunks.count {
          let range = chunks.range(chunk)
          // Few elements may have less than the share.
          guard let frames = try compressor.framesApart(source, range, form, zero: 128) else {
            #expect(count < 100)
            target.withMutableBytes(range) { $0.copyBytes(from: bytes[range]) }
            continue
          }
          #expect(frames.count == chunks.framesPerChunk)
          let first = try storage(frames[0])
          let bitmap = try decompressor.bitmap(first, 0..<frames[0].count, of: chunks.elements(chunk))
          for (plane, frame) in frames.dropFirst().enumerated() {
            try decompressor.decode(
              storage(frame), 0..<frame.count, plane: plane, to: target, range, form, bitmap, zero: 128)
          }
        }
        #expect(target.bytes == bytes)
      }
    }
  }

  /// A number takes its bytes, and a zero what its share of the bitmap takes.
  @Test func sparseNumbersTakeTheirBytesAndABitmap() throws {
    for zeros: UInt64 in [50, 80] {
      let bytes = sparse(500_000, .floats, zeros: zeros, zero: 0, seed: zeros)
      let share = Double(zeros) / 100
      let bits = (1 - share) * 32 - share * log2(share) - (1 - share) * log2(1 - share)
      let stored = try CompactCoding.storedBytes(of: storage(bytes), symbols: .floats, zero: 0)
      #expect(abs(Double(stored) * 8 / 500_000 / bits - 1) < 0.02)
      #expect(try Double(stored) < 0.95 * Double(CompactCoding.storedBytes(of: storage(bytes), symbols: .floats)))
    }
    // Fewer zeros than a bitmap is worth.
    let few = try storage(sparse(500_000, .floats, zeros: 10, zero: 0, seed: 1))
    #expect(
      try CompactCoding.storedBytes(of: few, symbols: .floats, zero: 0)
        == CompactCoding.storedBytes(of: few, symbols: .floats))
  }

  @Test func aBitmapOfOtherSizesIsRefused() throws {
    let decompressor = try Decompressor()
    for (bytes, count) in [([UInt8](repeating: 255, count: 2), 15), ([0, 16], 12)] {
      let frame = try Zstd.compress(bytes)
      #expect(throws: Zstd.Damage.notBitmap) {
        try decompressor.bitmap(try storage(frame), 0..<frame.count, of: count)
      }
      #expect(throws: Zstd.Damage.wrongSize) {
        try decompressor.bitmap(try storage(frame), 0..<frame.count, of: count + 8)
      }
    }
    // More or fewer elements than the bitmap says.
    let bitmap = try #require(Bitmap([0b101], count: 4))
    for symbols: [UInt8] in [[1], [1, 2, 3]] {
      let frame = try Zstd.compress(symbols)
      let target = try ByteStorage(zeroed: 4)
      #expect(throws: Zstd.Damage.wrongSize) {
        try decompressor.decode(
          try storage(frame), 0..<frame.count, plane: 0, to: target, 0..<4, .bytes, bitmap, zero: 0)
      }
    }
  }

  // MARK: Frames that are not what they should be

  private func decode(_ frame: [UInt8], _ count: Int, _ form: SymbolForm = .bytes) throws -> [UInt8] {
    let target = try ByteStorage(zeroed: count)
    try Decompressor().decode(try storage(frame), 0..<frame.count, plane: 0, to: target, 0..<count, form)
    return target.bytes
  }

  private var frame: [UInt8] { get throws { try Zstd.compress([UInt8](0..<200) + [UInt8](0..<200)) } }

  @Test func aFrameOfAnotherSizeIsRefused() throws {
    #expect(try decode(frame, 400).count == 400)
    for count in [0, 1, 399, 401, 262_144] {
      #expect(throws: Zstd.Damage.wrongSize) { try decode(try frame, count) }
    }
  }

  @Test func aFrameThatLiesAboutItsSizeIsRefused() throws {
    var lying = try frame
    // Sizes from 256 on are stored in two bytes behind the descriptor, less 256.
    #expect(lying[5] == 144 && lying[6] == 0)
    lying[5] += 1
    #expect(throws: Zstd.Damage.self) { try decode(lying, 401) }
    lying[5] -= 2
    #expect(throws: Zstd.Damage.self) { try decode(lying, 399) }
  }

  @Test func aFrameWithoutChecksumIsRefused() throws {
    var bare = Array(try frame.dropLast(4))
    bare[4] &= ~4
    #expect(throws: Zstd.Damage.noChecksum) { try decode(bare, 400) }
  }

  @Test func aWrongChecksumIsRefused() throws {
    var wrong = try frame
    wrong[wrong.count - 1] ^= 1
    #expect(throws: Zstd.Damage.self) { try decode(wrong, 400) }
  }

  @Test func anythingButOneFrameIsRefused() throws {
    let skippable: [UInt8] = [0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 9]
    let empty = try Zstd.compress([])
    for wrong in [
      [], [0x28], try Array(frame.dropLast()), try frame + [0], try frame + frame, try skippable + frame,
      try frame + skippable, try frame + empty, Array("no frame".utf8),
    ] {
      #expect(throws: Zstd.Damage.notOneFrame) { try decode(wrong, 400) }
    }
  }

  @Test func symbolsAboveFifteenAreNoNibbles() throws {
    let good = try Zstd.compress([1, 2, 15, 0])
    #expect(try decode(good, 2, .nibbles) == [0xF1, 0x02])
    for wrong in [[16, 0, 0, 0], [0, 0, 0, 0x80]] as [[UInt8]] {
      #expect(throws: Zstd.Damage.notCodes) { try decode(try Zstd.compress(wrong), 2, .nibbles) }
    }
  }

  @Test func aJobThatLeavesPartsOutIsADefect() throws {
    let bytes = try storage([UInt8](repeating: 1, count: 300_000))
    let error = #expect(throws: FurlError.self) {
      try CompactCoding.storedBytes(of: bytes, symbols: .bytes) { _, body in body(0) }
    }
    #expect(error?.kind == .defect)
  }
}
