import FurlBase
import FurlTensor
package import FurlTokenizer

/// What is to be generated.
package struct GenerationRequest: Sendable {
  /// The prompt's tokens.
  package var ids: [Int]
  /// The most tokens to generate.
  package var maxTokens: Int
  /// Texts at which the completion ends; they are not part of it.
  package var stops: [String]
  package var sampling: Sampling
  /// False: goes on after a token that ends a text, to measure with as many tokens as were asked for.
  package var endsAtEndOfText = true
  /// What may follow the prompt. As much of it as the model would choose by itself, token by token, is found out in one
  /// pass; the text does not change. For greedy requests only.
  package var draft: [Int] = []

  package init(ids: [Int], maxTokens: Int, stops: [String] = [], sampling: Sampling = .greedy) {
    self.ids = ids
    self.maxTokens = maxTokens
    self.stops = stops
    self.sampling = sampling
  }

  /// The request with its prompt cut from the left, so that prompt and completion fit in a context.
  package func cut(toContext contextLength: Int) -> GenerationRequest {
    var request = self
    request.ids = Array(ids.suffix(max(1, contextLength - maxTokens)))
    return request
  }
}

/// What was generated.
public struct Generation: Sendable, Hashable {
  /// Why a completion ended.
  public enum StopReason: String, Sendable {
    /// One of the tokens that end a text (`Tokenizer.ends`).
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
  /// The token that ended the text, where one did.
  public var endID: Int?
}

/// Generates many completions at once: a slot is filled again as soon as its completion ends, prompts are read beside
/// the decoding of others, and what a prompt shares with what a slot holds is not computed again.
///
/// A completion is the same whatever else is generated beside it, and whether tokens are guessed or not. A session belongs
/// to one generator as long as it is used.
package final class Generator {
  private let session: Session
  private let tokenizer: Tokenizer
  private let ends: Set<Int>
  private let guesses: Int
  /// Guesses with another model where one request is decoded; nil: with none.
  private let drafter: Drafter?
  /// How guesses went in all runs so far.
  package private(set) var speculation = SpeculationCount()
  /// Tokens of prompts that were taken over from a slot.
  package private(set) var sharedTokens = 0
  /// The tokens whose keys and values each slot holds.
  private var held: [[Int]]
  /// How many of them were computed as a prompt's, which are the first ones.
  private var given: [Int]
  /// Whether the last pass read prompts, where a pass takes prompts or what is generated.
  private var hasRead = false

  /// Fewer tokens than that are computed as fast as copied.
  private static let worthSharing = 16

  /// Rows that cost about as much as one where weights come from memory: guesses fill up to so many.
  private static let cheapRows = 8
  /// The most tokens that are guessed at once.
  package static let maximumGuesses = cheapRows - 1

  /// - Parameter guesses: the most tokens that are guessed ahead from the text so far, for greedy requests only; 0 for
  ///   none. The text does not change.
  /// - Parameter drafts: who drafts what comes next while one request is decoded; nil: nobody. The text does not change.
  package init(session: Session, tokenizer: Tokenizer, guesses: Int = 0, drafts: DraftSource? = nil) {
    self.session = session
    self.tokenizer = tokenizer
    ends = Set(tokenizer.endIDs)
    self.guesses = min(max(0, guesses), Generator.maximumGuesses)
    drafter = drafts.map { Drafter($0, session: session, limit: Generator.maximumGuesses) }
    // What the slots hold already is not known.
    held = Array(repeating: [], count: session.slots)
    given = Array(repeating: 0, count: session.slots)
  }

  /// A request that has a slot.
  private struct Active {
    let index: Int
    let slot: Int
    let request: GenerationRequest
    /// Tokens that the model has not seen: the rest of the prompt, or the last token.
    var pending: ArraySlice<Int>
    /// Whether the slot holds what the prompt shares with others, and nothing else.
    var hasBegun = false
    var tokenCount = 0
    /// Nil when nothing is guessed.
    var lookup: PromptLookup?
    /// What may follow what is pending; empty once the model has chosen otherwise.
    var draft: ArraySlice<Int>
    var decoder: Tokenizer.StreamDecoder
    var scanner: StopScanner
    var sampler: Sampler
    /// The token that has ended the text.
    var endID: Int?
    /// Whether what is pending is of the prompt.
    var isReading: Bool { tokenCount == 0 }
  }

  /// Generates a completion for every request.
  ///
  /// - Parameters:
  ///   - requests: prompts of at least one token that fit in the context.
  ///   - onText: called with a request's index and a piece of its text as soon as that is certain.
  ///   - onCompletion: called with a request's index when it has ended, in the order of ending.
  /// - Throws: ``FurlError`` of kind `usage` for an empty prompt or one that is too long, and what the callbacks
  ///   throw.
  package func run(
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
    // What somebody else has put into a slot meanwhile is not known.
    for slot in held.indices where session.lengths[slot] != held[slot].count {
      session.truncate(slot: slot)
      (held[slot], given[slot]) = ([], 0)
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
      lookup: guesses > 0 && request.sampling == .greedy ? PromptLookup(request.ids, limit: guesses) : nil,
      draft: request.sampling == .greedy ? request.draft[...] : [],
      decoder: Tokenizer.StreamDecoder(tokenizer, skippingSpecial: false, continues: hasText),
      scanner: StopScanner(stops: request.stops), sampler: Sampler(request.sampling))
  }

  private struct Ended {
    let slot: Int
    let index: Int
    let completion: Generation
  }

  /// What the next pass takes: everything, or in turns prompts and what is generated.
  private func takes(_ active: [Active]) -> (Active) -> Bool {
    guard session.separatesPrompts else { return { _ in true } }
    let isMixed = Set(active.map(\.isReading)).count > 1
    hasRead = isMixed ? !hasRead : active.first?.isReading ?? false
    return { [hasRead] in $0.isReading == hasRead }
  }

  /// One forward pass: a token of everything that decodes, and as much of the prompts as there is room for.
  private func step(
    _ active: inout [Active], onText: ((Int, String) throws -> Void)?, onEnd: (Ended) throws -> Void
  ) throws {
    guard !active.isEmpty else { return }
    var room = session.rowLimit
    var segments: [Session.Segment] = []
    var chosen: [(index: Int, guess: ArraySlice<Int>)] = []
    let guessRoom = Generator.cheapRows / active.count - 1
    let takes = takes(active)
    // Decoding comes first, so no completion waits for another one's prompt.
    for index in active.indices.sorted(by: { (active[$0].pending.count, $0) < (active[$1].pending.count, $1) }) {
      guard room > 0 else { break }
      guard takes(active[index]) else { continue }
      guard active[index].hasBegun || begin(index, &active) else { continue }
      let take = min(room, active[index].pending.count)
      room -= take
      let isWhole = take == active[index].pending.count
      let guess: ArraySlice<Int> =
        !isWhole
        ? []
        : !active[index].draft.isEmpty && !(session.separatesPrompts && active[index].isReading)
          ? draft(for: active[index], after: take, room: room)
          : take == 1
            ? try self.guess(for: active[index], isAlone: active.count == 1, room: min(room, guessRoom)) : []
      room -= guess.count
      segments.append(
        .init(
          slot: active[index].slot, ids: Array(active[index].pending.prefix(take)) + guess,
          logits: !isWhole ? .none : .tail(1 + guess.count), isGenerated: !active[index].isReading))
      active[index].pending = active[index].pending.dropFirst(take)
      chosen.append((index, guess))
    }
    let start = ContinuousClock.now
    let rows = try session.forward(segments)
    for segment in segments {
      held[segment.slot] += segment.ids
      if !segment.isGenerated { given[segment.slot] = held[segment.slot].count }
    }
    let best = session.logits.argmax(count: rows.last?.upperBound ?? 0, on: session.context)
    let seconds = ContinuousClock.now - start
    var ended: Set<Int> = []
    for ((index, guess), rows) in zip(chosen, rows) where !rows.isEmpty {
      let tokens = active[index].tokenCount
      let reason = try choose(&active[index], guess, rows, best)
      if let drafter, active.count == 1, segments[0].ids.count == rows.count {
        let given = active[index].tokenCount - tokens
        drafter.learn(rows: rows.count, duration: seconds, tokens: given, accepted: min(given - 1, guess.count))
      }
      if let onText {
        let text = active[index].scanner.take(isLast: reason != nil)
        if !text.isEmpty { try onText(active[index].index, text) }
      }
      guard let reason else { continue }
      ended.insert(index)
      let text = String(decoding: active[index].scanner.text, as: UTF8.self)
      let completion = Generation(
        text: text, tokenCount: active[index].tokenCount, stopReason: reason,
        endID: reason == .endOfText ? active[index].endID : nil)
      try onEnd(Ended(slot: active[index].slot, index: active[index].index, completion: completion))
    }
    active = active.indices.filter { !ended.contains($0) }.map { active[$0] }
  }

  /// Fills a new request's slot with what its prompt shares with what slots hold.
  ///
  /// - Returns: false when another one's prompt, which is being read, will soon have more of it.
  private func begin(_ index: Int, _ active: inout [Active]) -> Bool {
    let prompt = active[index].request.ids
    // The last token is computed in any case: what follows it is to be known.
    func shared(_ ids: [Int]) -> Int { zip(prompt.dropLast(), ids).prefix { $0 == $1 }.count }
    func shared(_ slot: Int) -> Int {
      shared(session.separatesPrompts ? Array(held[slot].prefix(given[slot])) : held[slot])
    }
    let (slot, own) = (active[index].slot, shared(active[index].slot))
    var (source, count) = (slot, own)
    for other in held.indices where other != slot {
      let common = shared(other)
      if common >= count + Generator.worthSharing { (source, count) = (other, common) }
    }
    for (place, other) in active.enumerated() where place != index && (other.hasBegun || place < index) {
      let isReading = !other.hasBegun || held[other.slot].count < other.request.ids.count
      if isReading, shared(other.request.ids) >= count + Generator.worthSharing { return false }
    }
    active[index].hasBegun = true
    if source != slot, !session.copy(slot: source, to: slot, count: count) { (source, count) = (slot, own) }
    if source == slot {
      // Where a window has lost what is before, the slot begins anew.
      if count < Generator.worthSharing || (try? session.truncate(slot: slot, to: count)) == nil {
        session.truncate(slot: slot)
        count = 0
      }
    }
    (held[slot], given[slot]) = (Array(prompt.prefix(count)), count)
    active[index].pending = active[index].pending.dropFirst(count)
    sharedTokens += count
    return true
  }

  /// The part of a draft that is checked now, beside so many tokens that are pending.
  private func draft(for active: Active, after take: Int, room: Int) -> ArraySlice<Int> {
    // What is chosen last needs no position and no pass.
    let positions = session.contextLength - session.lengths[active.slot] - take
    return active.draft.prefix(max(0, min(room, positions, active.request.maxTokens - active.tokenCount - 1)))
  }

  /// Tokens that may follow the one that is pending.
  private func guess(for active: Active, isAlone: Bool, room: Int) throws -> ArraySlice<Int> {
    guard active.tokenCount > 0 else { return [] }
    // What is pending takes one more position; the last token of all needs none.
    let positions = session.contextLength - session.lengths[active.slot] - 1
    let limit = min(room, positions, active.request.maxTokens - active.tokenCount - 1)
    guard let drafter, isAlone else { return active.lookup?.guess(limit) ?? [] }
    // What the text has said before costs nothing to guess.
    if let found = active.lookup?.guess(limit, behind: Generator.sureMatch), !found.isEmpty { return found }
    return try drafter.propose(
      slot: active.slot, ids: held[active.slot] + active.pending, limit: limit, ends: ends, sampler: active.sampler)[
        ...]
  }

  /// Behind a repeated run of so many tokens, the text is guessed from and no model.
  private static let sureMatch = 6

  /// Takes the tokens in that the model chooses, as far as guesses were right; returns why the completion ended.
  ///
  /// - Parameter best: the most probable token of each row of logits.
  private func choose(
    _ active: inout Active, _ guess: ArraySlice<Int>, _ rows: Range<Int>, _ best: [Int?]
  ) throws -> Generation.StopReason? {
    let start = session.lengths[active.slot] - guess.count
    let isDraft = !active.draft.isEmpty
    var accepted = 0
    var chosen: Int?
    var reason: Generation.StopReason?
    for row in rows {
      let id = try active.sampler.next(session.logits, row: row, best: best[row])
      chosen = id
      active.lookup?.append(id)
      reason = advance(&active, id, positions: start + accepted)
      guard reason == nil, accepted < guess.count, id == guess[guess.startIndex + accepted] else { break }
      accepted += 1
    }
    if isDraft {
      let rest = active.draft.dropFirst(accepted)
      active.draft = rest.first == chosen ? rest.dropFirst() : []
    }
    if !guess.isEmpty {
      speculation.guessed += guess.count
      speculation.passes += 1
      speculation.accepted += accepted
      if !isDraft { active.lookup?.learn(guessed: guess.count, accepted: accepted) }
      try session.truncate(slot: active.slot, to: start + accepted)
      held[active.slot].removeLast(guess.count - accepted)
    }
    return reason
  }

  /// Takes a token in after so many positions; returns why the completion ended, if it did.
  private func advance(_ active: inout Active, _ id: Int, positions: Int) -> Generation.StopReason? {
    active.tokenCount += 1
    if ends.contains(id), active.request.endsAtEndOfText {
      active.endID = id
      // A stop string may complete in what the decoder still holds back.
      return active.scanner.append(active.decoder.finish()) ? .stopString : .endOfText
    }
    if active.scanner.append(active.decoder.push(id)) { return .stopString }
    let isFull = positions >= session.contextLength
    if active.tokenCount >= active.request.maxTokens || isFull {
      return active.scanner.append(active.decoder.finish()) ? .stopString : .length
    }
    active.pending = [id]
    return nil
  }
}
