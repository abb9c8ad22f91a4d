import FurlBase
import FurlModel
package import FurlSpec
package import FurlTokenizer

/// What `inspect` says about how a model is talked to and what came with its weights.
package struct PaperFacts: Sendable {
  package let papers: ModelPapers
  /// Why they cannot be read.
  package let problem: String?
  package let filling: FillInMiddle?

  init(_ file: ModelFile, _ tokenizer: Tokenizer?) {
    do {
      (papers, problem) = (try file.papers(), nil)
    } catch {
      (papers, problem) = (ModelPapers(), "\(error)")
    }
    filling = tokenizer.flatMap { file.fillInMiddle($0) }
  }

  /// Whether a template can be rendered, as far as reading it shows; nil where it can.
  private func refusal(_ template: ModelPapers.NamedTemplate) -> String? {
    do {
      _ = try ChatTemplate(template.text, file: nil)
      return nil
    } catch { return "\(error)" }
  }

  var members: [JSON.Member] {
    let templates: [JSON] = papers.templates.map {
      ["name": .string($0.name), "bytes": .integer($0.text.utf8.count), "problem": .optional(refusal($0))]
    }
    let facts: JSON = [
      "chat_templates": .array(templates), "generation_config": papers.generationSettings ?? .null,
      "special_tokens": .object(papers.specialTokens), "card": .object(papers.card),
      "files": .array(papers.files.map { .string($0.name) }), "problem": .optional(problem),
    ]
    let gap: JSON =
      filling.map { ["name": .string($0.name), "text": .string($0.text(prefix: "{prefix}", suffix: "{suffix}"))] }
      ?? .null
    return [.init("papers", facts), .init("fill_in_middle", gap)]
  }

  /// The same in words.
  package var lines: [(label: String, text: String)] {
    var lines: [(String, String)] = problem.map { [("papers", "not readable: \($0)")] } ?? []
    for template in papers.templates {
      let name = template.name == ModelPapers.NamedTemplate.usual ? "" : "\(template.name), "
      lines.append(
        ("chat", "\(name)a template of \(template.text.utf8.count) bytes" + (refusal(template).map { "; \($0)" } ?? ""))
      )
    }
    if let filling {
      lines.append(("fills in", "\(filling.name): \(filling.text(prefix: "{prefix}", suffix: "{suffix}"))"))
    }
    if let members = papers.generationSettings?.members, !members.isEmpty {
      lines.append(("generation", members.map { "\($0.key) \($0.value.compactText)" }.joined(separator: ", ")))
    }
    for fact in papers.card where !fact.value.texts.isEmpty {
      lines.append(("card", "\(fact.key): \(fact.value.texts.joined(separator: ", "))"))
    }
    if !papers.files.isEmpty { lines.append(("files", papers.files.map(\.name).joined(separator: ", "))) }
    return lines
  }
}
