/// The two ways in which a model of whole texts says what it merges, and how one is made of the other.
///
/// By scores (SentencePiece, GGUF): of all neighbours that make a piece, those that make the best one. By merges
/// (`tokenizer.json`): of all listed pairs, the first. They are the same when every pair that makes a piece is listed,
/// and those of better pieces come first, which is how Hugging Face converts the one into the other.
struct ScoredPieces {
  private let parts: TokenizerParts
  private let index: PieceIndex

  init(_ parts: TokenizerParts) throws {
    self.parts = parts
    index = try PieceIndex(parts.vocabulary, file: nil)
  }

  /// The pairs of pieces that make a piece, those with the first ids first.
  private func pairs(making id: Int) -> [MergeTable.Merge] {
    let vocabulary = parts.vocabulary
    let range = vocabulary.range(id)
    func find(_ part: Range<Int>) -> UInt32? {
      index.find(vocabulary.bytes, part, literal: false, in: vocabulary).map { UInt32($0) }
    }
    var pairs: [MergeTable.Merge] = []
    for cut in range.dropFirst() where vocabulary.bytes[cut] & 0xC0 != 0x80 {
      if let left = find(range.lowerBound..<cut), let right = find(cut..<range.upperBound) {
        pairs.append(MergeTable.Merge(left: left, right: right, result: UInt32(id)))
      }
    }
    return pairs.sorted { ($0.left, $0.right) < ($1.left, $1.right) }
  }

  /// The pieces that merges may make. Added tokens are found in a text before anything is merged.
  private var made: [Int] {
    let added = Set(parts.added.map(\.id))
    return (0..<parts.vocabulary.count).filter { id in
      let kind = parts.vocabulary.kinds[id]
      return kind.contains([.present, .model]) && !kind.contains(.literal) && !added.contains(id)
    }
  }

  /// The merges of a model that merges by scores. Of pieces with equal scores, which SentencePiece merges from the left,
  /// the one with the lower id comes first, as in Hugging Face's converter.
  func merges() -> [MergeTable.Merge] {
    var lists: [(place: UInt32, pairs: [MergeTable.Merge])] = []
    for id in made {
      let pairs = pairs(making: id)
      if !pairs.isEmpty { lists.append((parts.places[id], pairs)) }
    }
    return lists.enumerated().sorted { ($0.element.place, $0.offset) < ($1.element.place, $1.offset) }
      .flatMap(\.element.pairs)
  }

  /// The scores of a model that merges by merges, by id: the best have the highest. Pieces that no merge makes have 0.
  /// Nil when no scores say the same.
  func scores() -> [Float]? {
    let merges = parts.merges.list
    var place = [Int?](repeating: nil, count: parts.vocabulary.count)
    var listed: Set<UInt64> = []
    var last: UInt32?
    var next = 1
    for merge in merges {
      listed.insert(UInt64(merge.left) << 32 | UInt64(merge.right))
      if merge.result == last { continue }
      // A piece whose pairs lie apart would have two scores.
      guard place[Int(merge.result)] == nil else { return nil }
      place[Int(merge.result)] = next
      next += 1
      last = merge.result
    }
    for id in made {
      for pair in pairs(making: id) where !listed.contains(UInt64(pair.left) << 32 | UInt64(pair.right)) { return nil }
    }
    // FP32 has every integer up to this.
    guard next <= 1 << 24 else { return nil }
    return place.map { -Float($0 ?? 0) }
  }
}
