/// Turns one text into ids. Made anew for every text, so that tokenizers can be shared between threads.
struct Encoder {
  private let tokenizer: Tokenizer
  private let merges: MergeTable
  private let byteIDs: [UInt32]
  private let stages: [Stage]
  private var merger = WordMerger()
  private var cache: WordCache
  private(set) var ids: [Int] = []

  init(_ tokenizer: Tokenizer, bytes: Int) {
    self.tokenizer = tokenizer
    merges = tokenizer.parts.merges
    byteIDs = tokenizer.byteIDs
    stages = tokenizer.parts.stages
    cache = WordCache(bytes: bytes)
    ids.reserveCapacity(bytes / 3 + 4)
  }

  /// Encodes a text: added tokens as it stands, normalization, added tokens in what came out, words.
  mutating func add(_ text: [UInt8]) {
    tokenizer.plainTokens.split(text, 0..<text.count) { range, id in
      if let id {
        ids.append(id)
      } else if tokenizer.parts.isNormalizing {
        let normal = Normalizer.nfc(text, range)
        addNormalized(normal, 0..<normal.count)
      } else {
        addNormalized(text, range)
      }
    }
  }

  private mutating func addNormalized(_ text: [UInt8], _ range: Range<Int>) {
    if tokenizer.normalizedTokens.isEmpty {
      cut(text, range, stage: 0)
      return
    }
    tokenizer.normalizedTokens.split(text, range) { part, id in
      if let id { ids.append(id) } else { cut(text, part, stage: 0) }
    }
  }

  /// Applies the stages from one on, and encodes the words that the last one leaves.
  private mutating func cut(_ text: [UInt8], _ range: Range<Int>, stage index: Int) {
    guard index < stages.count else { return word(text, range) }
    let stage = stages[index]
    if stage.rule == .prefixSpace {
      if text[range.lowerBound] == 0x20 { return cut(text, range, stage: index + 1) }
      let prefixed = [0x20] + text[range]
      return cut(prefixed, 0..<prefixed.count, stage: index + 1)
    }
    if index + 1 == stages.count {
      stage.split(text, range) { word(text, $0) }
    } else {
      stage.split(text, range) { cut(text, $0, stage: index + 1) }
    }
  }

  @inline(__always)
  private mutating func word(_ text: [UInt8], _ range: Range<Int>) {
    if range.count == 1 {
      let id = byteIDs[Int(text[range.lowerBound])]
      if id != MergeTable.none { ids.append(Int(id)) }
      return
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
    if let index = tokenizer.wholeWords,
      let id = index.find(text, range, literal: false, in: tokenizer.parts.vocabulary)
    {
      ids.append(id)
      return
    }
    merger.start()
    for index in range {
      // A byte without a piece is left out, and its neighbours may merge, as in the reference.
      let id = byteIDs[Int(text[index])]
      if id != MergeTable.none { merger.append(id) }
    }
    merger.finish(merges, into: &ids)
  }
}
