extension Tokenizer {
  /// Decodes ids as they come, holding back bytes that may still become a character.
  ///
  /// What ``push(_:)`` and ``finish()`` give, joined, equals ``Tokenizer/decode(_:skippingSpecial:)`` of all ids.
  public struct StreamDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skippingSpecial: Bool
    private var pending: [UInt8] = []

    /// - Parameter skippingSpecial: leave special tokens out.
    public init(_ tokenizer: Tokenizer, skippingSpecial: Bool) {
      self.tokenizer = tokenizer
      self.skippingSpecial = skippingSpecial
    }

    /// The text that an id completes; often empty in the middle of a character.
    public mutating func push(_ id: Int) -> String {
      tokenizer.append(id, to: &pending, skippingSpecial: skippingSpecial)
      let tail = UTF8Text.incompleteTail(pending)
      let text = String(decoding: pending[..<tail], as: UTF8.self)
      pending.removeFirst(tail)
      return text
    }

    /// What is left: U+FFFD for a character that never became whole.
    public mutating func finish() -> String {
      let text = String(decoding: pending, as: UTF8.self)
      pending.removeAll()
      return text
    }
  }
}
