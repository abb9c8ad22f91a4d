/// What a tokenizer is made of, whichever form it was read from.
struct TokenizerParts: Sendable {
  var vocabulary: Vocabulary
  var merges: MergeTable
  var added: [AddedToken]
  var stages: [Stage]
  /// Whether text is brought into Normalization Form C.
  var isNormalizing: Bool
  /// Whether a word that is a piece is not merged but taken as that.
  var ignoresMerges: Bool
  var bosID: Int?
  var eosID: Int?
  var addsBOS: Bool

  /// The text of an added token.
  func text(of token: AddedToken) -> [UInt8] { Array(vocabulary.spelling(token.id).utf8) }
}
