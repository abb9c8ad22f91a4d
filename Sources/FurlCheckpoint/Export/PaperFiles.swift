package import FurlBase
package import FurlSpec

extension ModelPapers {
  /// The card and the licences as files of a checkpoint.
  package var sideFiles: [SideFile] {
    let card = card.isEmpty ? [] : [SideFile(name: "README.md", content: .bytes(Array(ModelCard.text(card).utf8)))]
    return card + files.map { SideFile(name: $0.name, content: .bytes(Array($0.text.utf8))) }
  }

  private var onlyTemplate: String? {
    templates.count == 1 ? template(NamedTemplate.usual) : nil
  }

  /// The one template as the file that transformers has for it.
  package var templateFile: [SideFile] {
    onlyTemplate.map { [SideFile(name: "chat_template.jinja", content: .bytes(Array($0.utf8)))] } ?? []
  }

  /// Several templates as `tokenizer_config.json` has them.
  package var templateMembers: [JSON.Member] {
    guard onlyTemplate == nil, !templates.isEmpty else { return [] }
    return [.init("chat_template", .array(templates.map { ["name": .string($0.name), "template": .string($0.text)] }))]
  }

  /// What they add to a `tokenizer_config.json`.
  package var tokenizerMembers: [JSON.Member] { specialTokens + templateMembers }
}
