import FurlBase
import FurlSpec

/// Turns ``GGUFTokenizer`` into a tokenizer's parts.
struct GGUFTokenizerReader {
  private let source: GGUFTokenizer
  private let file: String?
  /// Whether it merges whole texts, by scores or, as Gemma 4's does, by merges, and not bytes.
  private let isText: Bool
  private var hasScores: Bool { source.model == "llama" }

  init(_ source: GGUFTokenizer, file: String?) throws {
    self.source = source
    self.file = file
    isText = ["llama", "gemma4"].contains(source.model)
    guard isText || source.model == "gpt2" else {
      throw FurlError.input(
        file, "tokenizer.ggml.model", "\"\(source.model)\" is not supported yet",
        remedy: "supported: gemma4, gpt2, llama")
    }
  }

  private func error(_ key: String, _ problem: String, remedy: String? = nil) -> FurlError {
    .input(file, "tokenizer.ggml." + key, problem, remedy: remedy)
  }

  func parts() throws -> TokenizerParts {
    try checkSizes()
    let types = try self.types()
    let (table, added) = try pieces(types)
    let vocabulary = table.vocabulary(isText ? .marked : .bytes)
    let index = try PieceIndex(vocabulary, file: file)
    if !isText { return try byteParts(vocabulary, added, index) }
    return hasScores ? try textParts(vocabulary, added) : try mergedParts(vocabulary, added, index)
  }

  private func byteParts(
    _ vocabulary: Vocabulary, _ added: [AddedToken], _ index: PieceIndex
  ) throws -> TokenizerParts {
    let name = source.pre ?? "default"
    guard let cutting = GGUFPreTokenizer(name: name) else {
      throw error(
        "pre", "\"\(name)\" is not supported yet",
        remedy: "supported: " + GGUFPreTokenizer.names.joined(separator: ", "))
    }
    return TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(try merges(vocabulary, index), file: file), added: added,
      stages: try cutting.stages(), fallback: Fallback(separates: vocabulary.byteIDs().contains(MergeTable.none)),
      ignoresMerges: cutting.ignoresMerges, bosID: try id(source.bosID, "bos_token_id"),
      eosID: try id(source.eosID, "eos_token_id"), addsBOS: source.addsBOS ?? cutting.addsBOS,
      beginsBy: "tokenizer.ggml." + (source.addsBOS == nil ? "pre" : "add_bos_token"), ends: ends(vocabulary))
  }

  private func textParts(_ vocabulary: Vocabulary, _ added: [AddedToken]) throws -> TokenizerParts {
    guard vocabulary.longestPiece <= GGUFTokenizer.longestPiece else {
      throw error("tokens", "has a piece of more than \(GGUFTokenizer.longestPiece) bytes")
    }
    let prefixes = source.addsSpacePrefix ?? true
    // The ids that the first Llama has.
    func id(_ given: Int?, _ key: String, _ usual: Int) throws -> Int? {
      if given == nil, usual >= vocabulary.count { return nil }
      return try self.id(given ?? usual, key)
    }
    return TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable([], file: file), places: try places(), added: added,
      normalization: Normalization(prependsSpace: prefixes, marksSpaces: true), stages: [],
      fallback: Fallback(usesBytes: true, unknownID: try id(source.unknownID, "unknown_token_id", 0)),
      decoding: Decoding(joinsBytes: true, stripsSpace: prefixes),
      bosID: try id(source.bosID, "bos_token_id", 1), eosID: try id(source.eosID, "eos_token_id", 2),
      addsBOS: source.addsBOS ?? true,
      beginsBy: "tokenizer.ggml." + (source.addsBOS == nil ? "model" : "add_bos_token"), ends: ends(vocabulary))
  }

  /// Gemma 4's, of whole texts by merges, always behind a first token (`llama-vocab.cpp`). llama.cpp cuts texts at line ends,
  /// which no merge of such a model goes over.
  private func mergedParts(
    _ vocabulary: Vocabulary, _ added: [AddedToken], _ index: PieceIndex
  ) throws -> TokenizerParts {
    let bosID = try id(source.bosID, "bos_token_id")
    return TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(try merges(vocabulary, index), file: file), added: added,
      normalization: Normalization(marksSpaces: true), stages: [],
      fallback: Fallback(usesBytes: true, unknownID: try id(source.unknownID, "unknown_token_id")),
      decoding: Decoding(joinsBytes: true), bosID: bosID, eosID: try id(source.eosID, "eos_token_id"),
      addsBOS: bosID != nil, beginsBy: "tokenizer.ggml.model", ends: ends(vocabulary))
  }

  private func ends(_ vocabulary: Vocabulary) -> EndTokens {
    GGUFEnds.ends(count: source.tokens.count, given: source.endIDs) { id in
      vocabulary.kinds[id].contains(.present) ? vocabulary.spelling(id) : nil
    }
  }

  // MARK: Checks

  private func checkSizes() throws {
    let count = source.tokens.count
    guard count > 0 else { throw error("tokens", "is empty") }
    guard count <= Vocabulary.maximumCount else {
      throw error("tokens", "has \(count) pieces; at most \(Vocabulary.maximumCount) are supported")
    }
    guard source.tokens.reduce(0, { $0 + $1.count }) <= Vocabulary.maximumBytes else {
      throw error("tokens", "has more than \(Vocabulary.maximumBytes) bytes of pieces")
    }
    guard source.types.isEmpty || source.types.count == count else {
      throw error("token_type", "has \(source.types.count) types for \(count) tokens")
    }
    guard source.scores.isEmpty || source.scores.count == count else {
      throw error("scores", "has \(source.scores.count) scores for \(count) tokens")
    }
    guard source.merges.count <= MergeTable.maximumCount else { throw error("merges", "has too many merges") }
    if hasScores, source.scores.isEmpty { throw error("scores", "is missing") }
    if !hasScores, source.merges.isEmpty { throw error("merges", "is missing") }
  }

  private func id(_ id: Int?, _ key: String) throws -> Int? {
    guard let id else { return nil }
    guard id >= 0, id < source.tokens.count, !source.tokens[id].isEmpty else {
      // llama.cpp passes over one that is out of range; the file has no such token.
      if key == "eos_token_id", id < 0 || id >= source.tokens.count { return nil }
      throw error(key, "\(id) is not the id of a token")
    }
    return id
  }

  /// The type of every token; those of well-known names are control tokens, whatever the file says.
  private func types() throws -> [GGUFTokenizer.TokenType] {
    try source.tokens.indices.map { id in
      guard let given = source.types.isEmpty ? .normal : GGUFTokenizer.TokenType(rawValue: source.types[id]) else {
        throw error("token_type[\(id)]", "\(source.types[id]) is not a type", remedy: "types are 0 to 6")
      }
      return given != .userDefined && Self.controlNames.contains(source.tokens[id]) ? .control : given
    }
  }

  private static let controlNames: Set<[UInt8]> = Set(
    """
    <|fim_prefix|> <fim-prefix> <fim_prefix> <\u{FF5C}fim\u{2581}begin\u{FF5C}> <PRE> \u{2581}<PRE> <|code_prefix|>
    <|fim_suffix|> <fim-suffix> <fim_suffix> <\u{FF5C}fim\u{2581}hole\u{FF5C}> <SUF> \u{2581}<SUF> <|code_suffix|>
    <|fim_middle|> <fim-middle> <fim_middle> <\u{FF5C}fim\u{2581}end\u{FF5C}> <MID> \u{2581}<MID> <|code_middle|>
    <|fim_pad|> <fim-pad> <fim_pad> <PAD> [PAD] <|fim_repo|> <|repo_name|> <fim-repo> <REPO> <reponame> <|file_sep|>
    """.split(whereSeparator: { $0 == " " || $0 == "\n" }).map { Array($0.utf8) }
      + GGUFEnds.names.map { Array($0.utf8) })

  // MARK: Pieces

  private func pieces(_ types: [GGUFTokenizer.TokenType]) throws -> (PieceTable, [AddedToken]) {
    var table = PieceTable(count: source.tokens.count)
    var added: [AddedToken] = []
    var idOfPiece: [[UInt8]: Int] = [:]
    idOfPiece.reserveCapacity(source.tokens.count)
    let name = source.name?.lowercased() ?? ""
    let stripsRight = name.contains("phi-3") || name.contains("phi3")
    // An empty piece stands for nothing: its id is a gap.
    for (id, bytes) in source.tokens.enumerated() where !bytes.isEmpty {
      let key = "tokens[\(id)]"
      guard let text = String(validating: bytes, as: UTF8.self) else { throw error(key, "is not UTF-8") }
      if let other = idOfPiece.updateValue(id, forKey: bytes) {
        throw error(key, "\"\(text)\" is also the piece of \(other)")
      }
      var kind: PieceKind = .model
      let type = types[id]
      if type == .control || type == .unknown { kind.insert(.special) }
      if type == .control || type == .unknown || type == .userDefined {
        added.append(AddedToken(id: id, flags: stripsRight && !Self.neverStripping.contains(text) ? .stripsRight : []))
        // Their text is no spelling of bytes: it is what it is.
        if !isText, bytes.contains(where: { $0 >= 0x80 }) { kind.insert(.literal) }
      }
      try table.put(id, text, kind) { error(key, $0) }
    }
    return (table, added)
  }

  private static let neverStripping: Set<String> = ["<unk>", "<s>", "<|endoftext|>"]

  private func merges(_ vocabulary: Vocabulary, _ index: PieceIndex) throws -> [MergeTable.Merge] {
    // Of a pair that comes again llama.cpp keeps the first rank.
    var list = MergeList(vocabulary, index, repeated: .earlier, capacity: source.merges.count)
    for (line, bytes) in source.merges.enumerated() {
      let key = "merges[\(line)]"
      guard let text = String(validating: bytes, as: UTF8.self) else { throw error(key, "is not UTF-8") }
      let scalars = text.unicodeScalars
      guard let space = scalars.dropFirst().firstIndex(of: " "), scalars.index(after: space) < scalars.endIndex else {
        throw error(key, "two pieces are expected")
      }
      try list.add(String(scalars[..<space]), String(scalars[scalars.index(after: space)...])) { error(key, $0) }
    }
    return list.merges
  }

  /// The place of every token by its score, equal ones at one place.
  private func places() throws -> [UInt32] {
    if let bad = source.scores.firstIndex(where: \.isNaN) { throw error("scores[\(bad)]", "is not a number") }
    let order = source.scores.indices.sorted { source.scores[$0] > source.scores[$1] }
    var places = [UInt32](repeating: 0, count: source.scores.count)
    var place: UInt32 = 0
    for (step, id) in order.enumerated() {
      if step > 0, source.scores[id] != source.scores[order[step - 1]] { place += 1 }
      places[id] = place
    }
    return places
  }
}
