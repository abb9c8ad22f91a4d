package import FurlBase

/// What the keys of a document mean, key by key, in the words of its declaration.
package enum DocumentExplanation {
  /// One line a key, indented as the document is: `weights: int4  # The codes of the weights`.
  package static func lines(_ document: JSON, of outline: DeclarationOutline, depth: Int = 0) -> [String] {
    guard case .object(let members) = document else { return [] }
    return members.flatMap { member -> [String] in
      guard member.value != .null, let key = outline.keys.first(where: { $0.key == member.key }) else { return [] }
      let indent = String(repeating: " ", count: 2 * depth)
      let mappings = mappings(in: member.value)
      let value = mappings.isEmpty ? " \(plain(member.value))" : ""
      var lines = ["\(indent)\(member.key):\(value)  # \(key.line)"]
      for mapping in mappings {
        guard let inner = declaration(of: mapping, among: key.value.inner) else { continue }
        lines += DocumentExplanation.lines(mapping, of: inner, depth: depth + 1)
      }
      return lines
    }
  }

  private static func mappings(in value: JSON) -> [JSON] {
    switch value {
    case .object: [value]
    case .array(let elements): elements.flatMap(mappings)
    default: []
    }
  }

  /// The declaration that knows most of a mapping's keys.
  private static func declaration(of mapping: JSON, among outlines: [DeclarationOutline]) -> DeclarationOutline? {
    guard case .object(let members) = mapping else { return nil }
    func known(_ outline: DeclarationOutline) -> Int {
      let keys = Set(outline.keys.map(\.key))
      return members.count { keys.contains($0.key) }
    }
    return outlines.max { known($0) < known($1) }
  }

  private static func plain(_ value: JSON) -> String { value.string ?? value.compactText }
}
