import FurlBase

/// Which columns of a matrix are kept apart in floating point, so that the others have finer codes (Dettmers et al. 2022,
/// "LLM.int8()").
package enum OutlierColumns {
  /// The columns with the largest weights, ascending.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the source cannot be read.
  package static func ofWeights(_ source: WeightSource, count: Int) throws -> [Int] {
    var largest = [Float](repeating: 0, count: source.columns)
    let buffer = ReadBuffer()
    let step = max(1, (1 << 20) / source.columns)
    for first in stride(from: 0, to: source.rows, by: step) {
      let rows = first..<min(first + step, source.rows)
      let values = try source.loadFloats(rows: rows, with: buffer)
      for row in 0..<rows.count {
        // What is not finite is left to the encoder, which names it.
        for column in 0..<source.columns {
          largest[column] = max(largest[column], abs(values[row * source.columns + column]))
        }
      }
    }
    return columns(largest, count: count, atLeast: 0)
  }

  /// The columns whose inputs have reached a magnitude, those with the largest if there are more than `count`; ascending.
  package static func ofInputs(_ largest: [Float], count: Int, atLeast threshold: Float) -> [Int] {
    columns(largest, count: count, atLeast: threshold)
  }

  private static func columns(_ largest: [Float], count: Int, atLeast threshold: Float) -> [Int] {
    largest.indices.filter { largest[$0] >= threshold }.sorted { (-largest[$0], $0) < (-largest[$1], $1) }
      .prefix(count).sorted()
  }
}
