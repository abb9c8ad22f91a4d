import ArgumentParser
import FurlBase
import FurlSpec

/// What helps whoever typed a command that the parser refuses: the option that was meant, what a value may be, or an example.
struct UsageAdvice {
  private let arguments: [String]
  /// The command with its parents' names: `data lines`.
  private let words: [String]
  private let command: any ParsableCommand.Type

  init(_ invocation: Invocation) {
    arguments = Array(invocation.arguments.prefix { $0 != "--" })
    var command: any ParsableCommand.Type = FurlTool.self
    var words: [String] = []
    for word in arguments {
      guard let next = command.configuration.subcommands.first(where: { $0._commandName == word }) else { break }
      command = next
      words.append(word)
    }
    self.command = command
    self.words = words
  }

  /// The parser's words with what to do.
  func error(_ problem: String) -> FurlError {
    let help = "see furl \((words + ["--help"]).joined(separator: " "))"
    // What is missing may stand there under a name with a slip in it, and the parser asks for the right one first.
    if let (wrong, right) = slip {
      return FurlError(.usage, "there is no option \(wrong)", remedy: "did you mean \(right)? \(help)")
    }
    if let name = problem.firstMatch(of: /is invalid for '(--[a-z-]+)/)?.1, let meaning = meaning(of: String(name)) {
      return FurlError(.usage, problem, remedy: "\(name): \(meaning)")
    }
    if let word = problem.firstMatch(of: /^Unexpected argument '(.+)'$/)?.1, options.contains("--\(word)") {
      return FurlError(.usage, problem, remedy: "did you mean --\(word)?")
    }
    if let name = problem.firstMatch(of: /^Missing expected argument '(.+)'$/)?.1 {
      return FurlError(.usage, "\(name) is missing", remedy: example.map { "as in: \($0)" } ?? help)
    }
    let isShape = problem.hasPrefix("Unexpected argument") || problem.contains("is missing")
    return FurlError(.usage, problem, remedy: isShape ? example.map { "as in: \($0)" } ?? help : help)
  }

  /// An option that the command does not have, and the one that is nearly called so.
  private var slip: (wrong: String, right: String)? {
    for word in arguments where word.hasPrefix("--") {
      let name = String(word.prefix { $0 != "=" })
      guard !options.contains(name), let right = Suggestion.nearest(to: name, among: options) else { continue }
      return (name, right)
    }
    return nil
  }

  private var help: [Substring] {
    FurlTool.helpMessage(for: command, includeHidden: true, columns: 1000).split(separator: "\n")
  }

  private var options: [String] {
    help.flatMap { line in line.matches(of: /(?:^| |,)(--[a-z0-9-]+)/).map { String($0.1) } }
  }

  /// What the command's help says of an option.
  private func meaning(of option: String) -> String? {
    for line in help {
      guard let match = line.firstMatch(of: /^  (?:-[a-z], )?(--[a-z-]+) <[^>]+>(?: \.\.\.)?\s+(.+)$/),
        match.1 == option
      else { continue }
      return String(match.2)
    }
    return nil
  }

  /// The first example of the command's help, on one line.
  private var example: String? {
    var parts: [String] = []
    for line in command.configuration.discussion.split(separator: "\n") {
      let text = line.trimmed
      guard !parts.isEmpty || text.hasPrefix((["furl"] + words).joined(separator: " ") + " ") else { continue }
      let goesOn = text.hasSuffix("\\")
      parts.append(goesOn ? String(text.dropLast()).trimmed : text)
      if !goesOn { break }
    }
    return parts.isEmpty ? nil : parts.joined(separator: " ")
  }
}

extension FurlError {
  /// The same error; of a file that is not there with what was probably meant: a suite or a recipe by its name, or a file of
  /// nearly that name beside it.
  func advised(for invocation: Invocation) -> FurlError {
    guard kind == .input, problem == FurlError.missing, remedy == nil, let path = file, !path.isEmpty else {
      return self
    }
    var error = self
    let isName = SuiteName.isValid(path) && !path.contains(".")
    if isName {
      let folders = ["suites"] + invocation.arguments.filter { FileNames.isFolder($0) == true }
      let cards = folders.map { "\($0)/\(path).yaml" }
      if let card = cards.first(where: FileManager.default.fileExists(atPath:)) {
        error.remedy = "did you mean \(card)?"
        return error
      }
      if ShippedRecipe.named(path) != nil {
        error.remedy = "a recipe of that name ships: furl recipes \(path) prints it"
        return error
      }
    }
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { String(path[..<$0]) } ?? "."
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "/" : folder)) ?? []
    if let name = Suggestion.nearest(to: path.lastName, among: names.sorted().prefix(5000)) {
      error.remedy = "did you mean \(slash.map { String(path[...$0]) } ?? "")\(name)?"
    }
    return error
  }
}
