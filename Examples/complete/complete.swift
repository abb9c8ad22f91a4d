import FurlRuntime

/// `swift run -c release complete model.furl "def add(a, b):"` continues a text, as it comes.
@main struct Complete {
  static func main() async throws {
    let words = CommandLine.arguments
    guard words.count == 3 else { return print("usage: complete MODEL TEXT") }
    let model = try Model(contentsOf: words[1])
    for try await piece in model.generate(words[2], maxTokens: 64, sampling: Sampling(temperature: 0.2)) {
      print(piece, terminator: "")
    }
    print()
  }
}
