import FurlBase

/// What can be told of a command line before it is parsed, and where it is wrong.
struct Invocation {
  let arguments: [String]

  init(_ arguments: [String] = Array(CommandLine.arguments.dropFirst())) { self.arguments = arguments }

  /// The first word that is no option.
  var command: String { arguments.first { !$0.hasPrefix("-") && !$0.isEmpty } ?? "" }

  /// Whether one JSON document is to stand on standard output, whatever happens.
  var wantsJSON: Bool { options.contains("--json") }

  /// The value of an option; nil where it is not given, or has none.
  func value(of option: String) -> String? {
    let options = options
    for (index, word) in options.enumerated() {
      if word.hasPrefix(option + "=") { return String(word.dropFirst(option.count + 1)) }
      guard word == option, index + 1 < options.count else { continue }
      let value = options[index + 1]
      return value.hasPrefix("--") ? nil : value
    }
    return nil
  }

  /// The same arguments with negative numbers joined to their options (`--seed=-1`): apart, the parser takes them for options,
  /// and says that a value is missing where one is wrong.
  var joiningNegativeNumbers: [String] {
    var result: [String] = []
    for (index, word) in arguments.enumerated() {
      if word == "--" { return result + arguments[index...] }
      if Invocation.isNegativeNumber(word), let option = result.last, option.hasPrefix("--"), !option.contains("=") {
        result[result.count - 1] = "\(option)=\(word)"
      } else {
        result.append(word)
      }
    }
    return result
  }

  /// A minus before a digit or a point: no option begins so.
  private static func isNegativeNumber(_ word: String) -> Bool {
    guard word.hasPrefix("-"), let next = word.dropFirst().first else { return false }
    return next.isASCII && next.isNumber || next == "."
  }

  /// Refuses a first word that is no command, and says which one was probably meant.
  ///
  /// - Throws: ``FurlError`` of kind `usage`.
  func refuseUnknownCommands(_ known: [String], hidden: [String]) throws {
    guard let first = arguments.first, !first.hasPrefix("-"), !(known + hidden).contains(first) else { return }
    if let meant = Invocation.words[first.lowercased()] {
      throw FurlError(.usage, "\"\(first)\" is no command", remedy: "did you mean \(meant)?")
    }
    throw FurlError(
      .usage, "\"\(first)\" is no command", remedy: Suggestion.remedy(for: first, among: known, list: "there are"))
  }

  /// What other tools call what Furl does, and what it is here.
  private static let words = [
    "quantize": "furl compress", "convert": "furl compress", "pack": "furl compress", "prune": "furl compress",
    "generate": "furl run", "complete": "furl run", "chat": "furl run --chat", "serve": "the server in Examples",
    "evaluate": "furl eval", "test": "furl eval", "perplexity": "furl eval", "ppl": "furl eval", "score": "furl eval",
    "benchmark": "furl bench", "speed": "furl bench", "info": "furl inspect", "show": "furl inspect",
    "list": "furl recipes, or furl families", "models": "furl families", "version": "furl --version",
    "validate": "furl check", "lint": "furl check", "new": "furl init", "config": "furl init",
  ]

  private var options: ArraySlice<String> { arguments.prefix { $0 != "--" } }

  /// Options whose value may be nothing at all.
  private static let texts = ["--prompt", "--text", "--title", "--stop", "--suffix", "--system", "--date"]

  /// An empty argument comes of a variable that is not set, and is wrong wherever a name, a path or a number is meant. It is
  /// named here, because nobody sees it in a message.
  ///
  /// - Throws: ``FurlError`` of kind `usage`.
  func refuseEmptyArguments() throws {
    func error(_ name: String) -> FurlError {
      FurlError(.usage, file: name, "is empty", remedy: "is a variable not set?")
    }
    for (index, word) in arguments.enumerated() {
      if word.isEmpty {
        let before = index > 0 ? arguments[index - 1] : ""
        if Invocation.texts.contains(before) { continue }
        throw error(before.hasPrefix("-") && before != "--" ? before : "argument \(index + 1)")
      }
      guard word.hasPrefix("--"), word.hasSuffix("="), word != "--" else { continue }
      let name = String(word.dropLast())
      if !name.contains("="), !Invocation.texts.contains(name) { throw error(name) }
    }
  }
}
