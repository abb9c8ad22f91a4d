import ArgumentParser
import Foundation
import Furl

/// How a model is run; shared by all commands that run one.
struct ComputeOptions: ParsableArguments {
  @Option(help: "Threads that compute (default: one for each core).")
  var threads: Int?

  @Option(help: "How activations meet quantized weights: int8, or fp32 as runtimes do that do not quantize them.")
  var activations: Activations = .int8

  @Option(help: "How keys and values are kept: f32, f16 or i8 (default: f32 for a checkpoint, f16 for an artifact).")
  var kv: KeyValueFormat?

  enum Activations: String, ExpressibleByArgument, CaseIterable { case int8, fp32 }

  enum KeyValueFormat: String, ExpressibleByArgument, CaseIterable {
    case f32, f16, i8

    var format: KeyValueCache.Format {
      switch self {
      case .f32: .float32
      case .f16: .float16
      case .i8: .int8
      }
    }
  }

  func validate() throws { _ = try ThreadCount(threads) }

  var threadCount: Int { threads ?? WorkerPool.availableCores }

  func context() throws -> ComputeContext {
    ComputeContext(
      pool: WorkerPool(threads: threadCount), kernels: try Kernels.fromEnvironment(),
      quantizesActivations: activations == .int8)
  }

  func load(_ path: String) throws -> LoadedModel {
    try LoadedModel(path: path, context: context(), format: kv?.format)
  }
}

/// A number of threads that makes sense.
struct ThreadCount {
  let count: Int

  init(_ count: Int?) throws {
    self.count = count ?? WorkerPool.availableCores
    guard (1...1024).contains(self.count) else { throw ValidationError("--threads must be 1 to 1024.") }
  }
}

/// What `eval`, `bench` and `verify` change of a suite card's protocol.
struct ProtocolOptions: ParsableArguments {
  @Option(help: ArgumentHelp("At most so many new tokens instead of the card's.", valueName: "n"))
  var maxTokens: Int?

  @Option(help: ArgumentHelp("End completions at these texts instead of the card's.", valueName: "text"))
  var stop: [String] = []

  @Option(help: ArgumentHelp("Cut prompts from the left to so many tokens, completion included.", valueName: "n"))
  var context: Int?

  @Option(help: ArgumentHelp("Seconds that a generated program may take.", valueName: "s"))
  var timeout: Double?

  @Flag(help: "Run generated code WITHOUT a sandbox. Only on a machine that is one itself.")
  var unsandboxed = false

  func validate() throws {
    if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens must be 1 or more.") }
    if let context, context < 1 { throw ValidationError("--context must be 1 or more.") }
  }

  var overrides: ProtocolOverrides {
    var overrides = ProtocolOverrides()
    overrides.maxTokens = maxTokens
    overrides.stop = stop.isEmpty ? nil : stop
    overrides.context = context
    overrides.timeout = timeout
    return overrides
  }

  func evaluator(limit: Int?, label: String, slots: Int = Evaluator.Options.defaultSlots) -> Evaluator {
    let start = ContinuousClock.now
    let options = Evaluator.Options(limit: limit, overrides: overrides, isUnsandboxed: unsandboxed, slots: slots)
    return Evaluator(options) { done, total in
      Terminal.progress(label, done: done, total: total, since: start)
    }
  }
}

/// Reads standard input to its end, as UTF-8.
///
/// - Throws: ``FurlError`` of kind `input` when it cannot be read.
func readStandardInput() throws -> String {
  let data: Data
  do {
    data = try FileHandle.standardInput.readToEnd() ?? Data()
  } catch {
    throw FurlError.input("standard input", "cannot be read: \(error.localizedDescription)")
  }
  guard let text = String(validating: data, as: UTF8.self) else {
    throw FurlError.input("standard input", "is not UTF-8")
  }
  return text
}
