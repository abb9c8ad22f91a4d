package import FurlSpec

extension ModelSpec {
  /// What the blocks' widths are where they differ, and where linear maps stand in for blocks; nil for a model as it was
  /// trained.
  package var widthsText: String? {
    func range(_ values: [Int]) -> String {
      let (least, most) = (values.min() ?? 0, values.max() ?? 0)
      return least == most ? "\(least)" : "\(least) to \(most)"
    }
    let blocks = blocks.map(\.widths)
    var parts: [String] = []
    if Set(blocks.map { [$0.heads, $0.kvHeads, $0.headSize, $0.mlpSize] }).count > 1 {
      parts.append(
        "\(range(blocks.map(\.heads))) heads on \(range(blocks.map(\.kvHeads))) keys, "
          + "\(range(blocks.map(\.mlpSize))) MLP neurons")
    }
    if !patches.isEmpty {
      let places = patches.sorted().map { $0 == blocks.count ? "behind the last block" : "before block \($0)" }
      parts.append("a linear map \(places.joined(separator: ", "))")
    }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }
}
