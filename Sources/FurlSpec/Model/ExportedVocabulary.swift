/// A tokenizer as GGUF files describe it.
package struct ExportedVocabulary: Sendable {
  /// What llama.cpp does with a token.
  package enum VocabularyKind: Int32, Sendable {
    case normal = 1
    case unknown = 2
    /// Not a part of any text.
    case control = 3
    /// Found in a text before anything else happens to it.
    case userDefined = 4
    case unused = 5
    /// Stands for one byte.
    case byte = 6
  }

  /// llama.cpp's algorithm: `gpt2` (byte-level BPE), `llama` (SentencePiece).
  package var model: String
  /// llama.cpp's name for the way a text is cut into words.
  package var preTokenizer: String
  /// By id. There may be fewer than the model has rows.
  package var tokens: [String]
  package var kinds: [VocabularyKind]
  /// By id; for `llama` only.
  package var scores: [Float]?
  /// `left right`, by rank.
  package var merges: [String]
  package var bosID: Int?
  package var eosID: Int?
  /// Further ends of texts.
  package var eotID: Int?
  package var eomID: Int?
  package var unknownID: Int?
  package var addsBOS: Bool
  /// Whether a space goes before a text; for `llama` only.
  package var addsSpace: Bool?
  /// What llama.cpp does otherwise with this tokenizer.
  package var notes: [String]

  package init(
    model: String, preTokenizer: String, tokens: [String], kinds: [VocabularyKind], scores: [Float]? = nil,
    merges: [String],
    bosID: Int?, eosID: Int?, unknownID: Int? = nil, addsBOS: Bool, addsSpace: Bool? = nil, notes: [String] = []
  ) {
    self.model = model
    self.preTokenizer = preTokenizer
    self.tokens = tokens
    self.kinds = kinds
    self.scores = scores
    self.merges = merges
    self.bosID = bosID
    self.eosID = eosID
    self.unknownID = unknownID
    self.addsBOS = addsBOS
    self.addsSpace = addsSpace
    self.notes = notes
  }
}
