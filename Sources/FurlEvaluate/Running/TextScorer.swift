import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Perplexity of a text, and KL divergence from a baseline.
///
/// As llama.cpp's `llama-perplexity` does it: a tokenizer's begin-of-text token goes before the text, which is cut into
/// chunks of the context's length without overlap; the token takes the place of the first of every further chunk, too;
/// only the second half of a chunk is scored, so that every scored token has at least half a context before it.
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
    var ids = subject.tokenizer.encode(text, bos: .never)
    if let baseline,
      baseline.model.spec.vocabularySize != spec.vocabularySize || baseline.tokenizer.bosID != subject.tokenizer.bosID
        || baseline.tokenizer.encode(text, bos: .never) != ids
    {
      throw FurlError(.usage, file: baseline.file.path, "has another vocabulary, so no KL divergence is defined")
    }
    let begin =
      settings.bos == .never || (settings.bos == .auto && !subject.tokenizer.addsBOS) ? nil : subject.tokenizer.bosID
    if let begin, ids.first != begin { ids.insert(begin, at: 0) }
    guard ids.count >= length else {
      throw FurlError.input(
        nil, "the text has \(ids.count) tokens; one chunk has \(length)",
        remedy: "give a longer text or a shorter context")
    }
    let candidate = try subject.session(contextLength: length)
    let likelihood =
      if let baseline { Likelihood(candidate, try baseline.session(contextLength: length)) } else {
        Likelihood(candidate)
      }
    let chunks = ids.count / length
    var losses: [Double] = []
    var divergence = 0.0
    var sameTops = 0
    for chunk in 0..<chunks {
      var piece = Array(ids[chunk * length..<(chunk + 1) * length])
      if let begin { piece[0] = begin }
      try likelihood.forEachPosition(piece) { position, logits, row in
        guard position >= length / 2, position < length - 1 else { return }
        let own = Likelihood.logProbabilities(logits[0], row: row)
        losses.append(-own[piece[position + 1]])
        if logits.count > 1 {
          let theirs = Likelihood.logProbabilities(logits[1], row: row)
          divergence += Likelihood.divergence(of: theirs, from: own)
          if Likelihood.top(of: theirs) == Likelihood.top(of: own) { sameTops += 1 }
        }
      }
      try Task.checkCancellation()
      progress(chunk + 1, chunks)
    }
    guard losses.allSatisfy(\.isFinite) else {
      throw FurlError.input(
        subject.file.path, "computes logits that are not finite numbers", remedy: "its weights are damaged")
    }
    if let baseline, !divergence.isFinite {
      throw FurlError.input(
        baseline.file.path, "computes logits that are not finite numbers", remedy: "its weights are damaged")
    }
    let count = Double(losses.count)
    let mean = losses.reduce(0, +) / count
    let variance = losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(1, count - 1)
    let margin = 1.959964 * (variance / count).squareRoot()
    return EvaluationReport.TextFigures(
      perplexity: exp(mean), klDivergence: baseline == nil ? nil : divergence / count,
      sameTop: baseline == nil ? nil : Double(sameTops) / count, interval95: exp(mean - margin)...exp(mean + margin),
      tokens: losses.count)
  }
}
