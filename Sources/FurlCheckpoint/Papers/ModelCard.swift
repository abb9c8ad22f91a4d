import FurlBase
import FurlSpec

/// A model's card: `README.md`, whose front matter says licence, languages and where the model comes from.
///
/// Source: https://huggingface.co/docs/hub/model-cards
enum ModelCard {
  /// The keys that are kept.
  static let keys = [
    "license", "license_name", "license_link", "base_model", "base_model_relation", "language", "datasets", "tags",
    "pipeline_tag",
  ]
  /// Keys of GGUF files that a card has no names for, below `general.`; they are kept with underscores for points.
  static let general = [
    "author", "organization", "description", "version", "finetune", "basename", "size_label", "url", "repo_url",
    "source.url",
    "source.repo_url",
  ]

  /// The front matter of a card, as far as it is kept.
  ///
  /// - Returns: empty for a text without any, and for one that is no YAML.
  static func facts(_ text: String) -> [JSON.Member] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map {
      $0.hasSuffix("\r") ? $0.dropLast() : $0
    }
    guard lines.first == "---", let end = lines.dropFirst().firstIndex(of: "---") else { return [] }
    let matter = lines[1..<end].joined(separator: "\n")
    guard let reader = try? YAML.read(Array(matter.utf8), file: nil) else { return [] }
    let known = Set(keys + general.map(name))
    return reader.keys.filter(known.contains).sorted().compactMap { key in
      reader.optional(key).flatMap { plain($0) }.map { JSON.Member(key, $0) }
    }
  }

  /// A text, or a list of texts; `no` for Norwegian is one that YAML takes for something else, as are numbers.
  private static func plain(_ value: JSON) -> JSON? {
    switch value {
    case .string: value
    case .bool(let flag): .string(flag ? "yes" : "no")
    case .integer(let number): .string("\(number)")
    case .array(let items):
      items.allSatisfy { plain($0)?.string != nil } ? .array(items.compactMap { plain($0) }) : nil
    default: nil
    }
  }

  static func name(_ general: String) -> String { String(general.map { $0 == "." ? "_" : $0 }) }

  /// A card with these facts. Texts are written as JSON writes them, which YAML takes as they are.
  static func text(_ facts: [JSON.Member]) -> String {
    let lines = facts.map { "\($0.key): \($0.value.compactText)" }
    return (["---"] + lines + ["---"]).joined(separator: "\n") + "\n"
  }
}
