import FurlBase

/// Collects the merges of a model in the order of their ranks, from the spellings of their parts.
struct MergeList {
  /// Which rank a pair has that is there again.
  enum Repeated {
    case earlier, later
  }

  private let vocabulary: Vocabulary
  private let index: PieceIndex
  private let repeated: Repeated
  private var list: [MergeTable.Merge?] = []
  private var rankOfPair: [UInt64: Int] = [:]

  init(_ vocabulary: Vocabulary, _ index: PieceIndex, repeated: Repeated, capacity: Int) {
    self.vocabulary = vocabulary
    self.index = index
    self.repeated = repeated
    list.reserveCapacity(capacity)
    rankOfPair.reserveCapacity(capacity)
  }

  /// - Throws: the error that `error` makes of a problem.
  mutating func add(_ left: String, _ right: String, _ error: (String) -> FurlError) throws {
    let (first, second, both) = (try find(left, error), try find(right, error), try find(left + right, error))
    // Words are made of bytes, or of text with marks: a piece that is text as it stands never comes up.
    if first.isLiteral || second.isLiteral { return }
    let pair = UInt64(first.id) << 32 | UInt64(second.id)
    if let earlier = rankOfPair[pair] {
      if repeated == .earlier { return }
      list[earlier] = nil
    }
    rankOfPair[pair] = list.count
    list.append(MergeTable.Merge(left: first.id, right: second.id, result: both.id))
  }

  private func find(_ piece: String, _ error: (String) -> FurlError) throws -> (id: UInt32, isLiteral: Bool) {
    let (bytes, isLiteral) = vocabulary.alphabet.bytes(of: piece)
    guard let id = index.find(bytes, 0..<bytes.count, literal: isLiteral, in: vocabulary) else {
      throw error("the piece \"\(piece)\" is not in the vocabulary")
    }
    return (UInt32(id), isLiteral)
  }

  /// The merges by rank.
  var merges: [MergeTable.Merge] { list.compactMap { $0 } }

  /// The merges that pieces with places stand for: every way to make a piece of two others, the best piece first.
  ///
  /// This is how `transformers` turns a SentencePiece model into merges.
  static func all(_ vocabulary: Vocabulary, _ places: [UInt32]) -> [MergeTable.Merge] {
    var ids: [ArraySlice<UInt8>: UInt32] = [:]
    let pieces = (0..<vocabulary.count).filter {
      vocabulary.kinds[$0].contains([.present, .model]) && !vocabulary.kinds[$0].contains(.literal)
    }
    for id in pieces { ids[vocabulary.piece(id)] = UInt32(id) }
    var merges: [MergeTable.Merge] = []
    for id in pieces.sorted(by: { (places[$0], $0) < (places[$1], $1) }) {
      let range = vocabulary.range(id)
      var parts: [MergeTable.Merge] = []
      for middle in range.dropFirst() where vocabulary.bytes[middle] & 0xC0 != 0x80 {
        guard let left = ids[vocabulary.bytes[range.lowerBound..<middle]],
          let right = ids[vocabulary.bytes[middle..<range.upperBound]]
        else { continue }
        parts.append(MergeTable.Merge(left: left, right: right, result: UInt32(id)))
      }
      merges += parts.sorted { ($0.left, $0.right) < ($1.left, $1.right) }
    }
    return merges
  }
}
