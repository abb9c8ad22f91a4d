import ArgumentParser
import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer

struct Logits: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints the logits after given tokens, to compare with other runtimes.",
    discussion: "furl logits checkpoints/minipy --ids 1,422,17 --json")

  @Argument(help: "A checkpoint folder or an artifact.", completion: .file())
  var path: String

  @Option(help: ArgumentHelp("Token ids, separated by commas.", valueName: "1,2,3"))
  var ids: String

  @Flag(help: "Of every position, not of the last only.")
  var all = false

  @Flag(help: "Print one JSON document.")
  var json = false

  @OptionGroup var weights: WeightsOptions
  @OptionGroup var compute: ComputeOptions

  func run() throws {
    let tokens = try ids.split(separator: ",", omittingEmptySubsequences: false).map { text in
      guard let id = Int(text.trimmingPrefix(while: \.isWhitespace)) else {
        throw FurlError(
          .usage, file: "--ids", "\"\(text)\" is not a token id", remedy: "give numbers separated by commas")
      }
      return id
    }
    // Ids need no tokenizer, and a checkpoint that is only to be compared may have none.
    let context = try compute.context()
    let file = try ModelFile(path: weights.path(path))
    if tokens.contains(where: { $0 >= file.spec.vocabularySize }), let tokenizer = try? file.tokenizer() {
      try tokenizer.check(tokens.filter { $0 < tokenizer.vocabularySize }, rows: file.spec.vocabularySize, file: path)
    }
    let model = try file.load(pool: context.pool)
    // Some scalings of frequencies depend on how many positions there may be: here, on those that there are.
    let session = try Session(
      model, context: context, contextLength: min(max(1, tokens.count), model.spec.contextLength),
      format: compute.kv?.format)
    var rows: [[Float]] = []
    try Likelihood(session).forEachPosition(tokens) { position, logits, row in
      guard all || position == tokens.count - 1 else { return }
      let values = logits[0][row]
      guard values.allSatisfy(\.isFinite) else {
        throw FurlError.input(path, "computes logits that are not finite numbers", remedy: "its weights are damaged")
      }
      rows.append(values)
    }
    if json {
      func list(_ row: [Float]) -> JSON { .array(row.map { .number(Double($0)) }) }
      return Terminal.print(["logits": all ? .array(rows.map(list)) : list(rows.last ?? [])] as JSON)
    }
    for row in rows { Terminal.print(row.map { "\($0)" }.joined(separator: " ")) }
  }
}
