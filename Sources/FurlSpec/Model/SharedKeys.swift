// Blocks that take keys and values from earlier ones.

extension BlockSpec {
  /// Whether its attention takes keys and values from an earlier block.
  package var takesKeys: Bool { attention?.keySource == .earlier }
}

extension ModelSpec {
  /// What keys and values must be alike in to be taken by another block.
  private struct KeyKind: Hashable {
    let kvHeads: Int
    let headSize: Int
    let window: Int?

    init(_ attention: AttentionSpec) {
      (kvHeads, headSize, window) = (attention.kvHeads, attention.headSize, attention.window)
    }
  }

  /// For each block the one whose keys and values its attention sees: itself, or the last one before it that makes its own
  /// of the same kind; nil: there is none, or the block has no such attention.
  package var keyBlocks: [Int?] {
    var last: [KeyKind: Int] = [:]
    return blocks.enumerated().map { index, block in
      guard let attention = block.attention else { return nil }
      let kind = KeyKind(attention)
      if attention.keySource != .earlier { last[kind] = index }
      return last[kind]
    }
  }

  /// The blocks that see the same keys and values, where several do: the one that makes them first.
  package var keySharers: [[Int]] {
    let sources = keyBlocks
    return sharedKeyBlocks.sorted().map { source in blocks.indices.filter { sources[$0] == source } }
  }

  /// The blocks whose keys and values later ones take.
  package var sharedKeyBlocks: Set<Int> {
    Set(zip(blocks, keyBlocks).compactMap { $0.takesKeys ? $1 : nil })
  }
}
