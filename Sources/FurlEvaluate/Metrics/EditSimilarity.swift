import FurlBase

/// The Indel similarity of two texts: 1 - d / (|a| + |b|), where d counts the insertions and deletions of
/// Unicode scalars that make one text of the other, so that it equals 2 LCS(a, b) / (|a| + |b|).
///
/// This is what `fuzz.ratio` gives with the Levenshtein package, before its rounding to whole percents.
package enum EditSimilarity {
  /// Scalars (of a completion) and bytes (of a truth) that are compared at most.
  package static let longest = 65_536

  /// The similarity, from 0 to 1; two empty texts are equal.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a text of more than ``longest`` scalars.
  /// - Complexity: O(|a| |b| / 64) time and O(|a|) memory.
  package static func ratio(_ a: String, _ b: String) throws -> Double {
    let a = Array(a.unicodeScalars)
    let b = Array(b.unicodeScalars)
    for text in [a, b] where text.count > longest {
      throw FurlError(.input, "a completion of \(text.count) characters is longer than a line can be")
    }
    let total = a.count + b.count
    guard total > 0 else { return 1 }
    return Double(2 * commonLength(a[...], b[...])) / Double(total)
  }

  /// The similarity in whole percents, halves to the even one, as `fuzz.ratio` of fuzzywuzzy with the Levenshtein package
  /// gives it.
  package static func percent(_ a: String, _ b: String) throws -> Int {
    Int((100 * (try ratio(a, b))).rounded(.toNearestOrEven))
  }

  /// The length of the longest common subsequence, by words of 64 matches at once (Hyyrö, "Bit-parallel
  /// LCS-length computation revisited", 2004).
  static func commonLength(_ a: ArraySlice<Unicode.Scalar>, _ b: ArraySlice<Unicode.Scalar>) -> Int {
    var a = a
    var b = b
    var common = 0
    while let first = a.first, first == b.first {
      a.removeFirst()
      b.removeFirst()
      common += 1
    }
    while let last = a.last, last == b.last {
      a.removeLast()
      b.removeLast()
      common += 1
    }
    guard !a.isEmpty, !b.isEmpty else { return common }

    let words = (a.count + 63) / 64
    var places: [Unicode.Scalar: [Int]] = [:]
    for (index, scalar) in a.enumerated() { places[scalar, default: []].append(index) }
    // Bit i is zero once a[i] is the end of a longer common subsequence.
    var open = [UInt64](repeating: .max, count: words)
    var matches = [UInt64](repeating: 0, count: words)
    for scalar in b {
      guard let here = places[scalar] else { continue }
      for index in here { matches[index / 64] |= 1 << UInt64(index % 64) }
      var carry: UInt64 = 0
      for word in 0..<words {
        let hits = open[word] & matches[word]
        let (sum, overflow) = open[word].addingReportingOverflow(hits)
        let (full, more) = sum.addingReportingOverflow(carry)
        carry = overflow || more ? 1 : 0
        open[word] = full | (open[word] & ~hits)
      }
      for index in here { matches[index / 64] = 0 }
    }
    let tail = UInt64(a.count % 64)
    if tail > 0 { open[words - 1] |= UInt64.max << tail }
    return common + open.reduce(0) { $0 + (~$1).nonzeroBitCount }
  }
}
