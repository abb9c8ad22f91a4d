import FurlBase
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// Rotary positions against complex numbers in double precision.
@Suite struct RotaryTests {
  static let frequencies = [1, 0.3, 0.07, 1e-3, 0.5, 1e-7]

  /// Heads of a row at a position: number i and number i + half of a head are one complex number's parts.
  private func expected(_ row: [Float], headSize: Int, position: Int) -> [Double] {
    var result = row.map(Double.init)
    let half = Self.frequencies.count
    for head in stride(from: 0, to: row.count, by: headSize) {
      for (index, frequency) in Self.frequencies.enumerated() {
        let (real, imaginary) = (result[head + index], result[head + half + index])
        let angle = (Double(position) * frequency).remainder(dividingBy: 2 * .pi)
        result[head + index] = real * cos(angle) - imaginary * sin(angle)
        result[head + half + index] = imaginary * cos(angle) + real * sin(angle)
      }
    }
    return result
  }

  /// Whole heads and parts of heads, positions in any order and far apart.
  @Test(arguments: Kernels.supported, [12, 16, 40])
  func turnsPairsOfEveryHead(_ tier: String, _ headSize: Int) throws {
    var draws = SplitMix64(seed: UInt64(headSize))
    let positions = [3, 0, 4095, 17, 4, 5, 6, 7, 8]
    let queries = positions.map { _ in draws.floats(3 * headSize) }
    let keys = positions.map { _ in draws.floats(headSize) }
    for threads in [1, 2] {
      let table = try RotaryTable(frequencies: Self.frequencies, contextLength: 4096)
      #expect(table.dimensions == 12 && table.contextLength == 4096)
      let (query, key) = try (activations(queries), activations(keys))
      try table.rotate(
        query: query, key: key, headSize: headSize, positions: positions, on: computing(tier, threads: threads))
      var worst = Worst()
      for (index, position) in positions.enumerated() {
        for (before, after) in [(queries[index], query[index]), (keys[index], key[index])] {
          for (value, exact) in zip(after, expected(before, headSize: headSize, position: position)) {
            worst.add(Double(value), exact, bound: 3e-7, "position \(position)")
          }
        }
      }
      #expect(worst.share <= 1, "\(worst.place)")
    }
  }

  @Test func onlyTheGivenRowsAreTurned() throws {
    let table = try RotaryTable(frequencies: [1], contextLength: 10)
    let rows: [[Float]] = [[1, 2, 3, 4], [5, 6, 7, 8]]
    let (query, key) = try (activations(rows), activations(rows))
    try table.rotate(query: query, key: key, headSize: 4, positions: [0], on: computing("scalar"))
    #expect(query[0] == rows[0], "position zero is no turn")
    try table.rotate(query: query, key: key, headSize: 4, positions: [9], on: computing("scalar"))
    #expect(query[0] != rows[0] && query[0].suffix(2) == [3, 4] && query[1] == rows[1] && key[1] == rows[1])
  }

  /// A context of millions costs nothing before it is used; one that no memory holds is refused.
  @Test func aLongContextIsReservedOnly() throws {
    _ = try RotaryTable(frequencies: [Double](repeating: 1, count: 64), contextLength: 1 << 24)
    #expect(throws: FurlError.self) { try RotaryTable(frequencies: [1, 1], contextLength: .max / 8) }
    #expect(throws: FurlError.self) { try RotaryTable(frequencies: [1, 1], contextLength: 1 << 52) }
  }
}
