import FurlBase
package import FurlSpec

/// A BPE tokenizer: over bytes, as GPT-2's and its successors', or over whole texts, as SentencePiece's.
///
/// Text becomes ids as Hugging Face's `tokenizers` does it (or llama.cpp, for a vocabulary from a GGUF file), and
/// ids become text again. The vocabulary and the merges lie in flat arrays; a tokenizer never changes and can be
/// shared between threads.
package final class Tokenizer: Sendable {
  let parts: TokenizerParts
  /// The id of every byte, or ``MergeTable/none``.
  let byteIDs: [UInt32]
  /// Added tokens that are looked for in the text as it stands.
  let plainTokens: AddedTokenMatcher
  /// Added tokens that are looked for in the normalized text.
  let normalizedTokens: AddedTokenMatcher
  /// Finds whole words, where merges do not decide about them.
  let wholeWords: PieceIndex?
  /// For a model of whole texts.
  let characters: CharacterTable?
  /// Bytes of the longest piece.
  let longestPiece: Int

  /// Ids are in 0..<vocabularySize. An id in this range may have no piece.
  package let vocabularySize: Int
  /// The token that begins a text, if the tokenizer names one.
  package let bosID: Int?
  /// The token that ends a text, if the tokenizer names one.
  package let eosID: Int?
  /// The tokens at which generation ends: ``eosID``, and those that a model's files name beside it.
  package let ends: EndTokens
  /// Whether the tokenizer's configuration puts ``bosID`` before a text.
  package let addsBOS: Bool
  /// What says so: a file and its key; nil for a tokenizer in Furl's own form.
  package let beginsBy: String?

  /// Whether the token that begins a text is put before it.
  package enum BOS: String, Sendable, CaseIterable {
    /// As the tokenizer's configuration says, unless the ids begin with it anyway.
    case auto
    /// Before every text, if the tokenizer names such a token.
    case always
    /// No token that is not in the text.
    case never
  }

  init(_ parts: TokenizerParts, file: String?) throws {
    self.parts = parts
    vocabularySize = parts.vocabulary.count
    bosID = parts.bosID
    eosID = parts.eosID
    addsBOS = parts.addsBOS
    beginsBy = parts.beginsBy
    ends = parts.eosID.map { EndTokens([$0], from: "tokenizer").union(parts.ends) } ?? parts.ends
    byteIDs = parts.vocabulary.byteIDs()
    let added = parts.added.map { (token: $0, text: parts.text(of: $0)) }
    plainTokens = AddedTokenMatcher(added.filter { !$0.token.flags.contains(.normalized) })
    let normalized = added.filter { $0.token.flags.contains(.normalized) }.map {
      (token: $0.token, text: parts.normalization.apply($0.text, 0..<$0.text.count))
    }
    normalizedTokens = AddedTokenMatcher(normalized, hasMarks: parts.normalization.marksSpaces)
    let isMarked = parts.vocabulary.alphabet == .marked
    let index = isMarked || parts.ignoresMerges ? try PieceIndex(parts.vocabulary, file: file) : nil
    wholeWords = parts.ignoresMerges ? index : nil
    characters = isMarked ? index.map { CharacterTable(parts, $0) } : nil
    longestPiece = parts.vocabulary.longestPiece
  }

  private init(_ other: Tokenizer, ends: EndTokens) {
    parts = other.parts
    byteIDs = other.byteIDs
    plainTokens = other.plainTokens
    normalizedTokens = other.normalizedTokens
    wholeWords = other.wholeWords
    characters = other.characters
    longestPiece = other.longestPiece
    vocabularySize = other.vocabularySize
    bosID = other.bosID
    eosID = other.eosID
    self.ends = ends
    addsBOS = other.addsBOS
    beginsBy = other.beginsBy
  }

  /// The same tokenizer for a model that ends its texts at other tokens.
  package func ending(at ends: EndTokens) -> Tokenizer { ends == self.ends ? self : Tokenizer(self, ends: ends) }

  /// Reads `tokenizer.json` and what the files beside it add (`tokenizer_config.json`, `special_tokens_map.json`,
  /// `added_tokens.json`); without it, `vocab.json` with `merges.txt`, or `tokenizer.model`, and the files beside them.
  ///
  /// - Throws: ``FurlError`` that names the file and the key, for damaged files and for every component that
  ///   cannot be run exactly.
  package convenience init(checkpoint folder: String) throws {
    let path = folder + "/tokenizer.json"
    if FileManager.default.fileExists(atPath: path) {
      try self.init(try TokenizerFile.read(path: path), file: path)
    } else if VocabularyFiles.exist(in: folder) {
      try self.init(try VocabularyFiles.read(folder: folder), file: folder + "/vocab.json")
    } else if FileManager.default.fileExists(atPath: folder + "/tokenizer.model") {
      let path = folder + "/tokenizer.model"
      try self.init(try SentencePieceFile.read(path: path), file: path)
    } else {
      throw FurlError.input(
        folder, "has no tokenizer",
        remedy: "put tokenizer.json there, or vocab.json with merges.txt, or tokenizer.model")
    }
  }

  /// Reads one file, `tokenizer.json` or `tokenizer.model`, and what lies beside it.
  ///
  /// - Throws: ``FurlError`` that names the file and the key.
  package convenience init(file path: String) throws {
    if path.hasSuffix(".model") {
      try self.init(try SentencePieceFile.read(path: path), file: path)
    } else {
      try self.init(try TokenizerFile.read(path: path), file: path)
    }
  }

  /// Reads Furl's own form, the one that ``serialized()`` gives.
  ///
  /// - Parameter file: the name that errors carry.
  /// - Throws: ``FurlError`` that names what is wrong with the bytes.
  package convenience init(serialized bytes: [UInt8], file: String?) throws {
    try self.init(try SerializedReader.read(bytes, file: file), file: file)
  }

  /// The tokenizer in Furl's own form: the same bytes for the same tokenizer, little-endian, with a version.
  package func serialized() -> [UInt8] { SerializedWriter.write(parts) }

  /// The ids of a text.
  ///
  /// - Parameter bos: whether a token goes before the text. Tokens that a template puts after a text are
  ///   never added: a prompt is to be continued.
  package func encode(_ text: String, bos: BOS = .never) -> [Int] {
    let bytes = Array(text.utf8)
    var encoder = Encoder(self, bytes: bytes.count)
    encoder.add(bytes)
    let ids = encoder.ids
    guard let bosID else { return ids }
    switch bos {
    case .never: return ids
    case .always: return [bosID] + ids
    case .auto: return addsBOS && ids.first != bosID ? [bosID] + ids : ids
    }
  }

  /// The text of ids. Ids without a piece are left out; bytes that are no UTF-8 become U+FFFD.
  package func decode(_ ids: [Int], skippingSpecial: Bool = false) -> String {
    var decoder = PieceDecoder(parts)
    var bytes: [UInt8] = []
    for id in ids where !(skippingSpecial && isSpecial(id)) { decoder.push(id, parts, to: &bytes) }
    decoder.finish(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Says which token has no row in a model's embedding. A vocabulary may have more tokens than a model has rows: those
  /// without one are refused where a text needs them.
  ///
  /// - Parameter rows: of the model.
  /// - Throws: ``FurlError`` of kind `input` that names the first such token and its text.
  package func check(_ ids: [Int], rows: Int, file: String?) throws {
    guard vocabularySize > rows, let id = ids.first(where: { $0 >= rows }) else { return }
    throw FurlError.input(
      file, "the text needs the token \(id), \"\(piece(id))\", and the model has rows for tokens below \(rows) only",
      remedy: "leave it out of the text, or use a model that was trained with it")
  }

  /// The ids of ``ends``, ascending.
  package var endIDs: [Int] { ends.ids }

  private func has(_ id: Int) -> Bool { id >= 0 && id < vocabularySize }

  /// A piece as `tokenizer.json` spells it, for display; empty for an id without a piece.
  package func piece(_ id: Int) -> String { has(id) ? parts.vocabulary.spelling(id) : "" }

  /// Whether an id is a special token: one that is no part of a text, such as its end.
  package func isSpecial(_ id: Int) -> Bool { has(id) && parts.vocabulary.kinds[id].contains(.special) }

  /// The id of a piece, spelled as in `tokenizer.json`.
  package func id(of piece: String) -> Int? {
    let (bytes, isLiteral) = parts.vocabulary.alphabet.bytes(of: piece)
    let vocabulary = parts.vocabulary
    return (0..<vocabulary.count).first {
      vocabulary.range($0).count == bytes.count && vocabulary.kinds[$0].contains(.present)
        && vocabulary.kinds[$0].contains(.literal) == isLiteral && vocabulary.piece($0).elementsEqual(bytes)
    }
  }
}
