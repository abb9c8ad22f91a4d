import ArgumentParser
import FurlBase
import FurlModel
import FurlReport
import FurlTensor
import FurlTokenizer

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Generates text from a prompt, streaming.",
    discussion: """
      furl run minipy-int8.furl --prompt 'def add(a, b):' --max-tokens 40
      cat part.py | furl run minipy-int8.furl --prompt -
      furl run qwen-int4.furl --chat --prompt 'What does a mutex do?'
      furl run qwen-int4.furl --file part.py --at 12:5
      """)

  @Argument(help: "A checkpoint folder or an artifact.", completion: .file())
  var path: String

  @OptionGroup var given: PromptOptions

  @Option(help: ArgumentHelp("At most so many new tokens.", valueName: "n"))
  var maxTokens = 128

  @Option(help: "0 takes the most probable token; higher values draw more freely.")
  var temperature = 0.0

  @Option(help: ArgumentHelp("Draw from so many of the most probable tokens only.", valueName: "n"))
  var topK: Int?

  @Option(
    help: ArgumentHelp("Draw from the most probable tokens that together reach this probability.", valueName: "p"))
  var topP = 1.0

  @Option(help: "The same seed gives the same text.")
  var seed: UInt64 = 0

  @Option(help: ArgumentHelp("End at this text; may be given several times.", valueName: "text"))
  var stop: [String] = []

  @OptionGroup var speculation: SpeculationOptions

  @Flag(help: "Print one JSON document at the end instead of streaming.")
  var json = false

  @OptionGroup var weights: WeightsOptions
  @OptionGroup var compute: ComputeOptions

  func validate() throws {
    guard maxTokens >= 0 else { throw ValidationError("--max-tokens must not be negative.") }
    guard temperature >= 0, temperature.isFinite else { throw ValidationError("--temperature must be 0 or more.") }
    if let topK, topK < 1 { throw ValidationError("--top-k must be 1 or more.") }
    guard topP > 0, topP <= 1 else { throw ValidationError("--top-p must be above 0 and at most 1.") }
  }

  func run() throws {
    let loaded = try compute.load(weights.path(path))
    let (ids, tokenizer) = try given.ids(for: loaded)
    let request = GenerationRequest(
      ids: ids, maxTokens: maxTokens, stops: stop,
      sampling: Sampling(temperature: temperature, topK: topK, topP: topP, seed: seed))
    let generator = try speculation.generator(loaded, tokenizer)
    let start = ContinuousClock.now
    var result: Generation?
    try generator.run([request], onText: { if !json { Terminal.write($1) } }) { result = $1 }
    guard let result else { return }
    // What was said so far may not be the model's.
    try loaded.file.checkUnchanged(pool: loaded.context.pool)
    let seconds = (ContinuousClock.now - start).seconds
    if json {
      return Terminal.print([
        "prompt_tokens": .integer(request.ids.count), "text": .string(result.text),
        "tokens": .integer(result.tokenCount),
        "stop_reason": .string(result.stopReason.rawValue), "seconds": .number(seconds),
        "speculation": speculation.json(generator.speculation),
      ])
    }
    Terminal.write("\n")
    if Terminal.errorsAreShown {
      Terminal.log(
        "\(request.ids.count) tokens read, \(result.tokenCount) generated in \(Figures.significant(seconds)) s; "
          + "ended by \(result.stopReason.rawValue)" + SpeculationOptions.text(generator.speculation))
    }
  }
}
