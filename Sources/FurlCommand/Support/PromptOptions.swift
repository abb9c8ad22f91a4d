import ArgumentParser
import FurlBase
import FurlModel
import FurlTokenizer

/// What a model is to go on from: a text, a conversation, or two texts with a gap between them.
struct PromptOptions: ParsableArguments {
  @Option(help: "The text to continue, or with --chat the question; - reads standard input.")
  var prompt: String?

  @Flag(help: "Write the prompt as the model's chat template has it.")
  var chat = false

  @Option(help: ArgumentHelp("With --chat: what the system says.", valueName: "text"))
  var system: String?

  @Option(
    help: ArgumentHelp(
      "With --chat: a JSON file with a list of messages, or with messages, tools and what else the template asks for.",
      valueName: "file"), completion: .file())
  var messages: String?

  @Option(help: ArgumentHelp("Fill in what stands between --prompt and this text.", valueName: "text"))
  var suffix: String?

  @Option(help: ArgumentHelp("Fill in at a place of this file.", valueName: "file"), completion: .file())
  var file: String?

  @Option(help: ArgumentHelp("The place: line and column, from 1.", valueName: "line:column"))
  var at: String?

  @Option(
    help: ArgumentHelp(
      "How to ask for what is filled in, where the model's tokens do not tell: \(FillInMiddle.names.joined(separator: ", ")).",
      valueName: "name"), completion: .list(FillInMiddle.names))
  var fim: String?

  func validate() throws {
    guard (file == nil) == (at == nil) else { throw ValidationError("--file and --at go together.") }
    if file != nil, prompt != nil || suffix != nil {
      throw ValidationError("--file is instead of --prompt and --suffix.")
    }
    if suffix != nil, prompt == nil { throw ValidationError("--suffix needs --prompt, the text before the gap.") }
    if fim != nil, suffix == nil, file == nil { throw ValidationError("--fim goes with --suffix or --file.") }
    if chat, suffix != nil || file != nil { throw ValidationError("--chat fills nothing in.") }
    if !chat, system != nil || messages != nil { throw ValidationError("--system and --messages go with --chat.") }
    if messages != nil, prompt != nil { throw ValidationError("--messages is instead of --prompt.") }
    guard prompt != nil || messages != nil || file != nil else {
      throw ValidationError("Missing expected argument '--prompt <prompt>'")
    }
  }

  /// What the model reads, and its tokenizer with the ends that go with it.
  func ids(for loaded: LoadedModel) throws -> (ids: [Int], tokenizer: Tokenizer) {
    if let file, let at { return try filling(InfillPlace(path: file, at: at), loaded) }
    let text = prompt == "-" ? try readStandardInput() : prompt ?? ""
    if let suffix { return try filling(InfillPlace(prefix: text, suffix: suffix), loaded) }
    guard chat else { return (try loaded.encode(text, bos: .auto), loaded.tokenizer) }
    let request =
      try messages.map { try ChatRequest(path: $0, system: system) } ?? ChatRequest(system: system, question: text)
    return (try loaded.encode(request, now: .now()), loaded.tokenizer)
  }

  private func filling(_ place: InfillPlace, _ loaded: LoadedModel) throws -> (ids: [Int], tokenizer: Tokenizer) {
    let template = try fim.map { name in
      guard let found = FillInMiddle.named(name) else {
        throw FurlError(
          .usage, file: "--fim", "\"\(name)\" is not known",
          remedy: "known: \(FillInMiddle.names.joined(separator: ", "))")
      }
      return found
    }
    return try loaded.encode(place, as: template)
  }
}
