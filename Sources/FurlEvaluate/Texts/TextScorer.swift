import FurlBase
package import FurlModel
import FurlSpec
import FurlTokenizer

/// Perplexity of a text, and how a model's predictions differ from a baseline's.
///
/// Both models read the same tokens in lockstep, so no logits are kept: of every position only its loss, its divergence
/// and whether the likeliest tokens agree remain, all computed in double precision.
struct TextScorer {
  let settings: SuiteProtocol
  let progress: Evaluator.Progress

  init(_ settings: SuiteProtocol, progress: @escaping Evaluator.Progress) {
    self.settings = settings
    self.progress = progress
  }

  /// - Throws: ``FurlError`` of kind `input` when the text is shorter than one chunk, `usage` when the baseline has
  ///   another vocabulary.
  func score(_ text: String, on subject: LoadedModel, baseline: LoadedModel?) throws -> EvaluationReport.TextFigures {
    let spec = subject.model.spec
    let length = settings.context ?? spec.contextLength
    guard length >= 4 else { throw FurlError(.usage, "a context of \(length) is too short to score a text") }
    let ids = try subject.encode(text, bos: .never)
    if let baseline, !baseline.hasTokens(of: subject) || baseline.tokenizer.encode(text, bos: .never) != ids {
      throw FurlError(
        .usage, file: baseline.file.path,
        "has another vocabulary than \(subject.file.path), so no KL divergence is defined, and perplexities, which are "
          + "for each token, do not compare",
        remedy: "measure each without a baseline and compare the bits per byte")
    }
    let tokenizer = subject.tokenizer
    let begin: Int? =
      switch (settings.chunking, settings.bos) {
      case (_, .never): nil
      case (.llamaCpp, .auto): tokenizer.addsBOS ? tokenizer.bosID : nil
      case (.llamaCpp, .always): tokenizer.bosID
      case (.rolling, _): tokenizer.bosID ?? tokenizer.eosID
      }
    try tokenizer.check(begin.map { [$0] } ?? [], rows: spec.vocabularySize, file: subject.file.path)
    let windows =
      switch settings.chunking {
      case .llamaCpp: try TextWindow.halves(ids, length: length, begin: begin)
      case .rolling: try TextWindow.rolling(ids, length: length, begin: begin)
      }
    let candidate = try subject.session(contextLength: length)
    let likelihood =
      if let baseline { Likelihood(candidate, try baseline.session(contextLength: length)) } else {
        Likelihood(candidate)
      }
    let bytes = (0..<subject.tokenizer.vocabularySize).map { subject.tokenizer.byteCount(of: $0) }
    var tally = TextTally()
    for (done, window) in windows.enumerated() {
      tally.beginChunk()
      try likelihood.forEachPosition(window.ids) { position, logits, row in
        guard position >= window.firstScored, position - window.firstScored < window.targets.count else { return }
        let target = window.targets[position - window.firstScored]
        let own = Likelihood.logProbabilities(logits[0], row: row)
        let pair = logits.count > 1 ? Likelihood.logProbabilities(logits[1], row: row) : nil
        tally.add(
          TextTally.TalliedToken(
            loss: -own[target], bytes: target < bytes.count ? bytes[target] : 0,
            pair: pair.map { base in
              TextTally.TalliedPair(
                loss: -base[target], divergence: Likelihood.divergence(of: base, from: own),
                isSameTop: Likelihood.top(base) == Likelihood.top(own))
            }))
      }
      try Task.checkCancellation()
      progress(done + 1, windows.count)
    }
    let finite = tally.isFinite
    guard finite.own, finite.baseline || baseline == nil else {
      throw FurlError.input(
        finite.own ? baseline?.file.path : subject.file.path, "computes logits that are not finite numbers",
        remedy: "its weights are damaged")
    }
    return tally.figures()
  }
}

/// Tokens that a model reads at once, and those of the following ones that are scored.
struct TextWindow: Hashable {
  var ids: [Int]
  /// The position after which the first of the targets comes.
  var firstScored: Int
  /// The token after each position from ``firstScored`` on.
  var targets: [Int]

  /// As llama.cpp's `llama-perplexity` does it: a tokenizer's begin-of-text token goes before the text, which is cut into
  /// chunks of the context's length without overlap; the token takes the place of the first of every further chunk, too;
  /// only the second half of a chunk is scored, so that every scored token has at least half a context before it.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the text is shorter than one chunk.
  static func halves(_ ids: [Int], length: Int, begin: Int?) throws -> [TextWindow] {
    var ids = ids
    if let begin, ids.first != begin { ids.insert(begin, at: 0) }
    guard ids.count >= length else {
      throw FurlError.input(
        nil, "the text has \(ids.count) tokens; one chunk has \(length)",
        remedy: "give a longer text or a shorter context")
    }
    return (0..<ids.count / length).map { chunk in
      var piece = Array(ids[chunk * length..<(chunk + 1) * length])
      let targets = Array(piece[(length / 2 + 1)...])
      if let begin { piece[0] = begin }
      return TextWindow(ids: piece, firstScored: length / 2, targets: targets)
    }
  }

  /// As lm-evaluation-harness does it: every token is scored once, in windows of the context's length that follow one
  /// another; the last one reaches back, so that it is as long as the others.
  ///
  /// - Parameter begin: what goes before the text; without it the first token has nothing that predicts it.
  /// - Throws: ``FurlError`` of kind `input` when there is nothing to score.
  static func rolling(_ ids: [Int], length: Int, begin: Int?) throws -> [TextWindow] {
    let all = (begin.map { [$0] } ?? []) + ids
    let count = all.count - 1
    guard count >= 1 else { throw FurlError.input(nil, "the text has no token that could be scored") }
    return stride(from: 0, to: count, by: length).map { done in
      let end = min(done + length, count)
      let start = max(0, end - length)
      return TextWindow(ids: Array(all[start..<end]), firstScored: done - start, targets: Array(all[done + 1...end]))
    }
  }
}

extension LoadedModel {
  /// Whether both models' ids stand for the same tokens, so that what they predict can be compared.
  package func hasTokens(of other: LoadedModel) -> Bool {
    model.spec.vocabularySize == other.model.spec.vocabularySize && tokenizer.bosID == other.tokenizer.bosID
      && other.tokenizer.hasPieces(of: tokenizer)
  }
}
