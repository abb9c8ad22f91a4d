/// Turns one text into ids. Made anew for every text, so that tokenizers can be shared between threads.
struct Encoder {
  private let tokenizer: Tokenizer
  private let merges: MergeTable
  private let byteIDs: [UInt32]
  private let stages: [Stage]
  /// For models of whole texts; nil for models of bytes.
  private let characters: CharacterTable?
  private var merger = WordMerger()
  private var scores: ScoreMerger
  private var cache: WordCache
  private(set) var ids: [Int] = []

  init(_ tokenizer: Tokenizer, bytes: Int) {
    self.tokenizer = tokenizer
    merges = tokenizer.parts.merges
    byteIDs = tokenizer.byteIDs
    stages = tokenizer.parts.stages
    characters = tokenizer.characters
    scores = ScoreMerger(longest: tokenizer.longestPiece)
    cache = WordCache(bytes: bytes)
    ids.reserveCapacity(bytes / 3 + 4)
  }

  /// Encodes a text: added tokens as it stands, normalization, added tokens in what came out, words.
  mutating func add(_ text: [UInt8]) {
    let normalization = tokenizer.parts.normalization
    tokenizer.plainTokens.split(text, 0..<text.count) { range, id in
      if let id {
        ids.append(id)
      } else if normalization.isIdentity {
        addNormalized(text, range, isFirst: range.lowerBound == 0)
      } else {
        let normal = normalization.apply(text, range)
        addNormalized(normal, 0..<normal.count, isFirst: range.lowerBound == 0)
      }
    }
  }

  /// - Parameter isFirst: whether the range begins where the whole text does.
  private mutating func addNormalized(_ text: [UInt8], _ range: Range<Int>, isFirst: Bool) {
    if tokenizer.normalizedTokens.isEmpty {
      cut(text, range, stage: 0, isFirst: isFirst)
      return
    }
    tokenizer.normalizedTokens.split(text, range) { part, id in
      if let id {
        ids.append(id)
      } else {
        cut(text, part, stage: 0, isFirst: isFirst && part.lowerBound == range.lowerBound)
      }
    }
  }

  /// Applies the stages from one on, and encodes the words that the last one leaves.
  private mutating func cut(_ text: [UInt8], _ range: Range<Int>, stage index: Int, isFirst: Bool) {
    guard index < stages.count else { return encodePart(text, range) }
    let stage = stages[index]
    guard stage.rule.isSplit else {
      let prefixed = prefixed(text, range, stage.rule, isFirst: isFirst)
      if let prefixed { return cut(prefixed, 0..<prefixed.count, stage: index + 1, isFirst: isFirst) }
      return cut(text, range, stage: index + 1, isFirst: isFirst)
    }
    if index + 1 == stages.count {
      stage.split(text, range) { encodePart(text, $0) }
    } else {
      stage.split(text, range) {
        cut(text, $0, stage: index + 1, isFirst: isFirst && $0.lowerBound == range.lowerBound)
      }
    }
  }

  /// The text that a rule which does not split makes of another, or nil for the same.
  private func prefixed(_ text: [UInt8], _ range: Range<Int>, _ rule: Stage.Rule, isFirst: Bool) -> [UInt8]? {
    guard case .marks(let prefix) = rule else {
      return text[range.lowerBound] == 0x20 ? nil : [0x20] + text[range]
    }
    let marked = SpaceMark.toSpaces(text, range)
    let isPrefixed = prefix == .always || (prefix == .first && isFirst)
    return isPrefixed && marked.first != 0x20 ? [0x20] + marked : marked
  }

  @inline(__always)
  private mutating func encodePart(_ text: [UInt8], _ range: Range<Int>) {
    if characters == nil { word(text, range) } else { encodeText(text, range) }
  }

  /// Cuts a text where no merge goes across, and encodes what is between.
  private mutating func encodeText(_ text: [UInt8], _ range: Range<Int>) {
    guard let characters, !isWhole(text, range) else { return }
    var start = range.lowerBound
    for index in range.dropFirst() where characters.cuts(text[index - 1], text[index]) {
      word(text, start..<index)
      start = index
    }
    word(text, start..<range.upperBound)
  }

  @inline(__always)
  private mutating func word(_ text: [UInt8], _ range: Range<Int>) {
    if range.count == 1 {
      let id = byteIDs[Int(text[range.lowerBound])]
      if id != MergeTable.none { return ids.append(Int(id)) }
      if characters == nil { return }
    }
    if range.count > WordCache.longestWord || cache.isEmpty { return encode(text, range) }
    let key = WordCache.key(text, range)
    if let known = cache.find(key) {
      for index in known { ids.append(ids[index]) }
      return
    }
    let start = ids.count
    encode(text, range)
    cache.store(key, start..<ids.count)
  }

  private mutating func encode(_ text: [UInt8], _ range: Range<Int>) {
    if let characters {
      if tokenizer.parts.places.isEmpty {
        merger.start()
        characters.symbols(text, range) { merger.append($0) }
        merger.finish(merges, into: &ids)
      } else {
        scores.merge(text, range, characters, tokenizer.parts.places, into: &ids)
      }
      return
    }
    if isWhole(text, range) { return }
    merger.start()
    let separates = tokenizer.parts.fallback.separates
    var isBroken = false
    for index in range {
      // A byte without a piece is left out, and its neighbours may merge, as in the reference.
      let id = byteIDs[Int(text[index])]
      if id != MergeTable.none {
        merger.append(id)
      } else if separates {
        merger.append(WordMerger.gap)
        isBroken = true
      }
    }
    let start = ids.count
    merger.finish(merges, into: &ids)
    if isBroken { ids.replaceSubrange(start..., with: ids[start...].filter { $0 != Int(WordMerger.gap) }) }
  }

  /// Takes a word that is a piece, where merges do not decide about it.
  private mutating func isWhole(_ text: [UInt8], _ range: Range<Int>) -> Bool {
    guard let index = tokenizer.wholeWords,
      let id = index.find(text, range, literal: false, in: tokenizer.parts.vocabulary)
    else { return false }
    ids.append(id)
    return true
  }
}
