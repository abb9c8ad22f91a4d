import FurlBase
import FurlSpec

extension Tokenizer {
  /// Ids in the order in which they can be taken out of the vocabulary: those without a piece, then the tokens that a
  /// text uses least, each behind all that are merged of it. Bytes, the characters that bytes do not stand for, added
  /// tokens and special ones are not among them.
  ///
  /// - Parameters:
  ///   - uses: how often a text uses every id: [vocabularySize].
  ///   - kept: other ids that have to stay.
  /// - Returns: any number of the first of them may go together.
  /// - Throws: ``FurlError`` of kind `input` for a vocabulary that cannot be indexed.
  package func removalOrder(uses: [Int], keeping kept: Set<Int> = []) throws -> [Int] {
    precondition(uses.count == vocabularySize)
    return try RemovalOrder(parts).ids(uses: uses, keeping: kept)
  }

  /// The tokenizer with some of its ids and without the merges of the others; ids are numbered anew, in their order. Of ``ends`` those stay that do.
  ///
  /// - Parameter kept: ascending.
  /// - Throws: ``FurlError`` of kind `defect` when a merge or a setting needs a token that is not kept.
  package func keeping(_ kept: [Int]) throws -> Tokenizer {
    let vocabulary = parts.vocabulary
    var numbers = [UInt32?](repeating: nil, count: vocabulary.count)
    for (number, id) in kept.enumerated() { numbers[id] = UInt32(number) }
    func number(_ id: Int) throws -> Int {
      guard let number = numbers[id] else {
        throw FurlError(.defect, place: "tokenizer", "the token \(id) is needed and not kept")
      }
      return Int(number)
    }
    var pieces = Vocabulary(
      capacity: kept.count, bytes: kept.reduce(0) { $0 + vocabulary.range($1).count }, alphabet: vocabulary.alphabet)
    for id in kept { pieces.append(vocabulary.piece(id), vocabulary.kinds[id]) }
    var result = parts
    result.vocabulary = pieces
    result.merges = try MergeTable(
      parts.merges.list.filter { numbers[Int($0.result)] != nil }.map {
        MergeTable.Merge(
          left: UInt32(try number(Int($0.left))), right: UInt32(try number(Int($0.right))),
          result: UInt32(try number(Int($0.result))))
      }, file: nil)
    if !parts.places.isEmpty {
      // The same order without gaps.
      let places = Set(kept.map { parts.places[$0] }).sorted()
      let dense = Dictionary(uniqueKeysWithValues: places.enumerated().map { ($1, UInt32($0)) })
      result.places = kept.map { dense[parts.places[$0]] ?? 0 }
    }
    result.added = try parts.added.map { AddedToken(id: try number($0.id), flags: $0.flags) }
    result.fallback.unknownID = try parts.fallback.unknownID.map(number)
    result.bosID = try parts.bosID.map(number)
    result.eosID = try parts.eosID.map(number)
    let ends = ends.renumbered { id in id < numbers.count ? numbers[id].map { Int($0) } : nil }
    return try Tokenizer(result, file: nil).ending(at: ends)
  }
}
