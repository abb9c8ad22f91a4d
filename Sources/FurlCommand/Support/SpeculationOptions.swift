import ArgumentParser
import FurlBase
import FurlModel
import FurlTokenizer

/// How tokens are guessed that the model then verifies.
struct SpeculationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Guess ahead: up to so many tokens from the text so far, where the most probable token is taken, or self: with the "
        + "first plane of the model's own codes (nested8). Faster, never another text.",
      valueName: "n|self"))
  var speculate = Speculation.text(0)

  @Option(
    help: ArgumentHelp(
      "Guess ahead with another model that has the same tokens: never another text.", valueName: "path"),
    completion: .file())
  var draft: String?

  func validate() throws {
    if draft != nil, speculate == .own {
      throw ValidationError("--draft and --speculate self name two models to guess with; give one of them.")
    }
  }

  /// - Throws: ``FurlError`` for a model that cannot draft for this one.
  func generator(_ loaded: LoadedModel, _ tokenizer: Tokenizer) throws -> Generator {
    if let draft {
      let other = try LoadedModel(path: draft, context: loaded.context, format: loaded.format)
      try other.checkDrafts(for: loaded)
      let session = try loaded.session()
      let own = try other.session(contextLength: session.contextLength)
      return Generator(
        session: session, tokenizer: tokenizer, guesses: Generator.maximumGuesses, drafts: .other(own))
    }
    switch speculate {
    case .text(let guesses):
      return Generator(session: try loaded.session(), tokenizer: tokenizer, guesses: guesses)
    case .own:
      let session = try loaded.session(drafts: loaded.firstPlanes())
      return Generator(session: session, tokenizer: tokenizer, guesses: Generator.maximumGuesses, drafts: .own)
    }
  }

  /// How guesses went; null where none were asked for.
  func json(_ count: SpeculationCount) -> JSON {
    guard draft != nil || speculate != .text(0) else { return .null }
    return [
      "guessed": .integer(count.guessed), "accepted": .integer(count.accepted), "passes": .integer(count.passes),
    ]
  }

  static func text(_ count: SpeculationCount) -> String {
    guard let acceptance = count.acceptance, let length = count.meanLength else { return "" }
    return "; \(count.accepted) of \(count.guessed) guesses (\(Figures.percent(acceptance, digits: 0))) came true, "
      + "\(Figures.significant(length)) at once"
  }
}

/// What tokens are guessed from.
enum Speculation: ExpressibleByArgument, Equatable {
  /// At most so many from the text so far; 0: none.
  case text(Int)
  /// The first plane of the model's own codes.
  case own

  init?(argument: String) {
    if argument == "self" {
      self = .own
    } else {
      guard let count = Int(argument), (0...Generator.maximumGuesses).contains(count) else { return nil }
      self = .text(count)
    }
  }

  var defaultValueDescription: String {
    switch self {
    case .text(let count): "\(count)"
    case .own: "self"
    }
  }
}
