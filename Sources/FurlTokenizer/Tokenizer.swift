import FurlTensor

/// A byte-level BPE tokenizer.
///
/// Text becomes ids as Hugging Face's `tokenizers` does it, and ids become text again. The vocabulary and the
/// merges lie in flat arrays; a tokenizer never changes and can be shared between threads.
public final class Tokenizer: Sendable {
  let parts: TokenizerParts
  /// The id of every byte, or ``MergeTable/none``.
  let byteIDs: [UInt32]
  /// Added tokens that are looked for in the text as it stands.
  let plainTokens: AddedTokenMatcher
  /// Added tokens that are looked for in the normalized text.
  let normalizedTokens: AddedTokenMatcher
  /// Finds whole words, where merges do not decide about them.
  let wholeWords: PieceIndex?

  /// Ids are in 0..<vocabularySize. An id in this range may have no piece.
  public let vocabularySize: Int
  /// The token that begins a text, if the tokenizer names one.
  public let bosID: Int?
  /// The token that ends a text, if the tokenizer names one.
  public let eosID: Int?
  /// Whether the tokenizer's configuration puts ``bosID`` before a text.
  public let addsBOS: Bool

  /// Whether the token that begins a text is put before it.
  public enum BOS: String, Sendable, CaseIterable {
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
    var byteIDs = [UInt32](repeating: MergeTable.none, count: 256)
    for id in (0..<parts.vocabulary.count).reversed() {
      let kind = parts.vocabulary.kinds[id]
      let range = parts.vocabulary.range(id)
      if range.count == 1, kind.contains(.model), !kind.contains(.literal) {
        byteIDs[Int(parts.vocabulary.bytes[range.lowerBound])] = UInt32(id)
      }
    }
    self.byteIDs = byteIDs
    let added = parts.added.map { (token: $0, text: parts.text(of: $0)) }
    plainTokens = AddedTokenMatcher(added.filter { !$0.token.flags.contains(.normalized) })
    normalizedTokens = AddedTokenMatcher(added.filter { $0.token.flags.contains(.normalized) })
    wholeWords = parts.ignoresMerges ? try PieceIndex(parts.vocabulary, file: file) : nil
  }

  /// Reads `tokenizer.json` and, where there is one, `tokenizer_config.json`.
  ///
  /// - Throws: ``FurlError`` that names the file and the key, for damaged files and for every component that
  ///   cannot be run exactly.
  public convenience init(checkpoint folder: String) throws {
    let path = folder + "/tokenizer.json"
    try self.init(try TokenizerFile.read(folder: folder), file: path)
  }

  /// Reads Furl's own form, the one that ``serialized()`` gives.
  ///
  /// - Parameter file: the name that errors carry.
  /// - Throws: ``FurlError`` that names what is wrong with the bytes.
  public convenience init(serialized bytes: [UInt8], file: String?) throws {
    try self.init(try SerializedReader.read(bytes, file: file), file: file)
  }

  /// The tokenizer in Furl's own form: the same bytes for the same tokenizer, little-endian, with a version.
  public func serialized() -> [UInt8] { SerializedWriter.write(parts) }

  /// The ids of a text.
  ///
  /// - Parameter bos: whether a token goes before the text. Tokens that a template puts after a text are
  ///   never added: a prompt is to be continued.
  public func encode(_ text: String, bos: BOS = .never) -> [Int] {
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
  public func decode(_ ids: [Int], skippingSpecial: Bool = false) -> String {
    var bytes: [UInt8] = []
    for id in ids { append(id, to: &bytes, skippingSpecial: skippingSpecial) }
    return String(decoding: bytes, as: UTF8.self)
  }

  func append(_ id: Int, to bytes: inout [UInt8], skippingSpecial: Bool) {
    guard has(id), !(skippingSpecial && isSpecial(id)) else { return }
    bytes += parts.vocabulary.piece(id)
  }

  private func has(_ id: Int) -> Bool { id >= 0 && id < vocabularySize }

  /// A piece as `tokenizer.json` spells it, for display; empty for an id without a piece.
  public func piece(_ id: Int) -> String { has(id) ? parts.vocabulary.spelling(id) : "" }

  /// Whether an id is a special token: one that is no part of a text, such as its end.
  public func isSpecial(_ id: Int) -> Bool { has(id) && parts.vocabulary.kinds[id].contains(.special) }

  /// The id of a piece, spelled as in `tokenizer.json`.
  public func id(of piece: String) -> Int? {
    let (bytes, isLiteral) = ByteAlphabet.bytes(of: piece)
    let vocabulary = parts.vocabulary
    return (0..<vocabulary.count).first {
      vocabulary.range($0).count == bytes.count && vocabulary.kinds[$0].contains(.present)
        && vocabulary.kinds[$0].contains(.literal) == isLiteral && vocabulary.piece($0).elementsEqual(bytes)
    }
  }
}
