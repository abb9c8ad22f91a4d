package import FurlBase

/// A page of docs/reference: an example, and a table of the keys of every mapping of a document, as their declarations say.
package struct ReferencePage {
  private let title: String
  private let example: String
  private let outline: DeclarationOutline

  /// - Parameter example: YAML, which the page opens with.
  package init(_ title: String, example: String, _ outline: DeclarationOutline) {
    self.title = title
    self.example = example
    self.outline = outline
  }

  package var text: String {
    """
    # \(title)

    \(outline.line)

    ```yaml
    \(example.trimmed)
    ```

    A key that is missing, or null, has its default; one that is not known is an error, as is a value out of range.
    `schemas/\(outline.name).schema.json` says the same for editors. This page is written by a test, from what the reader declares.

    """ + outline.all.map(Self.section).joined()
  }

  private static func section(_ outline: DeclarationOutline) -> String {
    """

    ## \(outline.name)

    \(outline.line)

    | key | value | default | meaning |
    | --- | --- | --- | --- |
    \(outline.keys.map(row).joined(separator: "\n"))

    """ + (outline.rules.isEmpty ? "" : "\n" + outline.rules.map { "- \($0)\n" }.joined())
  }

  private static func row(_ key: KeyOutline) -> String {
    let value = ([words(key.value.schema)] + [key.value.unit].compactMap { $0 }).joined(separator: " ")
    let standard =
      key.isRequired ? "needed" : key.standardWords ?? key.standard.map(code) ?? "none"
    let meaning = ([key.line] + key.conditions).joined(separator: " ")
    return "| `\(key.key)` | "
      + [value, standard, meaning].map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |"
  }

  /// What a schema allows.
  private static func words(_ schema: JSON) -> String {
    if let value = schema["const"] { return code(value) }
    if let values = schema["enum"]?.array { return list(values.map(code)) }
    if let name = schema["$ref"]?.string?.split(separator: "/").last { return "[\(name)](#\(name))" }
    if let alternatives = schema["anyOf"]?.array {
      return list(alternatives.filter { $0["type"] != "null" }.map(words))
    }
    if let types = schema["type"]?.array {
      return list(types.compactMap(\.string).map { $0 == "string" ? "text" : $0 })
    }
    switch schema["type"]?.string {
    case "string":
      if schema["pattern"]?.string == ByteSize.pattern { return "a size as `7.5 MB`" }
      return schema["pattern"]?.string.map { "text `\($0)`" } ?? "text"
    case "boolean": return "`true` or `false`"
    case "array": return "list of " + words(schema["items"] ?? .null)
    default: return range(schema)
    }
  }

  private static func range(_ schema: JSON) -> String {
    let kind = schema["type"] == "integer" ? "whole number" : "number"
    guard let least = schema["minimum"].map(number) else { return kind }
    return schema["maximum"].map { "\(least) to \(number($0))" } ?? "\(kind) of at least \(least)"
  }

  private static func number(_ value: JSON) -> String {
    value.compactText.hasSuffix(".0") ? String(value.compactText.dropLast(2)) : value.compactText
  }

  private static func code(_ value: JSON) -> String { "`\(value.string ?? value.compactText)`" }

  private static func list(_ words: [String]) -> String {
    words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
  }
}
