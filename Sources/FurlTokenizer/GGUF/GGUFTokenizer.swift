/// What a GGUF file says about its tokenizer, under `tokenizer.ggml.`.
///
/// The keys and their meaning: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and `llama-vocab.cpp` of
/// llama.cpp.
package struct GGUFTokenizer: Sendable {
  /// Longest piece, in bytes, of a model that merges by scores: every candidate costs its length.
  static let longestPiece = 4096

  /// The types of tokens.
  enum TokenType: Int {
    case undefined, normal, unknown, control, userDefined, unused, byte
  }

  /// `gpt2` (bytes, merges), `llama` (text, scores) or `gemma4` (text, merges).
  package var model: String
  /// How text is cut into words, by the name of a model family; only of `gpt2`.
  package var pre: String?
  /// The pieces by id: in the byte alphabet, or text with marks for spaces.
  package var tokens: [[UInt8]]
  /// The types by id; empty when the file has none.
  package var types: [Int]
  /// The scores by id, the best the highest; empty when the file has none.
  package var scores: [Float]
  /// Two pieces each, with a space between them, by rank.
  package var merges: [[UInt8]]
  package var bosID: Int?
  package var eosID: Int?
  /// Ids under other keys at which llama.cpp ends a text, by their keys: `eot_token_id`.
  package var endIDs: [String: Int]
  package var unknownID: Int?
  package var addsBOS: Bool?
  package var addsSpacePrefix: Bool?
  /// The model's name, `general.name`: of one family the special tokens take in the white space after them, which
  /// nothing else in the file says.
  package var name: String?

  package init(
    model: String, pre: String? = nil, tokens: [[UInt8]], types: [Int] = [], scores: [Float] = [],
    merges: [[UInt8]] = [], bosID: Int? = nil, eosID: Int? = nil, endIDs: [String: Int] = [:], unknownID: Int? = nil,
    addsBOS: Bool? = nil, addsSpacePrefix: Bool? = nil, name: String? = nil
  ) {
    self.model = model
    self.pre = pre
    self.tokens = tokens
    self.types = types
    self.scores = scores
    self.merges = merges
    self.bosID = bosID
    self.eosID = eosID
    self.endIDs = endIDs
    self.unknownID = unknownID
    self.addsBOS = addsBOS
    self.addsSpacePrefix = addsSpacePrefix
    self.name = name
  }
}

extension Tokenizer {
  /// Makes the tokenizer of a GGUF file. Its ids are llama.cpp's, with the text of special tokens taken as those.
  ///
  /// - Throws: ``FurlError`` that names the key, for vocabularies that are damaged or cannot be run exactly.
  package convenience init(_ vocabulary: GGUFTokenizer, file: String?) throws {
    try self.init(try GGUFTokenizerReader(vocabulary, file: file).parts(), file: file)
  }
}
