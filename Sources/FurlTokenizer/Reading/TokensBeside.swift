import FurlBase

/// The tokens that files beside a tokenizer's own one name, merged as transformers 5 merges them.
///
/// `added_tokens_decoder` of `tokenizer_config.json` counts alone where it is there. Otherwise what
/// `special_tokens_map.json` names goes before what `tokenizer_config.json` names, and `added_tokens.json` has more tokens.
/// Ids in these lists say in which order new tokens come, not which ids they get: that is the next one behind all others.
///
/// Source: transformers 5.24, `PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend.__init__`.
struct TokensBeside {
  typealias Token = AddedTokenReader.AddedTokenEntry

  static let keys = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  /// `tokenizer_config.json`, if there is one.
  let config: DocumentReader?
  /// The file that the lists of tokens come from, for errors.
  private(set) var file: String?
  /// Tokens that have a role, in the order in which new ones are added.
  private var named: [(key: String, token: Token?)] = []
  private var places: [String: Int] = [:]
  private var others: [Token] = []
  /// By the ids that files give them.
  private var listed: [Token] = []
  private let dropsFlags: Bool

  /// - Parameters:
  ///   - own: the added tokens of the tokenizer's own file.
  ///   - form: the class that builds the tokenizer, which has tokens for roles that no file gives any.
  /// - Throws: ``FurlError`` of kind `input` that names file and key.
  init(folder: String, own: [Token] = [], form: TokenizerClass? = nil) throws {
    dropsFlags = form?.dropsFlags ?? false
    config = try VocabularyFiles.document("tokenizer_config.json", folder)
    file = config?.file
    var hasOthers = false
    if let config { hasOthers = try read(config) }
    if try config?.bool("split_special_tokens") == true {
      throw FurlError.input(file, "split_special_tokens", "true is not supported yet")
    }
    var known: [[UInt8]: Token] = [:]
    if let list = config?.optional("added_tokens_decoder") {
      listed = try AddedTokenReader.read(byID: list, file: file)
      for token in listed { known[Array(token.text.utf8)] = token }
    } else {
      if let map = try VocabularyFiles.document("special_tokens_map.json", folder) {
        _ = try read(map, hasOthers: hasOthers, isMap: true)
        hasOthers = hasOthers || map.optional("extra_special_tokens")?.array != nil
      }
      try readAdded(folder, own, hasOthers ? others : [], &known)
    }
    for (key, text) in form?.defaults ?? [] where places[key] == nil { name(key, AddedTokenReader.special(text)) }
    for index in named.indices {
      guard let token = named[index].token else { continue }
      named[index].token = known[Array(token.text.utf8)] ?? token
    }
  }

  // MARK: Files

  /// Reads the tokens with a role, and the others. What a later file says of a role replaces what an earlier one said.
  ///
  /// - Parameters:
  ///   - hasOthers: whether an earlier file has a list of the others: then it does not count under its former name.
  ///   - isMap: whether this is `special_tokens_map.json`, all of whose tokens are special.
  /// - Returns: whether this one has that list.
  private mutating func read(_ reader: DocumentReader, hasOthers: Bool = false, isMap: Bool = false) throws -> Bool {
    func token(_ value: JSON, _ key: String) throws -> Token {
      let isSpecial = isMap || value["special"]?.bool ?? false
      var token = try AddedTokenReader.special(value, key, reader, isSpecial: isSpecial)
      token.isMapping = !isMap && value.members != nil
      return token
    }
    for key in Self.keys where reader.keys.contains(key) {
      name(key, try reader.optional(key).map { try token($0, key) })
    }
    for key in reader.keys where key.hasSuffix("_token") && !Self.keys.contains(key) {
      // Flags such as add_bos_token are none.
      guard let value = reader.optional(key), value.string != nil || value["content"]?.string != nil else { continue }
      name(key, try token(value, key))
    }
    func list(_ value: JSON, _ key: String) throws -> [Token] {
      guard let list = value.array else { throw reader.error(key, "a list is expected, not \(value.kindName)") }
      return try list.enumerated().map { try token($1, "\(key)[\($0)]") }
    }
    let (current, former) = ("extra_special_tokens", "additional_special_tokens")
    var (has, isNamed) = (false, false)
    if let value = reader.optional(current) {
      if let members = value.members {
        isNamed = !members.isEmpty
        for member in members { name(member.key, try token(member.value, "\(current).\(member.key)")) }
      } else {
        others += try list(value, current)
        has = true
      }
    }
    if let value = reader.optional(former), isMap ? !hasOthers && !has : others.isEmpty {
      others = try list(value, former)
      has = !isNamed
    }
    return has
  }

  private mutating func name(_ key: String, _ token: Token?) {
    if let place = places[key] { return named[place].token = token }
    places[key] = named.count
    named.append((key, token))
  }

  /// Reads `added_tokens.json`, whose tokens are special where `special` or a role names them.
  private mutating func readAdded(
    _ folder: String, _ own: [Token], _ special: [Token], _ known: inout [[UInt8]: Token]
  ) throws {
    let name = "added_tokens.json"
    var byID: [Int: Token] = [:]
    if let list = try VocabularyFiles.json(name, folder) {
      file = folder + "/" + name
      let roles = named.filter { Self.keys.contains($0.key) }.compactMap(\.token)
      let names = Set((roles + special).filter { !$0.isMapping }.map { Array($0.text.utf8) })
      for var token in try AddedTokenReader.read(byText: list, file: file) {
        if names.contains(Array(token.text.utf8)) {
          token.isSpecial = true
          token.flags.remove(.normalized)
        }
        known[Array(token.text.utf8)] = token
        byID[token.id] = token
      }
    }
    let hasMore = !byID.isEmpty
    // Of several with one id the last counts, and the one of the tokenizer's own file before all.
    for token in own {
      known[Array(token.text.utf8)] = token
      byID[token.id] = token
    }
    if hasMore { listed = byID.values.sorted { $0.id < $1.id } }
  }

  // MARK: What comes of it

  /// The text of a role's token.
  func text(_ key: String) -> String? { places[key].flatMap { named[$0].token?.text } }

  /// The id of a role's token.
  func id(_ key: String, among added: [AddedToken], _ vocabulary: Vocabulary) -> Int? {
    text(key).flatMap { text in
      added.first { vocabulary.spelling($0.id).utf8.elementsEqual(text.utf8) }?.id
    }
  }

  /// The tokens to add, in their order; one that is added already changes its flags.
  ///
  /// - Parameter own: the texts that are added already.
  func tokens(beside own: [Token]) -> [Token] {
    var tokens = listed
    let texts = Set((own + listed).map { Array($0.text.utf8) })
    let roles =
      Self.keys.compactMap { places[$0].flatMap { named[$0].token } }
      + named.filter { !Self.keys.contains($0.key) }.compactMap(\.token)
    // Of several with one text the last decides.
    tokens += (roles + others).filter { !texts.contains(Array($0.text.utf8)) }
    let special = Set(roles.map { Array($0.text.utf8) })
    for index in tokens.indices where special.contains(Array(tokens[index].text.utf8)) {
      tokens[index].isSpecial = true
    }
    if dropsFlags {
      tokens += (roles + others).map { AddedTokenReader.special($0.text) }
    }
    return tokens
  }
}
