extension Tokenizer {
  /// How many bytes of text a token stands for; 0 for an id without a piece.
  ///
  /// What the tokens of a text stand for adds up to the text's bytes, but for the space that a SentencePiece tokenizer
  /// puts before a text.
  package func byteCount(of id: Int) -> Int {
    let vocabulary = parts.vocabulary
    guard id >= 0, id < vocabulary.count, vocabulary.kinds[id].contains(.present) else { return 0 }
    let piece = vocabulary.piece(id)
    if vocabulary.alphabet == .bytes { return piece.count }
    if vocabulary.kinds[id].contains(.literal) {
      return SpaceMark.toSpaces(vocabulary.bytes, vocabulary.range(id)).count
    }
    return parts.decoding.joinsBytes && BytePiece.byte(of: piece) != nil ? 1 : piece.count
  }

  /// Whether no id stands for something else than it does in another tokenizer; an id without a piece stands for nothing.
  package func hasPieces(of other: Tokenizer) -> Bool {
    (0..<min(vocabularySize, other.vocabularySize)).allSatisfy { id in
      let (own, piece) = (parts.vocabulary.piece(id), other.parts.vocabulary.piece(id))
      return own == piece || own.isEmpty || piece.isEmpty || self.piece(id) == other.piece(id)
    }
  }
}
