extension WeightSource {
  /// Which stored row a row is. The numbers of a vector are rows in this.
  package struct RowOrder: Sendable, Hashable {
    /// Numbers of a head whose two halves take turns: 0 for none.
    package var headSize = 0
    /// How many of them do: number half * turned / 2 + i of a head lies at 2 i + half, counted from `start`. The others of
    /// the head come behind them, as they lie.
    var turned = 0
    /// Where in a stored head those that do begin.
    var start = 0
    /// Rows that lie together, and stored rows from one such group to the next; 0: all lie together.
    var groupRows = 0
    var groupStride = 0

    /// Row by row as they lie.
    package static let stored = RowOrder()

    /// The halves of each head take turns (llama files in GGUF, GPT-J).
    ///
    /// - Parameters:
    ///   - turned: the even count of numbers that do, which are the first rows of the head; nil: the whole head.
    ///   - start: where in a stored head they begin.
    package static func interleavedHalves(headSize: Int, turned: Int? = nil, start: Int = 0) -> RowOrder {
      RowOrder(headSize: headSize, turned: turned ?? headSize, start: start)
    }

    /// The rows lie in groups with others between them: queries, keys and values of one head after the other.
    package func grouped(rows: Int, stride: Int) -> RowOrder {
      var order = self
      (order.groupRows, order.groupStride) = (rows, stride)
      return order
    }

    package func stored(_ row: Int) -> Int {
      var row = row
      if turned > 0 {
        let (head, inside) = row.quotientAndRemainder(dividingBy: headSize)
        if inside < turned {
          let (half, index) = inside.quotientAndRemainder(dividingBy: turned / 2)
          row = head * headSize + start + 2 * index + half
        } else if inside < turned + start {
          row -= turned
        }
      }
      guard groupRows > 0 else { return row }
      let (group, inside) = row.quotientAndRemainder(dividingBy: groupRows)
      return group * groupStride + inside
    }

    /// Of so many rows those that lie together.
    func run(of count: Int) -> Int { groupRows > 0 ? groupRows : count }

    /// The last stored row of so many; nil where that is more than an `Int` holds.
    func last(of count: Int) -> Int? {
      guard groupRows > 0 else { return count - 1 }
      let (start, overflow) = ((count - 1) / groupRows).multipliedReportingOverflow(by: groupStride)
      let (last, isTooLarge) = start.addingReportingOverflow(min(count, groupRows) - 1)
      return overflow || isTooLarge ? nil : last
    }

    /// Whether so many rows are whole heads and whole groups.
    func fits(_ count: Int) -> Bool {
      if turned != 0 || headSize != 0 {
        guard headSize > 0, turned > 0, turned % 2 == 0, turned <= headSize, count % headSize == 0 else { return false }
        guard (0...headSize - turned).contains(start) else { return false }
      }
      if groupRows != 0 {
        guard groupRows > 0, groupStride >= groupRows, count % groupRows == 0 else { return false }
        guard headSize == 0 || groupRows % headSize == 0 else { return false }
      }
      return true
    }
  }

  /// What a stored number is made into: number * factor + addend. A family whose model computes with other numbers than
  /// its files hold folds the difference into them.
  package struct Fold: Sendable, Hashable {
    package var factor: Float
    package var addend: Float

    package init(factor: Float = 1, addend: Float = 0) {
      self.factor = factor
      self.addend = addend
    }

    package static let none = Fold()

    package func applied(to number: Float) -> Float { number * factor + addend }

    /// The stored number that gives a number, but for rounding.
    package func undone(from number: Float) -> Float { (number - addend) / factor }
  }
}
