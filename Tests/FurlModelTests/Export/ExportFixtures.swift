import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// A model of which the tests say some things otherwise.
struct SampleSource: ExportSource {
  let model: ExportedModel
  var spec: ModelSpec
  var config: JSON
  /// Changes the numbers that are read of a tensor.
  var change: ((String, inout [Float]) -> Void)?
  /// How the weights are said to be written down.
  var stored: ((TensorSpec) -> StoredNumbers)?
  /// The vocabulary; nil: the model's own tokenizer.
  var tokens: [String]? = ["a", "b", "ab"]

  init(_ path: String) throws {
    model = ExportedModel(try ModelFile(path: path))
    spec = model.spec
    config = model.config
  }

  var path: String { model.path }
  var name: String { "sample" }

  func numbers(of tensor: TensorSpec) throws -> StoredNumbers { try stored?(tensor) ?? model.numbers(of: tensor) }

  func fold(of tensor: TensorSpec) throws -> WeightSource.Fold {
    change == nil && stored == nil ? try model.fold(of: tensor) : .none
  }

  func weights(of tensor: TensorSpec, pool: WorkerPool) throws -> ExportedWeights {
    let weights = try model.weights(of: tensor, pool: pool)
    guard let change, case .source(let source) = weights else { return weights }
    var values = source.readAll()
    change(tensor.name, &values)
    return .source(try TestData.source(values, rows: source.rows, columns: source.columns))
  }

  var files: [MappedFile] { model.files }
  func dropPages() { model.dropPages() }
  func sideFiles() throws -> [SideFile] { tokens == nil ? try model.sideFiles() : [] }

  func papers() throws -> ModelPapers { try model.papers() }
  func vocabulary() throws -> ExportedVocabulary {
    guard let tokens else { return try model.vocabulary() }
    return ExportedVocabulary(
      model: "gpt2", preTokenizer: "gpt-2", tokens: tokens,
      kinds: Array(repeating: .normal, count: tokens.count), merges: ["a b"], bosID: nil, eosID: nil, addsBOS: false)
  }
}

enum ExportFixtures {
  /// The exported file of a fixture, for tests to change.
  static func text(_ name: String) throws -> GGUFText {
    try TestData.withTemporaryFolder { folder in
      try gguf(SampleSource(GGUFFamilyTests.path(name)), .f32, in: folder).file.text
    }
  }

  /// What a file that says this is read as.
  static func open(_ text: GGUFText) throws -> Checkpoint {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(text.bytes, to: folder + "/x.gguf")
      return try Checkpoint(path: folder + "/x.gguf")
    }
  }

  static var pool: WorkerPool { WorkerPool(threads: 2) }

  /// Small checkpoints of every family.
  static let families: [String] = {
    let folder = TestData.root + "/Tests/Fixtures/families"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return [Fixtures.gpt2] + names.filter { !$0.hasSuffix(".py") }.sorted().map { folder + "/" + $0 }
  }()

  /// Models that llama.cpp's converter wrote.
  static let converted = ["gpt2", "llama", "llama3", "phi", "qwen2", "starcoder2-00001-of-00003"].map {
    TestData.root + "/Tests/Fixtures/gguf/\($0).gguf"
  }

  static func gguf(
    _ source: any ExportSource, _ numbers: ExportNumbers? = nil, in folder: String
  ) throws -> (file: ParsedGGUF, result: ExportResult) {
    let path = folder + "/x.gguf"
    let result = try GGUFExport(numbers: numbers).write(source, to: path, pool: pool)
    return (try ParsedGGUF(path: path), result)
  }

  /// What is in a folder, hidden files included.
  static func content(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }
}
