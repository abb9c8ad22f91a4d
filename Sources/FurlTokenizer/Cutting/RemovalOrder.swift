/// Which tokens of a vocabulary can do without, and in which order they go.
///
/// A token goes only when every token that is merged of it has gone, and its merges go with it. What is left is then a
/// tokenizer of the same kind: a text in which no token that is gone would have come up, not even on the way, has the
/// ids that it had; any other falls into smaller pieces and still becomes the same text again.
///
/// Of those that can go at a time the one that a text uses least goes first, of equal ones the one with the highest id.
/// What a text used it for, it uses its two parts for from then on: each use of a token that goes is one more token in
/// the text.
struct RemovalOrder {
  private let parts: TokenizerParts
  private let merges: [MergeTable.Merge]

  init(_ parts: TokenizerParts) throws {
    self.parts = parts
    merges = parts.places.isEmpty ? parts.merges.list : try ScoredPieces(parts).merges()
  }

  /// - Parameters:
  ///   - uses: of every id.
  ///   - kept: ids that stay, whatever else is said of them.
  /// - Returns: ids, first those without a piece. Any number of the first of them may go together.
  func ids(uses: [Int], keeping kept: Set<Int>) -> [Int] {
    let vocabulary = parts.vocabulary
    let count = vocabulary.count
    var mayGo = self.mayGo
    for id in kept where id >= 0 && id < count { mayGo[id] = false }
    var order = (0..<count).reversed().filter { mayGo[$0] && !vocabulary.kinds[$0].contains(.present) }

    // For every token the merges that need it, and for every token those that make it, by rank.
    var needs = [Int](repeating: 0, count: count)
    var firsts = [Int](repeating: 0, count: count + 1)
    for merge in merges {
      needs[Int(merge.left)] += 1
      needs[Int(merge.right)] += 1
      firsts[Int(merge.result) + 1] += 1
    }
    for id in 0..<count { firsts[id + 1] += firsts[id] }
    var next = firsts
    var making = [Int](repeating: 0, count: merges.count)
    for (rank, merge) in merges.enumerated() {
      making[next[Int(merge.result)]] = rank
      next[Int(merge.result)] += 1
    }

    var uses = uses
    var heap = CandidateHeap()
    func offer(_ id: Int) {
      guard needs[id] == 0, mayGo[id], vocabulary.kinds[id].contains(.present) else { return }
      heap.insert(UInt32(min(uses[id], Int(UInt32.max) - 1)), at: count - 1 - id)
    }
    for id in 0..<count { offer(id) }
    while let (_, place) = heap.removeFirst() {
      let id = count - 1 - place
      order.append(id)
      for (index, rank) in making[firsts[id]..<firsts[id + 1]].enumerated() {
        let ends = [Int(merges[rank].left), Int(merges[rank].right)]
        for end in ends { needs[end] -= 1 }
        if index == 0 { for end in ends { uses[end] += uses[id] } }
        for end in Set(ends).sorted() { offer(end) }
      }
    }
    return order
  }

  /// Ids that nothing but merges may need.
  private var mayGo: [Bool] {
    let vocabulary = parts.vocabulary
    var mayGo = [Bool](repeating: true, count: vocabulary.count)
    for id in [parts.bosID, parts.eosID, parts.fallback.unknownID] + parts.added.map({ Optional($0.id) }) {
      if let id { mayGo[id] = false }
    }
    let spellsCharacters = spellsCharacters
    for id in 0..<vocabulary.count {
      let kind = vocabulary.kinds[id]
      if kind.contains(.special) { mayGo[id] = false }
      let range = vocabulary.range(id)
      guard kind.contains(.model), !kind.contains(.literal), !range.isEmpty else { continue }
      switch vocabulary.alphabet {
      case .bytes: if range.count == 1 { mayGo[id] = false }
      case .marked:
        let length = UTF8Text.scalar(vocabulary.bytes, at: range.lowerBound, end: range.upperBound).length
        let isCharacter = length == range.count
        // A space is a mark to the reference, whose bytes are others: it stays, as the rest of ASCII does.
        if BytePiece.byte(of: vocabulary.piece(id)) != nil || (isCharacter && (length == 1 || !spellsCharacters)) {
          mayGo[id] = false
        }
      }
    }
    return mayGo
  }

  /// Whether bytes stand for characters without a piece, so that they become the same text again.
  private var spellsCharacters: Bool {
    let vocabulary = parts.vocabulary
    let bytes = (0..<vocabulary.count).filter { BytePiece.byte(of: vocabulary.piece($0)) != nil }
    let pieces = Set(bytes.map { UInt32($0) })
    return parts.fallback.usesBytes && parts.decoding.joinsBytes
      && Set(bytes.compactMap { BytePiece.byte(of: vocabulary.piece($0)) }).count == 256
      && !merges.contains { pieces.contains($0.left) || pieces.contains($0.right) }
  }
}
