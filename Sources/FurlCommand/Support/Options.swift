import ArgumentParser
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTensor

/// How a model is run; shared by all commands that run one.
struct ComputeOptions: ParsableArguments {
  @Option(help: "Threads that compute (default: one for each core).")
  var threads: Int?

  @Option(
    help: """
      How activations meet quantized weights: int8; bf16, with which CPUs that have AMX read prompts faster (what is generated \
      stays with int8); or fp32 as runtimes do that do not round them.
      """)
  var activations: ActivationForm = .int8

  @Option(help: "How keys and values are kept: f32, f16 or i8 (default: f32 for a checkpoint, f16 for an artifact).")
  var kv: KeyValueFormat?

  enum KeyValueFormat: String, ExpressibleByArgument, CaseIterable {
    case f32, f16, i8

    var format: KeyValueCache.CacheFormat {
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
      pool: try CommandProcess.pool(threads: threadCount), kernels: try Kernels.fromEnvironment(),
      activations: activations)
  }

  func load(_ path: String) throws -> LoadedModel {
    try LoadedModel(path: path, context: context(), format: kv?.format)
  }
}

extension ActivationForm: ExpressibleByArgument {}

/// Which of several weight files of a checkpoint's folder is meant; shared by all commands that open one.
struct WeightsOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The file or index in the checkpoint's folder that holds the weights, where several could.", valueName: "file"),
    completion: .file())
  var weights: String?

  /// What to open in the place of a path: the file, where the path is a folder.
  func path(_ path: String) throws -> String {
    guard weights != nil else { return path }
    let chosen = try paths([path])
    return chosen[0]
  }

  /// The same for several, of which only folders are checkpoints that have a choice.
  func paths(_ paths: [String]) throws -> [String] {
    guard let weights else { return paths }
    guard !weights.isEmpty, !weights.contains("/") else {
      throw FurlError(
        .usage, file: "--weights", "\"\(weights)\" is not the name of a file in the checkpoint's folder",
        remedy: "give the name without its folder")
    }
    let folders = paths.filter { isFolder($0) }
    guard !folders.isEmpty else {
      throw FurlError(.usage, file: "--weights", "no checkpoint's folder is named", remedy: "leave --weights out")
    }
    return try paths.map { path in
      guard isFolder(path) else { return path }
      let file = (path.hasSuffix("/") ? String(path.dropLast()) : path) + "/" + weights
      guard FileManager.default.fileExists(atPath: file) else {
        throw FurlError.input(file, "does not exist", remedy: "--weights names a file in the checkpoint's folder")
      }
      guard Checkpoint.isWeightFile(file) else {
        throw FurlError.input(
          file, "is not a file of weights by its name", remedy: "known: safetensors, bin, pt, pth and index.json")
      }
      return file
    }
  }

  private func isFolder(_ path: String) -> Bool { FileNames.isFolder(path) == true }
}

/// A number of threads that makes sense.
struct ThreadCount {
  let count: Int

  init(_ count: Int?) throws {
    self.count = count ?? WorkerPool.availableCores
    guard (1...1024).contains(self.count) else { throw ValidationError("--threads must be 1 to 1024.") }
  }
}

/// Reads standard input to its end, as UTF-8.
///
/// - Throws: ``FurlError`` of kind `input` when it cannot be read.
func readStandardInput() throws -> String {
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(0, &buffer, buffer.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw FurlError.reading("standard input") }
    if count == 0 { break }
    bytes += buffer[..<count]
  }
  guard let text = String(validating: bytes, as: UTF8.self) else {
    throw FurlError.input("standard input", "is not UTF-8")
  }
  return text
}
