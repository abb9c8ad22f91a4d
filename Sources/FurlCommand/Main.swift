import ArgumentParser
import FurlBase

@main
enum Main {
  static func main() async {
    let hasDescriptors = CommandProcess.begin()
    shareHeap()
    // A limit on file sizes is an error of writing, not the end of the process.
    signal(SIGXFSZ, SIG_IGN)
    reportLostFiles()
    let invocation = Invocation()
    // Arguments can be wrong before they are parsed; who reads the file has to learn of that, too.
    do {
      guard hasDescriptors else { throw FurlError(.unavailable, "no file can be opened") }
      CommandProcess.onSignal { Ending.interrupt($0) }
      try invocation.refuseEmptyArguments()
      try RawArguments.refuseOtherBytes()
      try invocation.refuseUnknownCommands(CommandNames.shown, hidden: CommandNames.hidden)
      var command = try FurlTool.parseAsRoot(invocation.joiningNegativeNumbers)
      Ending.prepareForLostFiles(invocation)
      // Help needs next to nothing.
      if isWork(command) { try CommandProcess.checkMachine() }
      if var asynchronous = command as? any AsyncParsableCommand {
        if isWork(command) { try CommandProcess.checkThreads(0) }
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      let status = FurlTool.exitCode(for: error)
      // The parser's own texts, as help, have their statuses.
      guard error is FurlError || status == .validationFailure || status == .failure else {
        FurlTool.exit(withError: error)
      }
      Ending.replaceJUnit(invocation)
      Ending.fail(failure(error, invocation))
    }
  }

  /// Whether it is a command of ours, and not the parser's help.
  private static func isWork(_ command: any ParsableCommand) -> Bool {
    func contains(_ parent: any ParsableCommand.Type) -> Bool {
      parent.configuration.subcommands.contains { $0 == type(of: command) || contains($0) }
    }
    return contains(FurlTool.self)
  }

  private static func failure(_ error: any Error, _ invocation: Invocation) -> FurlError {
    if let error = error as? FurlError { return error.advised(for: invocation) }
    if FurlTool.exitCode(for: error) == .validationFailure {
      let words = FurlTool.message(for: error).split(separator: "\n").joined(separator: " ")
      return UsageAdvice(invocation).error(words.hasSuffix(".") ? String(words.dropLast()) : words)
    }
    // Anything else was not foreseen, unless it is the system's.
    guard let code = systemCode(of: error) else { return FurlError(.defect, "\(error)") }
    return FurlError.isShortage(code)
      ? FurlError(.unavailable, systemMessage(code), remedy: "free memory, files and processes")
      : FurlError(.defect, systemMessage(code))
  }
}

/// The command itself; each subcommand is a file.
struct FurlTool: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "furl",
    abstract: "Compresses code language models for plain CPUs, and measures what that costs.",
    discussion: """
      Start with a checkpoint: a folder as Hugging Face writes it (config.json, safetensors or PyTorch weights, a \
      tokenizer), or a GGUF file.

        furl compress checkpoints/minipy --recipe int8 --output minipy-int8.furl
        furl inspect minipy-int8.furl
        furl run minipy-int8.furl --prompt 'def add(a, b):'
        furl verify minipy-int8.furl --gates gates/minipy.yaml \\
          --baseline checkpoints/minipy

      What ships is listed by furl recipes; furl init writes a recipe for a checkpoint; furl doctor looks at the machine.

      Exit status: 0 done, gates hold; 1 a gate does not hold; 2 inconclusive; 64 wrong usage; 65 wrong or \
      damaged input; 69 this machine lacks something; 70 a defect; 73, 74 output cannot be written.
      """,
    version: furlBuild,
    subcommands: [
      Compress.self, Inspect.self, Run.self, Eval.self, Bench.self, Verify.self, Report.self, SweepCommand.self,
      DataCommand.self, Export.self, Synth.self, Tokenize.self, Logits.self, Families.self, Recipes.self, Check.self,
      Init.self, Doctor.self, Cache.self, Measure.self, MeasureTraining.self,
    ])
}

/// What a person may type behind `furl`.
enum CommandNames {
  static let shown: [String] = names { $0.shouldDisplay } + ["help"]
  /// What `bench` calls in processes of its own.
  static let hidden: [String] = names { !$0.shouldDisplay }

  private static func names(_ isMeant: (CommandConfiguration) -> Bool) -> [String] {
    FurlTool.configuration.subcommands.filter { isMeant($0.configuration) }.map { $0._commandName }
  }
}
