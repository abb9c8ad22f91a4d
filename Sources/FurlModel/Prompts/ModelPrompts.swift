import FurlArtifact
package import FurlBase
import FurlCheckpoint
package import FurlSpec
import FurlTensor
package import FurlTokenizer

/// A conversation as a file or the command line gives it.
package struct ChatRequest: Sendable {
  package var messages: [JSON]
  package var tools: JSON?
  /// What else a template may ask for: `enable_thinking`.
  package var others: [JSON.Member] = []

  /// A question, perhaps behind a system's text.
  package init(system: String?, question: String) {
    messages =
      (system.map { [["role": "system", "content": .string($0)]] } ?? []) + [
        ["role": "user", "content": .string(question)]
      ]
  }

  /// Reads a list of messages, or a mapping with `messages`, perhaps `tools`, and what else the template may ask for.
  ///
  /// - Parameter system: goes before the messages, which may then not begin with one of their own.
  /// - Throws: ``FurlError`` of kind `input` that names file and key.
  package init(path: String, system: String?) throws {
    let json = try JSON.parse(MappedFile(path: path).readAll(limit: 64 << 20), file: path, depthLimit: 64)
    let list = json.array ?? json["messages"]?.array
    guard let list else {
      throw FurlError.input(
        path, "messages", "a list of messages is expected", remedy: #"as [{"role": "user", "content": "..."}]"#)
    }
    for (index, message) in list.enumerated() where message["role"]?.string == nil {
      throw FurlError.input(path, "messages[\(index)]", "a mapping with a role is expected")
    }
    messages = list
    tools = json["tools"].flatMap { $0 == .null || $0.array?.isEmpty == true ? nil : $0 }
    others = (json.members ?? []).filter { !["messages", "tools"].contains($0.key) }
    guard let system else { return }
    guard list.first?["role"]?.string != "system" else {
      throw FurlError.input(
        path, "messages[0]", "is a system message, and --system gives one, too", remedy: "leave one of them out")
    }
    messages.insert(["role": "system", "content": .string(system)], at: 0)
  }
}

/// A place in a file where something is to be filled in.
package struct InfillPlace: Sendable {
  package let prefix: String
  package let suffix: String

  package init(prefix: String, suffix: String) { (self.prefix, self.suffix) = (prefix, suffix) }

  /// The text before and behind a place.
  ///
  /// - Parameters:
  ///   - place: `LINE:COLUMN`, both from 1; columns count Unicode's code points, and the one behind the last is the line's end.
  /// - Throws: ``FurlError`` of kind `input` or `usage`.
  package init(path: String, at place: String) throws {
    let numbers = place.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let line = numbers[0], let column = numbers[1], line >= 1, column >= 1 else {
      throw FurlError(
        .usage, file: "--at", "\"\(place)\" is not a place", remedy: "as 12:5, the fifth column of line 12")
    }
    guard let text = String(validating: try MappedFile(path: path).readAll(limit: 16 << 20), as: UTF8.self) else {
      throw FurlError.input(path, "is not UTF-8")
    }
    let scalars = text.unicodeScalars
    var start = scalars.startIndex
    for number in 1..<line {
      guard let end = scalars[start...].firstIndex(of: "\n") else {
        throw FurlError.input(path, "has \(number) lines; --at names line \(line)")
      }
      start = scalars.index(after: end)
    }
    let end = scalars[start...].firstIndex(of: "\n") ?? scalars.endIndex
    let length = scalars.distance(from: start, to: end)
    guard column <= length + 1 else {
      throw FurlError.input(path, "line \(line)", "has \(length) characters; --at names column \(column)")
    }
    let split = scalars.index(start, offsetBy: column - 1)
    prefix = String(scalars[..<split])
    suffix = String(scalars[split...])
  }
}

extension ModelFile {
  /// What came with the weights: templates, special tokens, settings of generation, licence.
  package func papers() throws -> ModelPapers {
    switch self {
    case .checkpoint(let checkpoint): try checkpoint.papers()
    case .artifact(let weights): weights.artifact.description.papers
    }
  }

  /// How the model is asked to fill in the middle; nil where it has no tokens for it.
  package func fillInMiddle(_ tokenizer: Tokenizer) -> FillInMiddle? {
    let papers = (try? papers()) ?? ModelPapers()
    var hints = [spec.architecture, name] + papers.card.flatMap { $0.value.texts }
    if case .checkpoint(let checkpoint) = self {
      hints += [
        (try? checkpoint.gguf?.metadata.text("general.name")) ?? nil, checkpoint.config["_name_or_path"]?.string,
      ]
      .compactMap { $0 }
    }
    let roles = papers.specialTokens.map { ($0.key, $0.value.string ?? "") }
    return FillInMiddle.recognised(by: tokenizer, hints: hints, roles: Dictionary(roles) { $1 })
  }

  /// The text that the model's chat template makes of a conversation, up to where its answer begins.
  ///
  /// - Throws: ``FurlError`` of kind `input` where there is no template, and for what the template refuses.
  package func chatText(_ chat: ChatRequest, tokenizer: Tokenizer, now: ClockTime) throws -> String {
    let papers = try papers()
    let usual = ModelPapers.NamedTemplate.usual
    let wanted = chat.tools != nil && papers.template("tool_use") != nil ? "tool_use" : usual
    guard let text = papers.template(wanted) ?? (papers.templates.count == 1 ? papers.templates[0].text : nil) else {
      let names = papers.templates.map(\.name).joined(separator: ", ")
      throw FurlError.input(
        path, "chat template",
        names.isEmpty ? "is missing: the model was not made to chat" : "none is the usual one: \(names)",
        remedy: "give --prompt alone, which the model goes on from")
    }
    var tokens: [JSON.Member] = []
    for (name, id) in [("bos_token", tokenizer.bosID), ("eos_token", tokenizer.eosID)] {
      if let id { tokens.append(.init(name, .string(tokenizer.piece(id)))) }
    }
    return try ChatTemplate(text, file: path).render(
      ChatInput(messages: chat.messages, tools: chat.tools, others: tokens + papers.specialTokens + chat.others),
      now: now)
  }
}
