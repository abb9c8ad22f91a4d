/// The scores of a completed line.
package struct LineScore: Sendable, Hashable {
  /// What is compared, and how.
  package enum SimilarityMethod: String, Sendable, Hashable, CaseIterable {
    /// Both texts without white space at their ends and with single spaces inside; similarities are not rounded.
    case plain
    /// CodeXGLUE's: its detokenizer's `strip("<EOL>")` eats any of the characters `<EOL>` at both ends of a completion, so
    /// that truths that begin or end with one cannot be met; then literals are put in the place of their markers, words
    /// are compared, and similarities are whole percents.
    case codexglue
    /// The same without the mistake: a completion ends before its first `<EOL>`.
    case codexglueClean = "codexglue-clean"
    /// The 2023 study's: what follows the last `<EOL>` of the completion is compared, as CodeXGLUE does.
    case poster
  }

  /// Whether completion and truth are equal by the method.
  package var exact: Bool
  /// From 0 to 1; see ``EditSimilarity``.
  package var editSimilarity: Double

  /// - Throws: ``FurlError`` of kind `input` when one of them is too long to compare.
  package init(completion: String, gt: String, method: SimilarityMethod = .plain) throws {
    guard method != .plain else {
      let (completion, gt) = (LineScore.normal(completion), LineScore.normal(gt))
      exact = completion.utf8.elementsEqual(gt.utf8)
      editSimilarity = try EditSimilarity.ratio(completion, gt)
      return
    }
    let own = CodeXGLUE.literals(in: LineScore.line(completion, method))
    let truth = CodeXGLUE.literals(in: gt)
    exact = LineScore.normal(own).utf8.elementsEqual(LineScore.normal(truth).utf8)
    editSimilarity = try Double(EditSimilarity.percent(own, truth)) / 100
  }

  init(exact: Bool, editSimilarity: Double) {
    self.exact = exact
    self.editSimilarity = editSimilarity
  }

  /// The part of a completion that is scored.
  private static func line(_ completion: String, _ method: SimilarityMethod) -> String {
    switch method {
    case .plain: return completion
    case .codexglue: return CodeXGLUE.stripped(completion)
    case .codexglueClean: return PythonSpace.trimming(CodeXGLUE.parts(completion, around: "<EOL>").before)
    case .poster:
      var line = CodeXGLUE.parts(completion, around: "<EOL>").after
      for word in ["<s>", "</s>"] { line = line.replacing(word, with: "") }
      return PythonSpace.trimming(line)
    }
  }

  /// A text without white space at its ends and with single spaces inside.
  static func normal(_ text: String) -> String {
    text.unicodeScalars.split(whereSeparator: PythonSpace.contains)
      .map { String($0) }.joined(separator: " ")
  }
}

/// What CodeXGLUE's line completion does to texts before they are compared.
package enum CodeXGLUE {
  /// A text after Python's `strip("<EOL>").strip()`: any of these five characters go at both ends, not the word.
  package static func stripped(_ text: String) -> String {
    func isMark(_ scalar: Unicode.Scalar) -> Bool { "<EOL>".unicodeScalars.contains(scalar) }
    var scalars = text.unicodeScalars[...]
    while let last = scalars.last, isMark(last) { scalars.removeLast() }
    return PythonSpace.trimming(String(scalars.drop(while: isMark)))
  }

  /// A text with literals in the place of their markers: `<NUM_LIT>` is 0, `<STR_LIT>` and `<CHAR_LIT>` are empty, and
  /// `<STR_LIT:v>` is `v`, up to the first `>`.
  package static func literals(in text: String) -> String {
    var scalars = Array(text.unicodeScalars)
    for (marker, value) in [("<NUM_LIT>", "0"), ("<STR_LIT>", ""), ("<CHAR_LIT>", "")] {
      scalars = scalars.replacing(Array(marker.unicodeScalars), with: Array(value.unicodeScalars))
    }
    // Each marker with all its copies, in the order in which they stood before any was replaced.
    for (marker, value) in markers(in: scalars) { scalars = scalars.replacing(marker, with: value) }
    return String(String.UnicodeScalarView(scalars))
  }

  private static let heads = ["<STR_LIT:", "<NUM_LIT:", "<CHAR_LIT:"].map { Array($0.unicodeScalars) }

  private static func markers(in scalars: [Unicode.Scalar]) -> [(marker: [Unicode.Scalar], value: [Unicode.Scalar])] {
    var found: [([Unicode.Scalar], [Unicode.Scalar])] = []
    var at = 0
    while at < scalars.count {
      guard let head = heads.first(where: { scalars[at...].starts(with: $0) }),
        let end = scalars[(at + head.count)...].firstIndex(of: ">")
      else {
        at += 1
        continue
      }
      found.append((Array(scalars[at...end]), Array(scalars[(at + head.count)..<end])))
      at = end + 1
    }
    return found
  }

  /// A text before the first, and after the last, of a word in it.
  static func parts(_ text: String, around word: String) -> (before: String, after: String) {
    let scalars = Array(text.unicodeScalars)
    let ranges = scalars.ranges(of: Array(word.unicodeScalars))
    guard let first = ranges.first, let last = ranges.last else { return (text, text) }
    func string(_ slice: ArraySlice<Unicode.Scalar>) -> String { String(String.UnicodeScalarView(slice)) }
    return (string(scalars[..<first.lowerBound]), string(scalars[last.upperBound...]))
  }
}
