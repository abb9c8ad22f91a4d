/// What is known of an id, in one byte.
struct PieceKind: OptionSet, Sendable {
  var rawValue: UInt8

  /// The id has a piece; without this it is a gap.
  static let present = PieceKind(rawValue: 1)
  /// The piece is text as it stands, in which the model never sees a text.
  static let literal = PieceKind(rawValue: 2)
  /// The piece is of the model's vocabulary, not only an added token.
  static let model = PieceKind(rawValue: 4)
  /// The token is left out of text on request.
  static let special = PieceKind(rawValue: 8)
}

/// The pieces of a tokenizer in three flat arrays: no object for each piece.
struct Vocabulary: Sendable {
  /// More ids than any published vocabulary has (262,144), and few enough for ``MergeTable``'s packed keys
  /// and ``WordMerger/gap``.
  static let maximumCount = 1 << 20 - 2
  /// Longest piece in bytes.
  static let maximumPiece = 0xFFFF
  /// All pieces together, in bytes.
  static let maximumBytes = 1 << 26

  let alphabet: Alphabet
  private(set) var bytes: [UInt8] = []
  private(set) var offsets: [UInt32] = [0]
  private(set) var kinds: [PieceKind] = []

  init(capacity: Int, bytes: Int, alphabet: Alphabet = .bytes) {
    self.alphabet = alphabet
    self.bytes.reserveCapacity(bytes)
    offsets.reserveCapacity(capacity + 1)
    kinds.reserveCapacity(capacity)
  }

  var count: Int { kinds.count }

  /// Where the bytes of a piece lie. The id must be in 0..<count.
  func range(_ id: Int) -> Range<Int> { Int(offsets[id])..<Int(offsets[id + 1]) }

  /// The bytes of a piece. The id must be in 0..<count.
  func piece(_ id: Int) -> ArraySlice<UInt8> { bytes[range(id)] }

  /// The piece as tokenizer.json spells it. The id must be in 0..<count.
  func spelling(_ id: Int) -> String {
    kinds[id].contains(.literal) ? String(decoding: piece(id), as: UTF8.self) : alphabet.spelling(of: piece(id))
  }

  /// The first id of every byte that is a piece of the model, or ``MergeTable/none``.
  func byteIDs() -> [UInt32] {
    var ids = [UInt32](repeating: MergeTable.none, count: 256)
    for id in (0..<count).reversed() where range(id).count == 1 {
      if kinds[id].contains(.model), !kinds[id].contains(.literal) {
        ids[Int(bytes[range(id).lowerBound])] = UInt32(id)
      }
    }
    return ids
  }

  /// Bytes of the longest piece.
  var longestPiece: Int { (0..<count).reduce(0) { max($0, range($1).count) } }

  /// Adds the next id.
  mutating func append(_ piece: some Collection<UInt8>, _ kind: PieceKind) {
    bytes.append(contentsOf: piece)
    offsets.append(UInt32(bytes.count))
    kinds.append(kind)
  }

  mutating func mark(_ id: Int, _ kind: PieceKind) { kinds[id].formUnion(kind) }
}
