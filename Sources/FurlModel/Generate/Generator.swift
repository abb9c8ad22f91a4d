import FurlTensor
import FurlTokenizer

/// What is to be generated.
public struct GenerationRequest: Sendable {
  /// The prompt's tokens.
  public var ids: [Int]
  /// The most tokens to generate.
  public var maxTokens: Int
  /// Texts at which the completion ends; they are not part of it.
  public var stops: [String]
  public var sampling: Sampling

  public init(ids: [Int], maxTokens: Int, stops: [String] = [], sampling: Sampling = .greedy) {
    self.ids = ids
    self.maxTokens = maxTokens
    self.stops = stops
    self.sampling = sampling
  }

  /// The request with its prompt cut from the left, so that prompt and completion fit in a context.
  public func cut(toContext contextLength: Int) -> GenerationRequest {
    var request = self
    request.ids = Array(ids.suffix(max(1, contextLength - maxTokens)))
    return request
  }
}

/// What was generated.
public struct Generation: Sendable, Hashable {
  /// Why a completion ended.
  public enum StopReason: String, Sendable {
    /// The tokenizer's end-of-text token.
    case endOfText = "eos"
    /// One of the request's stop strings.
    case stopString = "stop_string"
    /// The request's token limit, or the end of the context.
    case length
  }

  public var text: String
  /// Tokens that were generated, the one that ended the text included.
  public var tokenCount: Int
  public var stopReason: StopReason
}

/// Generates many completions at once: a slot is filled again as soon as its completion ends, and prompts are
/// read beside the decoding of others.
///
/// A completion is the same whatever else is generated beside it.
public final class Generator {
  private let session: Session
  private let tokenizer: Tokenizer

  public init(session: Session, tokenizer: Tokenizer) {
    self.session = session
    self.tokenizer = tokenizer
  }

  /// A request that has a slot.
  private struct Active {
    let index: Int
    let slot: Int
    let request: GenerationRequest
    /// Tokens that the model has not seen: the rest of the prompt, or the last token.
    var pending: ArraySlice<Int>
    var tokenCount = 0
    var decoder: Tokenizer.StreamDecoder
    var scanner: StopScanner
    var sampler: Sampler
  }

  /// Generates a completion for every request.
  ///
  /// - Parameters:
  ///   - requests: prompts of at least one token that fit in the context.
  ///   - onText: called with a request's index and a piece of its text as soon as that is certain.
  ///   - onCompletion: called with a request's index when it has ended, in the order of ending.
  /// - Throws: ``FurlError`` of kind `usage` for an empty prompt or one that is too long, and what the callbacks
  ///   throw.
  public func run(
    _ requests: [GenerationRequest], onText: ((Int, String) throws -> Void)? = nil,
    onCompletion: (Int, Generation) throws -> Void
  ) throws {
    for request in requests {
      guard !request.ids.isEmpty else {
        throw FurlError(.usage, "the prompt is empty", remedy: "give at least one token")
      }
      guard request.ids.count <= session.contextLength else {
        throw FurlError(
          .usage, "the prompt has \(request.ids.count) tokens; the context holds \(session.contextLength)",
          remedy: "shorten the prompt")
      }
    }
    var waiting = requests.indices[...]
    var free = Array((0..<session.slots).reversed())
    var active: [Active] = []
    while !waiting.isEmpty || !active.isEmpty {
      while let slot = free.last, let index = waiting.popFirst() {
        if requests[index].maxTokens <= 0 {
          try onCompletion(index, Generation(text: "", tokenCount: 0, stopReason: .length))
          continue
        }
        free.removeLast()
        session.truncate(slot: slot)
        active.append(start(index, requests[index], slot: slot))
      }
      try step(&active, onText: onText) { ended in
        free.append(ended.slot)
        try onCompletion(ended.index, ended.completion)
      }
    }
  }

  private func start(_ index: Int, _ request: GenerationRequest, slot: Int) -> Active {
    let hasText = request.ids.count > 1 || request.ids.first != tokenizer.bosID
    return Active(
      index: index, slot: slot, request: request, pending: request.ids[...],
      decoder: Tokenizer.StreamDecoder(tokenizer, skippingSpecial: false, continues: hasText),
      scanner: StopScanner(stops: request.stops), sampler: Sampler(request.sampling))
  }

  private struct Ended {
    let slot: Int
    let index: Int
    let completion: Generation
  }

  /// One forward pass: a token of everything that decodes, and as much of the prompts as there is room for.
  private func step(
    _ active: inout [Active], onText: ((Int, String) throws -> Void)?, onEnd: (Ended) throws -> Void
  ) throws {
    var room = Session.rowLimit
    var segments: [Session.Segment] = []
    var chosen: [Int] = []
    // Decoding comes first, so no completion waits for another one's prompt.
    for index in active.indices.sorted(by: { (active[$0].pending.count, $0) < (active[$1].pending.count, $1) }) {
      let take = min(room, active[index].pending.count)
      guard take > 0 else { break }
      room -= take
      let isWhole = take == active[index].pending.count
      segments.append(
        .init(slot: active[index].slot, ids: Array(active[index].pending.prefix(take)), logits: isWhole ? .last : .none)
      )
      active[index].pending = active[index].pending.dropFirst(take)
      chosen.append(index)
    }
    let rows = try session.forward(segments)
    var ended: Set<Int> = []
    for (index, rows) in zip(chosen, rows) where !rows.isEmpty {
      let id = try active[index].sampler.next(session.logits, row: rows.lowerBound, session.context.kernels)
      let reason = advance(&active[index], id)
      if let onText {
        let text = active[index].scanner.take(isLast: reason != nil)
        if !text.isEmpty { try onText(active[index].index, text) }
      }
      guard let reason else { continue }
      ended.insert(index)
      let text = String(decoding: active[index].scanner.text, as: UTF8.self)
      let completion = Generation(text: text, tokenCount: active[index].tokenCount, stopReason: reason)
      try onEnd(Ended(slot: active[index].slot, index: active[index].index, completion: completion))
    }
    active = active.indices.filter { !ended.contains($0) }.map { active[$0] }
  }

  /// Takes a token in; returns why the completion ended, if it did.
  private func advance(_ active: inout Active, _ id: Int) -> Generation.StopReason? {
    active.tokenCount += 1
    if id == tokenizer.eosID {
      // A stop string may complete in what the decoder still holds back.
      return active.scanner.append(active.decoder.finish()) ? .stopString : .endOfText
    }
    if active.scanner.append(active.decoder.push(id)) { return .stopString }
    let isFull = session.lengths[active.slot] >= session.contextLength
    if active.tokenCount >= active.request.maxTokens || isFull {
      return active.scanner.append(active.decoder.finish()) ? .stopString : .length
    }
    active.pending = [id]
    return nil
  }
}
