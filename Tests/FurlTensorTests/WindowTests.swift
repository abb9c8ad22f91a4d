import FurlTensor
import FurlTestSupport
import Testing

/// Caches that keep a window as a ring, and sequences of more than one tile of positions.
@Suite struct WindowTests {
  typealias Sequence = AttentionTests.Sequence

  /// One batch of one sequence.
  struct Step {
    let slot: Int
    let positions: Range<Int>
  }

  /// The rows of some steps, in their order.
  private func rows(
    _ cache: KeyValueCache, _ sequence: Sequence, _ steps: [Step], on context: ComputeContext
  ) throws -> [[Float]] {
    try steps.flatMap {
      try AttentionTests.step(cache, [(sequence, $0.slot, $0.positions)], scale: 0.3, on: context)
    }
  }

  private func steps(_ length: Int, chunk: Int, slot: Int = 0) -> [Step] {
    stride(from: 0, to: length, by: chunk).map { Step(slot: slot, positions: $0..<min($0 + chunk, length)) }
  }

  private func cache(
    _ heads: KeyValueCache.Heads, _ format: KeyValueCache.CacheFormat, length: Int, threads: Int = 1, rowLimit: Int
  ) throws -> KeyValueCache {
    // `step` uses the middle one of three blocks.
    let other = KeyValueCache.Heads(heads: 1, kvHeads: 1, headSize: 8)
    return try KeyValueCache(
      blocks: [other, heads, other], slots: 2, contextLength: length, format: format, threads: threads,
      rowLimit: rowLimit)
  }

  /// A ring that is gone round many times gives the bits of a cache that holds everything, and both what a softmax
  /// over the window is.
  @Test(arguments: Kernels.supported, KeyValueCache.CacheFormat.allCases)
  func aRingIsTheSameAsHoldingEverything(_ tier: String, _ format: KeyValueCache.CacheFormat) throws {
    let context = try computing(tier)
    for (window, rowLimit) in [(1, 1), (1, 16), (7, 5), (16, 1), (20, 16), (33, 30), (64, 17)] {
      for (heads, kvHeads, size) in [(1, 1, 8), (6, 2, 24), (2, 2, 18)] {
        let heads = KeyValueCache.Heads(heads: heads, kvHeads: kvHeads, headSize: size, window: window)
        let sequence = Sequence(heads, length: 200, seed: UInt64(window))
        let everything = try cache(heads, format, length: 200, rowLimit: 200)
        let expected = try rows(everything, sequence, steps(200, chunk: 200), on: context)
        #expect(everything.firstResumable(slot: 0) == 0)
        for chunk in Set([1, rowLimit, (rowLimit + 1) / 2]) {
          let ring = try cache(heads, format, length: 200, rowLimit: rowLimit)
          let found = try rows(ring, sequence, steps(200, chunk: chunk), on: context)
          #expect(found == expected, "window \\(window), \\(rowLimit) rows at most, \\(chunk) at once")
        }
        var worst = Worst()
        for position in stride(from: 0, to: 200, by: 23) {
          for (value, exact) in zip(expected[position], sequence.expected(position, scale: 0.3, format: format)) {
            worst.add(Double(value), exact, bound: 1e-5, "position \\(position), window \\(window)")
          }
        }
        #expect(worst.share <= 1, "\\(worst.place)")
      }
    }
  }

  /// Back to any length that the ring still serves, and on from there in another way.
  @Test func goingBackIsTheSameAsNeverHavingGone() throws {
    let context = try computing("scalar")
    let heads = KeyValueCache.Heads(heads: 2, kvHeads: 1, headSize: 8, window: 20)
    let sequence = Sequence(heads, length: 150, seed: 1)
    let other = Sequence(heads, length: 150, seed: 2)
    let ring = try cache(heads, .float32, length: 150, rowLimit: 13)
    // 20 + 13 - 1 positions, rounded up to 32.
    for (start, end) in [(0, 13), (0, 32), (1, 33), (13, 45), (90, 122)] {
      _ = try rows(ring, sequence, steps(end, chunk: 13), on: context)
      let first = ring.firstResumable(slot: 0)
      #expect(first == (end > 32 ? start + 19 : 0))
      for length in Set([max(first, 1), (first + end) / 2, end - 1]) {
        _ = try rows(ring, sequence, steps(end, chunk: 13), on: context)
        let mixed = try cache(heads, .float32, length: 150, rowLimit: 150)
        _ = try rows(mixed, sequence, [Step(slot: 0, positions: 0..<length)], on: context)
        let on = Step(slot: 0, positions: length..<length + 9)
        let expected = try rows(mixed, other, [on], on: context)
        #expect(try rows(ring, other, [on], on: context) == expected, "back from \\(end) to \\(length)")
        // What was overwritten on the way back stays lost.
        #expect(ring.firstResumable(slot: 0) >= first)
      }
      // From the beginning everything is possible again.
      _ = try rows(ring, other, [Step(slot: 0, positions: 0..<1)], on: context)
      #expect(ring.firstResumable(slot: 0) == 0)
    }
    #expect(ring.firstResumable(slot: 1) == 0)
  }

  /// Several tiles of positions: token by token, in chunks, and shared out over threads, it is all the same bits.
  @Test(arguments: Kernels.supported.filter { $0 != "scalar" }, KeyValueCache.CacheFormat.allCases)
  func longSequencesAreTheSameBitsHoweverComputed(_ tier: String, _ format: KeyValueCache.CacheFormat) throws {
    for (heads, kvHeads, window) in [(1, 1, nil), (3, 1, nil), (6, 3, nil), (2, 1, 700), (5, 5, 513)]
      as [(Int, Int, Int?)]
    {
      let heads = KeyValueCache.Heads(heads: heads, kvHeads: kvHeads, headSize: 16, window: window)
      let sequence = Sequence(heads, length: 1100, seed: 5)
      let one = try cache(heads, format, length: 1100, rowLimit: 1100)
      let expected = try rows(one, sequence, steps(1100, chunk: 1100), on: computing(tier))
      for threads in [1, 3] {
        let context = try computing(tier, threads: threads)
        let cache = try cache(heads, format, length: 1100, threads: threads, rowLimit: 128)
        #expect(try rows(cache, sequence, steps(1100, chunk: 128), on: context) == expected)
        let single = (1076..<1100).map { Step(slot: 0, positions: $0..<$0 + 1) }
        #expect(
          try rows(cache, sequence, single, on: context) == Array(expected[1076...]),
          "\\(heads), \\(threads) threads")
      }
      var worst = Worst()
      for position in [511, 512, 513, 1023, 1024, 1099] {
        for (value, exact) in zip(expected[position], sequence.expected(position, scale: 0.3, format: format)) {
          worst.add(Double(value), exact, bound: 1e-5, "position \\(position), \\(heads)")
        }
      }
      #expect(worst.share <= 1, "\\(worst.place)")
    }
  }

  /// Two sequences of very different lengths, one token each: threads share the long one's tiles.
  @Test func sequencesOfDifferentLengthsAreSharedOut() throws {
    let heads = KeyValueCache.Heads(heads: 4, kvHeads: 1, headSize: 16)
    let long = Sequence(heads, length: 1300, seed: 1)
    let short = Sequence(heads, length: 30, seed: 2)
    var results: [[[Float]]] = []
    for threads in [1, 2, 4] {
      let context = try computing(Kernels.supported[0], threads: threads)
      let cache = try cache(heads, .float16, length: 1300, threads: threads, rowLimit: 1300)
      _ = try rows(cache, long, [Step(slot: 0, positions: 0..<1299)], on: context)
      _ = try rows(cache, short, [Step(slot: 1, positions: 0..<29)], on: context)
      results.append(
        try AttentionTests.step(cache, [(short, 1, 29..<30), (long, 0, 1299..<1300)], scale: 0.3, on: context))
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  @Test func aWindowBoundsTheMemory() throws {
    let whole = KeyValueCache.Heads(heads: 4, kvHeads: 2, headSize: 64)
    let window = KeyValueCache.Heads(heads: 4, kvHeads: 2, headSize: 64, window: 4096)
    func bytes(_ blocks: [KeyValueCache.Heads], _ length: Int, _ format: KeyValueCache.CacheFormat) -> Int? {
      KeyValueCache.byteCount(blocks, contextLength: length, format: format)
    }
    let position = 2 * 2 * 64  // keys and values of two heads
    #expect(bytes([whole], 32768, .float32) == 32768 * 4 * position)
    #expect(bytes([whole], 32768, .float16) == 32768 * 2 * position)
    // Two scales for a key, one for a value.
    #expect(bytes([whole], 32768, .int8) == 32768 * (position + 2 * 2 * 3))
    // 4096 and the 127 others of a batch, in sixteens.
    #expect(bytes([window], 32768, .float16) == 4224 * 2 * position)
    #expect(bytes([window], 1 << 40, .float16) == 4224 * 2 * position)
    #expect(bytes([window], 1000, .float16) == 1008 * 2 * position)
    #expect(bytes([whole, window], 32768, .float16) == (32768 + 4224) * 2 * position)
  }
}
