import FurlSpec

/// What a tokenizer is made of, whichever form it was read from.
struct TokenizerParts: Sendable {
  var vocabulary: Vocabulary
  var merges: MergeTable
  /// For a model that merges by scores instead: the place of every id, 0 the best. Empty for all others.
  var places: [UInt32] = []
  var added: [AddedToken]
  var normalization = Normalization()
  var stages: [Stage]
  var fallback = Fallback()
  var decoding = Decoding()
  /// Whether a word that is a piece is not merged but taken as that.
  var ignoresMerges = false
  var bosID: Int?
  var eosID: Int?
  var addsBOS = false
  /// What says whether a token begins a text: a file and its key.
  var beginsBy: String?
  /// The tokens at which generation ends, as far as the tokenizer's own files name them.
  var ends = EndTokens()

  /// The text of an added token.
  func text(of token: AddedToken) -> [UInt8] { Array(vocabulary.spelling(token.id).utf8) }
}

/// What becomes of a character, or of a byte, that has no piece.
struct Fallback: Sendable, Hashable {
  /// A character is spelled by the pieces of its bytes, `<0xE2>`.
  var usesBytes = false
  /// The piece that stands for a character otherwise; without one it is left out.
  var unknownID: Int?
  /// Whether that piece stands for as many in a row as there are.
  var fusesUnknown = false
  /// Whether what is left out still keeps its neighbours apart.
  var separates = false
}

/// How pieces become text, beside their bytes.
struct Decoding: Sendable, Hashable {
  /// Pieces such as `<0xE2>` stand for a byte.
  var joinsBytes = false
  /// A space at the beginning of a text is the one that encoding put there.
  var stripsSpace = false
}
