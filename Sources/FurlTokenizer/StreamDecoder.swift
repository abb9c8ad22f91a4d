extension Tokenizer {
  /// Decodes ids as they come, holding back bytes that may still become a character.
  ///
  /// What ``push(_:)`` and ``finish()`` give, joined, equals ``Tokenizer/decode(_:skippingSpecial:)`` of all ids.
  /// Of a text that continues another, the space stays that decoding takes away at the beginning of a text.
  package struct StreamDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skippingSpecial: Bool
    private var pieces: PieceDecoder
    private var pending: [UInt8] = []

    /// - Parameters:
    ///   - skippingSpecial: leave special tokens out.
    ///   - continues: whether the ids go on from a text before them, such as a prompt.
    package init(_ tokenizer: Tokenizer, skippingSpecial: Bool, continues: Bool = false) {
      self.tokenizer = tokenizer
      self.skippingSpecial = skippingSpecial
      pieces = PieceDecoder(tokenizer.parts, continues: continues)
    }

    /// The text that an id completes; often empty in the middle of a character.
    package mutating func push(_ id: Int) -> String {
      if skippingSpecial && tokenizer.isSpecial(id) { return "" }
      pieces.push(id, tokenizer.parts, to: &pending)
      let tail = UTF8Text.incompleteTail(pending)
      let text = String(decoding: pending[..<tail], as: UTF8.self)
      pending.removeFirst(tail)
      return text
    }

    /// What is left: U+FFFD for a character that never became whole.
    package mutating func finish() -> String {
      pieces.finish(to: &pending)
      let text = String(decoding: pending, as: UTF8.self)
      pending.removeAll()
      return text
    }
  }
}
