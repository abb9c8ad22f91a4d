import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Attention through the cache against a softmax in double precision.
@Suite struct AttentionTests {
  /// The keys, values and queries of one sequence, and what attention over them is.
  struct Sequence {
    let heads: KeyValueCache.Heads
    let queries: [[Float]]
    let keys: [[Float]]
    let values: [[Float]]

    init(_ heads: KeyValueCache.Heads, length: Int, seed: UInt64) {
      var draws = SplitMix64(seed: seed)
      self.heads = heads
      let width = heads.kvHeads * heads.headSize
      queries = (0..<length).map { _ in draws.floats(heads.heads * heads.headSize, scale: 3) }
      keys = (0..<length).map { _ in draws.floats(width, scale: 2) }
      values = (0..<length).map { _ in draws.floats(width) }
    }

    /// The row of a position: every head over the positions up to its own that its window reaches.
    func expected(_ position: Int, scale: Double, format: KeyValueCache.CacheFormat) -> [Double] {
      let size = heads.headSize
      let seen = max(0, position + 1 - (heads.window ?? position + 1))...position
      return (0..<heads.heads).flatMap { head in
        let shared = head / (heads.heads / heads.kvHeads) * size
        let scores = seen.map { past in
          let key = format.stored(Array(keys[past][shared..<shared + size]), sharing: 32)
          return scale * (0..<size).reduce(0.0) { $0 + Double(queries[position][head * size + $1]) * key[$1] }
        }
        let largest = scores.max() ?? 0
        let weights = scores.map { exp($0 - largest) }
        let sum = weights.reduce(0, +)
        let kept = seen.map { format.stored(Array(values[$0][shared..<shared + size]), sharing: size) }
        return (0..<size).map { column in
          zip(weights, kept).reduce(0.0) { $0 + $1.0 * $1.1[column] } / sum
        }
      }
    }
  }

  /// One call with rows of several sequences, each beginning at a position of its own; returns its output rows.
  ///
  /// - Parameter storesFirst: in a call of its own, not on the way to attention.
  static func step(
    _ cache: KeyValueCache, _ pieces: [(sequence: Sequence, slot: Int, positions: Range<Int>)], scale: Float,
    storesFirst: Bool = false, on context: ComputeContext
  ) throws -> [[Float]] {
    var runs: [KeyValueCache.CacheRun] = []
    var row = 0
    for piece in pieces {
      runs.append(.init(slot: piece.slot, position: piece.positions.lowerBound, row: row, count: piece.positions.count))
      row += piece.positions.count
    }
    let rows = { (values: KeyPath<Sequence, [[Float]]>) in
      try activations(pieces.flatMap { Array($0.sequence[keyPath: values][$0.positions]) })
    }
    let stored = try (keys: rows(\.keys), values: rows(\.values))
    let queries = try rows(\.queries)
    let output = try Activations(columns: queries.columns, capacity: row)
    if storesFirst { cache.store(block: 1, stored, runs: runs, on: context) }
    cache.attend(
      block: 1, query: queries, runs: runs, storing: storesFirst ? nil : stored, scores: .init(scale: scale),
      into: output, on: context)
    return (0..<row).map { output[$0] }
  }

  static func cache(
    _ heads: KeyValueCache.Heads, _ format: KeyValueCache.CacheFormat, length: Int = 80, threads: Int
  ) throws -> KeyValueCache {
    let other = KeyValueCache.Heads(heads: 2, kvHeads: 1, headSize: 16)
    return try KeyValueCache(
      blocks: [other, heads, other], slots: 3, contextLength: length, format: format, threads: threads)
  }

  static let shapes: [KeyValueCache.Heads] = [
    .init(heads: 1, kvHeads: 1, headSize: 8), .init(heads: 4, kvHeads: 4, headSize: 16),
    .init(heads: 6, kvHeads: 2, headSize: 24), .init(heads: 8, kvHeads: 1, headSize: 64),
    .init(heads: 2, kvHeads: 2, headSize: 80),
  ]

  /// Three sequences at different positions in one batch, prompts and single tokens mixed.
  @Test(arguments: Kernels.supported, KeyValueCache.CacheFormat.allCases)
  func isASoftmaxOverWhatASlotHolds(_ tier: String, _ format: KeyValueCache.CacheFormat) throws {
    for heads in Self.shapes {
      let scale = 1 / Double(heads.headSize).squareRoot()
      for threads in [1, 3] {
        let context = try computing(tier, threads: threads)
        let cache = try Self.cache(heads, format, threads: threads)
        let sequences = (0..<3).map { Sequence(heads, length: 80, seed: UInt64($0)) }
        let batches: [[(slot: Int, positions: Range<Int>)]] = [
          [(1, 0..<37)], [(0, 0..<1), (1, 37..<38), (2, 0..<17)], [(2, 17..<18), (0, 1..<80), (1, 38..<71)],
          [(1, 71..<72), (2, 18..<52)],
        ]
        var worst = Worst()
        for batch in batches {
          let rows = try Self.step(
            cache, batch.map { (sequences[$0.slot], $0.slot, $0.positions) }, scale: Float(scale), on: context)
          let expected = batch.flatMap { piece in
            piece.positions.map { sequences[piece.slot].expected($0, scale: scale, format: format) }
          }
          for (row, want) in zip(rows, expected) {
            for (value, exact) in zip(row, want) { worst.add(Double(value), exact, bound: 1e-5, "\(heads) \(batch)") }
          }
        }
        #expect(worst.share <= 1, "\(worst.place)")
      }
    }
  }

  /// Chunks of any size and any number of threads give the bytes that token by token gives.
  @Test(arguments: Kernels.supported, KeyValueCache.CacheFormat.allCases)
  func chunksGiveTheSameBytesAsSingleTokens(_ tier: String, _ format: KeyValueCache.CacheFormat) throws {
    for heads in Self.shapes {
      let sequence = Sequence(heads, length: 70, seed: 9)
      func whole(_ chunk: Int, threads: Int) throws -> [[Float]] {
        let context = try computing(tier, threads: threads)
        let cache = try Self.cache(heads, format, threads: threads)
        return try stride(from: 0, to: 70, by: chunk).flatMap {
          try Self.step(cache, [(sequence, 2, $0..<min($0 + chunk, 70))], scale: 0.3, on: context)
        }
      }
      let single = try whole(1, threads: 1)
      for (chunk, threads) in [(1, 3), (2, 1), (3, 2), (7, 1), (16, 2), (31, 3), (33, 1), (70, 1), (70, 4)] {
        #expect(try whole(chunk, threads: threads) == single, "\(heads), chunks of \(chunk), \(threads) threads")
      }
    }
  }

  /// Storing beside attention leaves what storing before it does: rows, and how far rings can be gone back.
  @Test(arguments: KeyValueCache.CacheFormat.allCases)
  func storingOnTheWayIsStoring(_ format: KeyValueCache.CacheFormat) throws {
    for heads in Self.shapes + [.init(heads: 6, kvHeads: 6, headSize: 8, window: 5)] {
      let context = try computing("scalar", threads: 2)
      let caches = try (0..<2).map { _ in try Self.cache(heads, format, length: 400, threads: 2) }
      let sequences = (0..<3).map { Sequence(heads, length: 200, seed: UInt64($0)) }
      var lengths = [0, 0, 0]
      for counts in [[1, 1, 1], [100, 1, 1], [1, 1, 20], [1, 100, 1], [1, 1, 1], [80, 1, 1], [1, 1, 1]] {
        let pieces = counts.indices.map {
          (sequence: sequences[$0], slot: $0, positions: lengths[$0]..<lengths[$0] + counts[$0])
        }
        let rows = try [true, false].map {
          try Self.step(caches[$0 ? 0 : 1], pieces, scale: 0.3, storesFirst: $0, on: context)
        }
        #expect(rows[0] == rows[1], "\(heads), after \(lengths)")
        for slot in counts.indices {
          lengths[slot] += counts[slot]
          #expect(caches[0].firstResumable(slot: slot) == caches[1].firstResumable(slot: slot))
        }
      }
    }
  }

  /// A slot that is used again from its beginning sees nothing of what it held.
  @Test(arguments: KeyValueCache.CacheFormat.allCases)
  func aSlotCanBeUsedAgain(_ format: KeyValueCache.CacheFormat) throws {
    let heads = Self.shapes[2]
    let context = try computing("scalar")
    let broken = Sequence(heads, length: 40, seed: 1)
    let sequence = Sequence(heads, length: 20, seed: 2)
    let fresh = try Self.step(
      Self.cache(heads, format, threads: 1), [(sequence, 0, 0..<20)], scale: 1, on: context)
    let cache = try Self.cache(heads, format, threads: 1)
    _ = try Self.step(cache, [(broken, 0, 0..<40)], scale: 1, on: context)
    #expect(try Self.step(cache, [(sequence, 0, 0..<20)], scale: 1, on: context) == fresh)
  }

  @Test func largeScoresDoNotOverflow() throws {
    for tier in Kernels.supported {
      let heads = KeyValueCache.Heads(heads: 1, kvHeads: 1, headSize: 8)
      let sequence = Sequence(heads, length: 30, seed: 6)
      let rows = try Self.step(
        Self.cache(heads, .float32, threads: 1), [(sequence, 0, 0..<30)], scale: 1000, on: computing(tier))
      var worst = Worst()
      for (position, row) in rows.enumerated() {
        // A score of thousands is known to a thousandth, and so is its weight.
        for (value, exact) in zip(row, sequence.expected(position, scale: 1000, format: .float32)) {
          worst.add(Double(value), exact, bound: 1e-2, "position \(position)")
        }
      }
      #expect(worst.share <= 1, "\(tier): \(worst.place)")
    }
  }

  @Test func aCacheThatFitsInNoMemoryIsRefused() throws {
    let small = KeyValueCache.Heads(heads: 1, kvHeads: 1, headSize: 8)
    for (slots, length) in [(Int.max, 16), (1 << 40, 1 << 40), (1, Int.max), (Int.max / 2, Int.max / 2), (1, 1 << 58)] {
      for format in KeyValueCache.CacheFormat.allCases {
        #expect(throws: FurlError.self, "\(slots) x \(length)") {
          try KeyValueCache(blocks: [small], slots: slots, contextLength: length, format: format, threads: 2)
        }
      }
    }
    #expect(KeyValueCache.byteCount([small], contextLength: .max, format: .float16) == nil)

    let heads = KeyValueCache.Heads(heads: 4096, kvHeads: 4096, headSize: 4096)
    #expect(throws: FurlError.self) {
      try KeyValueCache(
        blocks: Array(repeating: heads, count: 64), slots: 1 << 16, contextLength: 1 << 24, format: .float32, threads: 1
      )
    }
  }
}

extension KeyValueCache.CacheFormat {
  /// What is left of numbers after they have been kept: FP16 rounds to the nearest; 8 bits share a scale between so
  /// many numbers, a 127th of the largest, rounded up to FP16.
  func stored(_ numbers: [Float], sharing count: Int) -> [Double] {
    switch self {
    case .float32: return numbers.map { Double($0) }
    case .float16: return numbers.map { Double(Float16($0)) }
    case .int8:
      return stride(from: 0, to: numbers.count, by: count).flatMap { start in
        let shared = numbers[start..<min(start + count, numbers.count)]
        let largest = shared.map(abs).max() ?? 0
        var half = Float16(largest / 127)
        if Float(half) * 127 < largest { half = half.nextUp }
        let scale = Float(half)
        return shared.map { scale == 0 ? 0 : Double(scale * ($0 / scale).rounded(.toNearestOrEven)) }
      }
    }
  }
}
