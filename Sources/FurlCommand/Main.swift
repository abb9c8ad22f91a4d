import ArgumentParser
import Foundation
import Furl

@main
enum Main {
  static func main() async {
    shareHeap()
    // A limit on file sizes is an error of writing, not the end of the process.
    signal(SIGXFSZ, SIG_IGN)
    reportLostFiles()
    do {
      try RawArguments.refuseOtherBytes()
      var command = try FurlTool.parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch let error as FurlError {
      Terminal.clearProgress()
      Terminal.log("furl: \(error)")
      Terminal.exit(error.exitStatus)
    } catch {
      Terminal.clearProgress()
      if FurlTool.exitCode(for: error) == .validationFailure {
        let words = FurlTool.message(for: error).split(separator: "\n").joined(separator: " ")
        Terminal.log("furl: \(words) (see --help)".escapingControlCharacters)
        Terminal.exit(64)
      }
      // The parser's own errors have their texts and statuses; anything else was not foreseen.
      guard FurlTool.exitCode(for: error) == .failure else { FurlTool.exit(withError: error) }
      Terminal.log("furl: \(error)".escapingControlCharacters)
      Terminal.exit(70)
    }
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

        furl compress checkpoints/minipy --recipe recipes/minipy-int8.yaml --output minipy-int8.furl
        furl inspect minipy-int8.furl
        furl run minipy-int8.furl --prompt 'def add(a, b):'
        furl verify minipy-int8.furl --baseline checkpoints/minipy

      Exit status: 0 done, gates hold; 1 a gate does not hold; 2 inconclusive; 64 wrong usage; 65 wrong or \
      damaged input; 69 this machine lacks something; 70 a defect; 73, 74 output cannot be written.
      """,
    version: furlVersion,
    subcommands: [
      Compress.self, Inspect.self, Run.self, Eval.self, Bench.self, Verify.self, Report.self, SweepCommand.self,
      DataCommand.self, Export.self, Synth.self, Tokenize.self, Logits.self, Measure.self, MeasureTraining.self,
    ])
}
