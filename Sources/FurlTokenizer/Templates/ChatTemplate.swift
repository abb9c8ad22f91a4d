package import FurlBase

/// A chat template: what makes one text of the messages of a conversation, written in a subset of Jinja.
///
/// It is rendered as transformers does it (`apply_chat_template`: an `ImmutableSandboxedEnvironment` with `trim_blocks`,
/// `lstrip_blocks` and loop controls). What the subset does not have is refused by its name and line, when the template is read or,
/// where only a value shows it, when it is rendered. A template reads no file and no memory but its own, and is bounded in steps,
/// depth and bytes.
///
/// Source: https://jinja.palletsprojects.com/en/stable/templates/ and
/// https://huggingface.co/docs/transformers/chat_templating_writing
package struct ChatTemplate {
  private let statements: [TemplateStatement]
  private let file: String?

  /// - Parameter file: the name that errors carry.
  /// - Throws: ``FurlError`` of kind `input` that names the line.
  package init(_ text: String, file: String?) throws {
    guard text.utf8.count <= TemplateLimits.source else {
      throw FurlError.input(file, "chat template", "has more than \(TemplateLimits.source >> 10) KiB")
    }
    statements = try TemplateParser.statements(of: text, file: file)
    self.file = file
  }

  /// The text of a conversation.
  ///
  /// - Parameters:
  ///   - chat: what is said, and what else the template may ask for.
  ///   - now: what `strftime_now` says.
  /// - Throws: ``FurlError`` of kind `input` that names the line: for what the template refuses itself, for values that it cannot
  ///   take, and where it would cost too much.
  package func render(_ chat: ChatInput, now: ClockTime) throws -> String {
    let run = TemplateRun(values: [:], now: now, file: file)
    for (name, json) in chat.values {
      let value = TemplateValue(json)
      try run.check(value.depth, value.weight)
      run.root.values[name] = value
    }
    return try run.render(statements)
  }
}

/// What a chat template is given.
package struct ChatInput: Sendable {
  /// The messages, each a mapping with `role` and mostly `content`.
  package var messages: [JSON]
  /// Descriptions of the functions that the model may call; nil: none.
  package var tools: JSON?
  /// Whether the text ends where the model's answer begins.
  package var addsGenerationPrompt: Bool
  /// The texts of special tokens by their names, `bos_token`, and what else the template asks for.
  package var others: [JSON.Member]

  package init(messages: [JSON], tools: JSON? = nil, addsGenerationPrompt: Bool = true, others: [JSON.Member] = []) {
    self.messages = messages
    self.tools = tools
    self.addsGenerationPrompt = addsGenerationPrompt
    self.others = others
  }

  /// The names under which older files have what a model thought before it answered; the first is the one that counts.
  private static let reasoning = ["reasoning_content", "thinking", "reasoning"]

  /// Messages as transformers hands them on: without keys that are null, and with reasoning under both of its names.
  private var prepared: [JSON] {
    messages.map { message in
      guard var members = message.members else { return message }
      members.removeAll { $0.value == .null }
      guard let thought = ChatInput.reasoning.lazy.compactMap({ name in members.first { $0.key == name } }).first?.value
      else {
        return .object(members)
      }
      let own = members.first { $0.key == "thinking" }?.value
      members.removeAll { $0.key == "thinking" }
      members.insert(.init("thinking", own ?? thought), at: 0)
      if !members.contains(where: { $0.key == "reasoning_content" }) {
        members.append(.init("reasoning_content", thought))
      }
      return .object(members)
    }
  }

  /// By name; a later one replaces an earlier one.
  var values: [(String, JSON)] {
    others.map { ($0.key, $0.value) } + [
      ("messages", .array(prepared)), ("tools", tools ?? .null), ("documents", .null),
      ("add_generation_prompt", .bool(addsGenerationPrompt)),
    ]
  }
}
