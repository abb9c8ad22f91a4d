import FurlSpec
import FurlTensor

/// Reads Hugging Face's `tokenizer.json` and `tokenizer_config.json`.
///
/// Every component that would change the ids and that cannot be run exactly is refused by its key.
enum TokenizerFile {
  private static let largest = 256 << 20

  static func read(folder: String) throws -> TokenizerParts {
    let path = folder + "/tokenizer.json"
    let json = try JSON.parse(try MappedFile(path: path).readAll(limit: largest), file: path)
    let file = try DocumentReader(json, file: path)
    var config = TokenizerConfig()
    let configPath = folder + "/tokenizer_config.json"
    if access(configPath, F_OK) == 0 { config = try TokenizerConfig(path: configPath) }
    return try read(file, config)
  }

  private static func read(_ file: DocumentReader, _ config: TokenizerConfig) throws -> TokenizerParts {
    let isNormalizing = try NormalizerReader.read(file)
    let stages = try PreTokenizerReader.read(file)
    try DecoderReader.check(file)
    let template = try TemplateReader.read(file)

    guard let model = try file.reader("model") else { throw file.error("model", "is missing") }
    try ModelReader.checkOptions(model)
    var pieces = try PieceTable(ModelReader.vocabulary(model), model)
    var added = try pieces.add(AddedTokenReader.read(file, isNormalizing: isNormalizing), file)
    // transformers makes the configuration's tokens special ones, found in the text, if they are not yet.
    let named = try [config.bos, config.eos].map { try $0.map { try pieces.special($0, &added, config) } }
    let vocabulary = pieces.vocabulary()
    let index = try PieceIndex(vocabulary, file: file.file)
    try pieces.checkAdded(index, vocabulary, file)
    let merges = try ModelReader.merges(model, vocabulary, index)
    try ModelReader.checkBytes(model, vocabulary)
    try template.check(vocabulary, file)
    return TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(merges, file: file.file), added: added, stages: stages,
      isNormalizing: isNormalizing, ignoresMerges: try model.bool("ignore_merges") ?? false,
      bosID: named[0] ?? template.before, eosID: named[1], addsBOS: config.addsBOS ?? (template.before != nil))
  }
}

/// What `tokenizer_config.json` says about the tokens around a text.
struct TokenizerConfig {
  var file: String?
  var addsBOS: Bool?
  var bos: (key: String, text: String)?
  var eos: (key: String, text: String)?

  init() {}

  init(path: String) throws {
    let json = try JSON.parse(try MappedFile(path: path).readAll(limit: 64 << 20), file: path)
    let reader = try DocumentReader(json, file: path)
    file = path
    addsBOS = try reader.bool("add_bos_token")
    bos = try Self.token("bos_token", reader)
    eos = try Self.token("eos_token", reader)
  }

  /// A token is a text, or a mapping with its text under `content`.
  private static func token(_ key: String, _ reader: DocumentReader) throws -> (key: String, text: String)? {
    guard let value = reader.optional(key) else { return nil }
    guard let text = value.string ?? value["content"]?.string else {
      throw reader.error(key, "a text or a mapping with a text \"content\" is expected, not \(value.kindName)")
    }
    return (key, text)
  }
}

/// The pieces by id, from the model's vocabulary and the added tokens.
private struct PieceTable {
  private struct Entry {
    var text: String
    var kind: PieceKind
  }

  /// Ids that may be left out below the highest one.
  private static let mostGaps = 1 << 16

  private var entries: [Entry?]

  init(_ members: [JSON.Member], _ model: DocumentReader) throws {
    entries = Array(repeating: nil, count: members.count)
    // An empty piece stands for nothing, and no word is empty: its id is a gap.
    for member in members where !member.key.isEmpty {
      let key = "vocab[\"\(member.key)\"]"
      guard let id = member.value.integer else {
        throw model.error(key, "an id is expected, not \(member.value.kindName)")
      }
      try put(id, member.key, .model, limit: members.count + Self.mostGaps) { model.error(key, $0) }
    }
  }

  private mutating func put(
    _ id: Int, _ text: String, _ kind: PieceKind, limit: Int, _ error: (String) -> FurlError
  ) throws {
    guard id >= 0, id < min(limit, Vocabulary.maximumCount) else {
      throw error("the id \(id) is out of range: the vocabulary has too few pieces for it, or too many ids")
    }
    guard text.utf8.count <= Vocabulary.maximumPiece else {
      throw error("is longer than \(Vocabulary.maximumPiece) bytes")
    }
    if id >= entries.count { entries += Array(repeating: nil, count: id + 1 - entries.count) }
    if let other = entries[id] { throw error("the id \(id) is also that of \"\(other.text)\"") }
    entries[id] = Entry(text: text, kind: kind.union(.present))
  }

  /// Takes in the added tokens and gives those that are to be found in a text.
  mutating func add(_ tokens: [AddedTokenReader.Token], _ file: DocumentReader) throws -> [AddedToken] {
    var added: [AddedToken] = []
    let limit = entries.count + tokens.count + Self.mostGaps
    for (index, token) in tokens.enumerated() {
      let key = "added_tokens[\(index)]"
      // As in the reference, an empty token is none.
      if token.text.isEmpty { continue }
      guard !added.contains(where: { $0.id == token.id }) else {
        throw file.error(key, "the id \(token.id) is there twice")
      }
      if token.id >= 0, token.id < entries.count, let entry = entries[token.id] {
        guard entry.text.utf8.elementsEqual(token.text.utf8) else {
          throw file.error(key, "the id \(token.id) is also that of \"\(entry.text)\"")
        }
      } else {
        try put(token.id, token.text, [], limit: limit) { file.error(key, $0) }
      }
      if token.isSpecial { entries[token.id]?.kind.insert(.special) }
      added.append(AddedToken(id: token.id, flags: token.flags))
    }
    return added
  }

  /// The id of a token that the configuration names; it becomes an added token.
  mutating func special(
    _ token: (key: String, text: String), _ added: inout [AddedToken], _ config: TokenizerConfig
  ) throws -> Int {
    guard let id = entries.firstIndex(where: { $0?.text.utf8.elementsEqual(token.text.utf8) ?? false }),
      !token.text.isEmpty
    else { throw FurlError.input(config.file, token.key, "\"\(token.text)\" is not in the vocabulary") }
    if !added.contains(where: { $0.id == id }) { added.append(AddedToken(id: id, flags: [])) }
    entries[id]?.kind.insert(.special)
    return id
  }

  func vocabulary() -> Vocabulary {
    var vocabulary = Vocabulary(capacity: entries.count, bytes: entries.reduce(0) { $0 + ($1?.text.utf8.count ?? 0) })
    for entry in entries {
      guard let entry else {
        vocabulary.append([], [])
        continue
      }
      let (bytes, isLiteral) = ByteAlphabet.bytes(of: entry.text)
      vocabulary.append(bytes, isLiteral ? entry.kind.union(.literal) : entry.kind)
    }
    return vocabulary
  }

  /// An added token that the model has under another id would get that one in the reference.
  func checkAdded(_ index: PieceIndex, _ vocabulary: Vocabulary, _ file: DocumentReader) throws {
    var seen: Set<[UInt8]> = []
    for (id, entry) in entries.enumerated() {
      guard let entry, !entry.kind.contains(.model) else { continue }
      let (bytes, isLiteral) = ByteAlphabet.bytes(of: entry.text)
      if let other = index.find(bytes, 0..<bytes.count, literal: isLiteral, in: vocabulary) {
        throw file.error("added_tokens", "\"\(entry.text)\" has the id \(id), and the id \(other) in model.vocab")
      }
      guard seen.insert(Array(entry.text.utf8)).inserted else {
        throw file.error("added_tokens", "\"\(entry.text)\" is there twice")
      }
    }
  }
}
