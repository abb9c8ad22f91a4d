extension Session {
  /// Tokens that continue one slot.
  package struct Segment: Sendable {
    /// Which of a segment's positions logits are computed for.
    package enum LogitRows: Sendable, Equatable {
      case none, last, all
      /// So many at the end.
      case tail(Int)
    }

    package let slot: Int
    package let ids: [Int]
    package let logits: LogitRows
    /// Whether the tokens are what a model has chosen, or may choose, and no prompt: ``ComputeContext/forGenerated``.
    package let isGenerated: Bool

    package init(slot: Int, ids: [Int], logits: LogitRows, isGenerated: Bool = false) {
      self.slot = slot
      self.ids = ids
      self.logits = logits
      self.isGenerated = isGenerated
    }
  }
}
