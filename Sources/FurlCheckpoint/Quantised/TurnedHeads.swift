import FurlBase
import FurlTensor

/// Matrices of heads that are stored input x output, one behind the other, as one matrix of outputs: [heads][outputs] rows of
/// inputs. So MLX stores the half of DeepSeek-V3's `kv_b_proj` that makes keys, as `embed_q`.
struct TurnedHeads: CodedMatrix {
  let rows: Int
  let columns: Int
  private let stored: any CodedMatrix

  /// - Parameter stored: [heads][inputs] rows of outputs.
  /// - Throws: ``FurlError`` of kind `defect` for rows that heads do not share evenly.
  init(_ stored: any CodedMatrix, heads: Int) throws {
    guard heads > 0, stored.rows % heads == 0 else {
      throw FurlError(.defect, file: stored.parts[0].file.path, "\(stored.rows) rows are not those of \(heads) heads")
    }
    (rows, columns) = (heads * stored.columns, stored.rows / heads)
    self.stored = stored
  }

  var form: String { stored.form }
  var parts: [StoredPart] { stored.parts }

  /// A row lies across all of its head, which is decoded once for all rows that are asked for.
  func decode(rows range: Range<Int>, into output: UnsafeMutablePointer<Float>) {
    let size = stored.columns
    withUnsafeTemporaryAllocation(of: Float.self, capacity: columns * size) { head in
      guard let base = head.baseAddress else { return }
      var row = range.lowerBound
      while row < range.upperBound {
        let (index, first) = row.quotientAndRemainder(dividingBy: size)
        let end = min(range.upperBound, (index + 1) * size)
        stored.decode(rows: index * columns..<(index + 1) * columns, into: base)
        for offset in 0..<end - row {
          let target = output + (row - range.lowerBound + offset) * columns
          for column in 0..<columns { target[column] = base[column * size + first + offset] }
        }
        row = end
      }
    }
  }
}
