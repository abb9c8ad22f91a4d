import FurlBase

/// Names tensors: by role (`mlp.down`), by role in a range of blocks (`blocks.0-1.mlp.down`), or by a glob on their
/// names (`blocks.*.attention.*`).
package struct Selector: Sendable, Hashable {
  private enum SelectorKind: Sendable, Hashable {
    case role(TensorRole, ClosedRange<Int>?)
    case glob([Character])
  }

  private let kind: SelectorKind
  /// What a recipe says.
  package let text: String

  init(_ role: TensorRole) { (kind, text) = (.role(role, nil), role.rawValue) }

  /// Nil when the text names no role and is neither a glob nor like a tensor's name.
  init?(_ text: String) {
    self.text = text
    if text.contains("*") || text.contains("?") {
      kind = .glob(Array(text))
      return
    }
    if let role = TensorRole(rawValue: text) {
      kind = .role(role, nil)
      return
    }
    let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    if parts.count == 3, parts[0] == "blocks", let role = TensorRole(rawValue: String(parts[2])) {
      let bounds = parts[1].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      switch (bounds.count, bounds[0], bounds.last ?? nil) {
      case (1, let only?, _): kind = .role(role, only...only)
      case (2, let first?, let last?) where first >= 0 && first <= last: kind = .role(role, first...last)
      default: return nil
      }
      return
    }
    // An exact name is a glob without stars: the selector that matches nothing is found by its user.
    guard text.hasPrefix("blocks.") else { return nil }
    kind = .glob(Array(text))
  }

  /// The last block that a range names; nil without a range.
  package var lastBlock: Int? { if case .role(_, let range?) = kind { range.upperBound } else { nil } }

  package func matches(name: String, role: TensorRole, block: Int?) -> Bool {
    switch kind {
    case .role(let wanted, let range):
      return role == wanted && (range == nil || block.map { range?.contains($0) ?? true } ?? false)
    case .glob(let pattern): return Selector.glob(pattern, Array(name))
    }
  }

  /// `*` is any run of characters, `?` any one; linear time but for the last star.
  static func glob(_ pattern: [Character], _ text: [Character]) -> Bool {
    var p = 0
    var t = 0
    var star: (pattern: Int, text: Int)?
    while t < text.count {
      if p < pattern.count, pattern[p] == "*" {
        star = (p, t)
        p += 1
      } else if p < pattern.count, pattern[p] == "?" || pattern[p] == text[t] {
        p += 1
        t += 1
      } else if let last = star {
        star = (last.pattern, last.text + 1)
        p = last.pattern + 1
        t = last.text + 1
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == "*" }
  }
}

extension Selector {
  /// What is to be done about a text that names nothing: the role that was probably meant, and all of them.
  package static func remedy(for text: String) -> String {
    let parts = text.split(separator: ".", maxSplits: 2)
    let role = parts.count == 3 && parts[0] == "blocks" ? String(parts[2]) : text
    return Suggestion.remedy(for: role, among: TensorRole.allCases.map(\.rawValue), list: "roles")
  }

  fileprivate static func found(_ text: String, _ reader: DocumentReader, _ key: String) throws -> Selector {
    guard let selector = Selector(text) else {
      throw reader.error(key, "\"\(text)\" is not a role or a name", remedy: remedy(for: text))
    }
    return selector
  }
}

extension ValueCodec<Selector> {
  static var selector: ValueCodec {
    ValueCodec<String>.text.mapped({ try Selector.found($0, $1, $2) }, back: \.text)
  }
}

extension ValueCodec<[Selector]> {
  static var selectors: ValueCodec {
    ValueCodec<[String]>.texts.mapped(
      { texts, reader, key in try texts.map { try Selector.found($0, reader, key) } }, back: { $0.map(\.text) })
  }
}
