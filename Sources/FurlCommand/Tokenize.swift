import ArgumentParser
import FurlBase
import FurlModel
import FurlTokenizer

struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows the tokens of a text.",
    discussion: """
      furl tokenize checkpoints/minipy --text 'def add(a, b):'
      furl tokenize tokenizer.json --text 'def add(a, b):' --json
      """)

  @Argument(
    help:
      "A checkpoint, an artifact, or a tokenizer alone: its folder, tokenizer.json, tokenizer.model or a GGUF file.",
    completion: .file())
  var path: String

  @Option(help: "The text (default: standard input).")
  var text: String?

  @Flag(help: "Begin with the tokenizer's begin-of-text token.")
  var bos = false

  @Flag(help: "Print one JSON document: ids and pieces.")
  var json = false

  func run() throws {
    let tokenizer = try Tokenizer.open(path: path)
    if bos, tokenizer.bosID == nil {
      throw FurlError.input(path, "its tokenizer has no begin-of-text token", remedy: "leave --bos out")
    }
    let ids = tokenizer.encode(try text ?? readStandardInput(), bos: bos ? .always : .never)
    if json {
      return Terminal.print([
        "ids": .array(ids.map(JSON.integer)), "pieces": .array(ids.map { .string(tokenizer.piece($0)) }),
      ])
    }
    for id in ids { Terminal.print("\(id)\t\(tokenizer.piece(id).escapingControlCharacters)") }
  }
}
