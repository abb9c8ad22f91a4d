import FurlBase

/// The pieces by id, from the model's vocabulary and the added tokens.
struct PieceTable {
  private struct PieceEntry {
    var text: String
    var kind: PieceKind
  }

  /// Ids that may be left out below the highest one.
  private static let mostGaps = 1 << 16

  private var entries: [PieceEntry?]

  init(count: Int = 0) { entries = Array(repeating: nil, count: count) }

  /// The pieces of a mapping to ids; `error` gets the place and the problem.
  init(_ members: [JSON.Member], _ error: (String, String) -> FurlError) throws {
    entries = Array(repeating: nil, count: members.count)
    // An empty piece stands for nothing, and no word is empty: its id is a gap.
    for member in members where !member.key.isEmpty {
      let key = "vocab[\"\(member.key)\"]"
      guard let id = member.value.integer else {
        throw error(key, "an id is expected, not \(member.value.kindName)")
      }
      try put(id, member.key, .model, limit: members.count + Self.mostGaps) { error(key, $0) }
    }
  }

  /// How many ids there are.
  var count: Int { entries.count }

  /// The id of a piece, spelled as in the table.
  func id(of text: String) -> Int? {
    text.isEmpty ? nil : entries.firstIndex { $0?.text.utf8.elementsEqual(text.utf8) ?? false }
  }

  /// The ids of those of some texts that are pieces.
  private func ids(of texts: [String]) -> [[UInt8]: Int] {
    let lengths = Set(texts.map(\.utf8.count))
    let wanted = Set(texts.map { Array($0.utf8) })
    var ids: [[UInt8]: Int] = [:]
    for (id, entry) in entries.enumerated() {
      guard let entry, lengths.contains(entry.text.utf8.count) else { continue }
      let text = Array(entry.text.utf8)
      if wanted.contains(text) { ids[text] = id }
    }
    return ids
  }

  mutating func put(
    _ id: Int, _ text: String, _ kind: PieceKind, limit: Int = .max, _ error: (String) -> FurlError
  ) throws {
    guard id >= 0, id < min(limit, Vocabulary.maximumCount) else {
      throw error("the id \(id) is out of range: the vocabulary has too few pieces for it, or too many ids")
    }
    guard text.utf8.count <= Vocabulary.maximumPiece else {
      throw error("is longer than \(Vocabulary.maximumPiece) bytes")
    }
    if id >= entries.count { entries += Array(repeating: nil, count: id + 1 - entries.count) }
    if let other = entries[id] { throw error("the id \(id) is also that of \"\(other.text)\"") }
    entries[id] = PieceEntry(text: text, kind: kind.union(.present))
  }

  /// Takes in the added tokens and gives those that are to be found in a text. As in `tokenizers`, one that is a piece
  /// has the piece's id and a new one gets the next, whichever its own is; of one that comes twice the later flags count.
  ///
  /// - Parameters:
  ///   - modelCount: pieces of the model.
  ///   - error: makes an error of a place in the list (`[3]`) and a problem.
  mutating func add(
    _ tokens: [AddedTokenReader.AddedTokenEntry], modelCount: Int, _ error: (String, String) -> FurlError
  ) throws -> [AddedToken] {
    var added: [AddedToken] = []
    try add(tokens, to: &added, from: modelCount) { index, _, problem in error("[\(index)]", problem) }
    return added
  }

  /// Takes in the tokens that files beside the tokenizer's own one name: one that is a piece becomes an added token, one
  /// that is added already changes its flags, and a new one gets the next id, as in the reference.
  ///
  /// - Parameters:
  ///   - modelCount: pieces of the model.
  ///   - error: makes an error of a token's text and a problem.
  mutating func add(
    beside tokens: [AddedTokenReader.AddedTokenEntry], to added: inout [AddedToken], modelCount: Int,
    _ error: (String, String) -> FurlError
  ) throws {
    guard !tokens.isEmpty else { return }
    let next = max(modelCount, (added.map(\.id).max() ?? -1) + 1)
    try add(tokens, to: &added, from: next) { _, text, problem in error(text, problem) }
  }

  /// - Parameter first: the id of the first token that is new.
  private mutating func add(
    _ tokens: [AddedTokenReader.AddedTokenEntry], to added: inout [AddedToken], from first: Int,
    _ error: (_ index: Int, _ text: String, _ problem: String) -> FurlError
  ) throws {
    var places: [[UInt8]: Int] = [:]
    for (place, token) in added.enumerated() {
      if let entry = entries[token.id] { places[Array(entry.text.utf8)] = place }
    }
    let pieces = ids(of: tokens.map(\.text))
    let limit = entries.count + tokens.count + Self.mostGaps
    var next = first
    // As in the reference, an empty token is none.
    for (index, token) in tokens.enumerated() where !token.text.isEmpty {
      let text = Array(token.text.utf8)
      let id: Int
      if let place = places[text] {
        id = added[place].id
        added[place].flags = token.flags
      } else {
        id = pieces[text] ?? next
        if pieces[text] == nil { try put(id, token.text, [], limit: limit) { error(index, token.text, $0) } }
        places[text] = added.count
        added.append(AddedToken(id: id, flags: token.flags))
        next = max(next, id + 1)
      }
      if token.isSpecial { entries[id]?.kind.insert(.special) }
    }
  }

  func vocabulary(_ alphabet: Alphabet) -> Vocabulary {
    var vocabulary = Vocabulary(
      capacity: entries.count, bytes: entries.reduce(0) { $0 + ($1?.text.utf8.count ?? 0) }, alphabet: alphabet)
    for entry in entries {
      guard let entry else {
        vocabulary.append([], [])
        continue
      }
      if entry.kind.contains(.literal) {
        vocabulary.append(entry.text.utf8, entry.kind)
        continue
      }
      let (bytes, isLiteral) = alphabet.bytes(of: entry.text)
      vocabulary.append(bytes, isLiteral ? entry.kind.union(.literal) : entry.kind)
    }
    return vocabulary
  }

  /// An added token that the model has under another id would get that one in the reference.
  func checkAdded(_ index: PieceIndex, _ vocabulary: Vocabulary, _ error: (String) -> FurlError) throws {
    var seen: Set<[UInt8]> = []
    for (id, entry) in entries.enumerated() {
      guard let entry, !entry.kind.contains(.model) else { continue }
      let (bytes, isLiteral) = vocabulary.alphabet.bytes(of: entry.text)
      if let other = index.find(bytes, 0..<bytes.count, literal: isLiteral, in: vocabulary) {
        throw error("\"\(entry.text)\" has the id \(id), and the id \(other) in model.vocab")
      }
      guard seen.insert(Array(entry.text.utf8)).inserted else {
        throw error("\"\(entry.text)\" is there twice")
      }
    }
  }
}
