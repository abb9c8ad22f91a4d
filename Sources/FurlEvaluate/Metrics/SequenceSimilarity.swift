/// The similarity of Python's `difflib.SequenceMatcher`, which `fuzz.ratio` falls back to without the Levenshtein package: twice
/// the length of matching blocks over both lengths (Ratcliff and Obershelp, 1988), where scalars that make up more than 1 % of
/// a text of 200 or more begin no block. Given for comparisons with figures that were made by it; it is not symmetric.
package enum SequenceSimilarity {
  /// From 0 to 1.
  ///
  /// - Complexity: O(|a| |b|) and more for texts of many blocks.
  package static func ratio(_ a: String, _ b: String) -> Double {
    let matcher = Matcher(Array(a.unicodeScalars), Array(b.unicodeScalars))
    let total = matcher.a.count + matcher.b.count
    return total == 0 ? 1 : Double(2 * matcher.matches()) / Double(total)
  }

  /// In whole percents, halves to the even one; a text and an empty one have nothing in common.
  package static func percent(_ a: String, _ b: String) -> Int {
    Int((100 * ratio(a, b)).rounded(.toNearestOrEven))
  }

  private struct Matcher {
    let a: [Unicode.Scalar]
    let b: [Unicode.Scalar]
    /// Where a scalar stands in `b`, ascending, for those that may begin a block.
    let places: [Unicode.Scalar: [Int]]

    init(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) {
      self.a = a
      self.b = b
      let all = Dictionary(grouping: b.indices) { b[$0] }
      places = b.count < 200 ? all : all.filter { $0.value.count <= b.count / 100 + 1 }
    }

    func matches() -> Int {
      var sum = 0
      var waiting = [(a.indices, b.indices)]
      while let (own, other) = waiting.popLast() {
        let (i, j, size) = longest(own, other)
        guard size > 0 else { continue }
        sum += size
        waiting.append((own.lowerBound..<i, other.lowerBound..<j))
        waiting.append((i + size..<own.upperBound, j + size..<other.upperBound))
      }
      return sum
    }

    /// The longest block in two ranges, the first of equals, and what goes on beside it.
    private func longest(_ own: Range<Int>, _ other: Range<Int>) -> (Int, Int, Int) {
      var best = (i: own.lowerBound, j: other.lowerBound, size: 0)
      var lengths: [Int: Int] = [:]
      for i in own {
        var next: [Int: Int] = [:]
        for j in places[a[i]] ?? [] where other.contains(j) {
          let size = (lengths[j - 1] ?? 0) + 1
          next[j] = size
          if size > best.size { best = (i - size + 1, j - size + 1, size) }
        }
        lengths = next
      }
      while best.i > own.lowerBound, best.j > other.lowerBound, a[best.i - 1] == b[best.j - 1] {
        best = (best.i - 1, best.j - 1, best.size + 1)
      }
      while best.i + best.size < own.upperBound, best.j + best.size < other.upperBound,
        a[best.i + best.size] == b[best.j + best.size]
      {
        best.size += 1
      }
      return best
    }
  }
}
