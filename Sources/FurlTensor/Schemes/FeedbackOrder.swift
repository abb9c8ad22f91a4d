/// In which order columns get their codes when errors are fed back.
package enum FeedbackOrder: String, Sendable, Hashable, CaseIterable {
  /// From the first to the last.
  case natural
  /// Those whose inputs are largest first: blocks by the sum over their columns, and columns within their block.
  case activation
}
