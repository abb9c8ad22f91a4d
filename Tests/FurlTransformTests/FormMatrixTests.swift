import Foundation
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Testing

/// Every form that checkpoints come in, times every form that models leave in, on the fixtures of forms and of families: a cell
/// is written and read back, or refused by name. `docs/forms.md` is drawn from it; set FURL_WRITE_SNAPSHOTS to write it anew.
@Suite struct FormMatrixTests {
  private static let pool = WorkerPool(threads: 2)
  private static let fixtures = TestData.root + "/Tests/Fixtures/"
  static let page = TestData.root + "/docs/forms.md"

  /// A checkpoint that goes in.
  struct FormInput: Sendable {
    let name: String
    let path: String
    var adapter: String?
  }

  /// A form that a model leaves in.
  enum FormOutput: String, CaseIterable {
    case artifact, kept, safetensors, gguf, compressedTensors, gptq

    var title: String {
      switch self {
      case .artifact: "artifact"
      case .kept: "codes kept"
      case .safetensors: "safetensors"
      case .gguf: "GGUF"
      case .compressedTensors: "compressed-tensors"
      case .gptq: "GPTQ"
      }
    }
  }

  static let inputs: [FormInput] = {
    func folders(_ parent: String) -> [FormInput] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: fixtures + parent)) ?? []
      return names.sorted().compactMap { name in
        let path = fixtures + parent + "/" + name
        guard FileManager.default.fileExists(atPath: path + "/config.json") else { return nil }
        return FormInput(name: name, path: path)
      }
    }
    let adapted = ["lora", "dora"].map {
      FormInput(
        name: "llama and an adapter (\($0))", path: fixtures + "adapters/llama", adapter: fixtures + "adapters/llama-\($0)")
    }
    return folders("families") + folders("packed") + folders("kept")
      + [FormInput(name: "GGUF, fifteen types of blocks", path: fixtures + "kept/blocks.gguf")] + adapted
  }()

  // MARK: Cells

  /// The input with a tokenizer beside it, where it is a folder.
  private static func prepare(_ input: FormInput, in folder: String) throws -> String {
    guard !input.path.hasSuffix(".gguf") else { return input.path }
    let copy = folder + "/in"
    try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
    for name in try FileManager.default.contentsOfDirectory(atPath: input.path) where name != "expected.json" {
      try TestData.write(TestData.bytes(input.path + "/" + name), to: copy + "/" + name)
    }
    let special = Array(ChainCheckpoint.special.prefix(2))
    let files: [String: JSON] = [
      "tokenizer.json": ChainCheckpoint.tokenizer(special: special),
      "tokenizer_config.json": ["bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false],
    ]
    for (name, json) in files { try TestData.write(Array(json.prettyText.utf8), to: copy + "/" + name) }
    return copy
  }

  private static func compress(_ checkpoint: Checkpoint, _ steps: String?, to path: String) throws {
    let recipe = try steps.map { try Fixtures.recipe($0) } ?? .keepingCodes
    _ = try Compressor(checkpoint, recipe: recipe).write(to: path, pool: pool)
  }

  private static let int8 = "  - quantize: {weights: int8}"
  /// Small widths are no whole blocks of 32.
  private static let int4 = "  - quantize: {weights: int4, block: row, embeddings: int8, keep: [norm, bias, head, embedding]}"
  private static let exact = "  - quantize: {weights: fp32, embeddings: fp32}"

  /// Writes a cell and reads it back.
  ///
  /// - Throws: ``FurlError`` for what is refused.
  private static func make(_ output: FormOutput, _ checkpoint: Checkpoint, in folder: String) throws {
    let artifact = folder + "/a.furl"
    switch output {
    case .artifact:
      try compress(checkpoint, int8, to: artifact)
      #expect(try Artifact(path: artifact).tensors.count == checkpoint.spec.tensors.count)
    case .kept:
      try compress(checkpoint, nil, to: artifact)
      try same(Fixtures.decoded(artifact), checkpoint)
    case .safetensors, .gguf:
      try compress(checkpoint, exact, to: artifact)
      let model = ExportedModel(try ModelFile(path: artifact))
      let path = folder + (output == .gguf ? "/x.gguf" : "/x")
      if output == .gguf {
        _ = try GGUFExport(numbers: .f32).write(model, to: path, pool: pool)
      } else {
        _ = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30).write(model, to: path, pool: pool)
      }
      try same(decoded(Checkpoint(path: path)), checkpoint)
    case .compressedTensors, .gptq:
      try compress(checkpoint, int4, to: artifact)
      let packing: WeightPacking = output == .gptq ? .gptq : .compressedTensors
      let export = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30, packing: packing)
      _ = try export.write(ExportedModel(ModelFile(path: artifact)), to: folder + "/x", pool: pool)
      try same(Fixtures.decoded(artifact), Checkpoint(path: folder + "/x"))
    }
  }

  private static func decoded(_ checkpoint: Checkpoint) throws -> [String: [[Float]]] {
    try Dictionary(
      uniqueKeysWithValues: checkpoint.spec.tensors.map { ($0.name, [try checkpoint.source($0.name).readAll()]) })
  }

  /// Holds weights to those of a checkpoint; what a form folds into numbers comes back but for rounding.
  private static func same(_ rows: [String: [[Float]]], _ checkpoint: Checkpoint) throws {
    for tensor in checkpoint.spec.tensors {
      guard let found = rows[tensor.name] else {
        Issue.record("\(tensor.name) is missing")
        continue
      }
      let values = try checkpoint.source(tensor.name).readAll()
      let isSame = found.joined().elementsEqual(values) { abs($0 - $1) <= 2.4e-7 * max(1, abs($1)) }
      #expect(isSame, "\(tensor.name)")
    }
  }

  // MARK: The table

  /// A cell: nothing, or why it is refused.
  private static func cell(_ input: FormInput, _ output: FormOutput) throws -> String? {
    try TestData.withTemporaryFolder { folder in
      do {
        try make(output, Checkpoint(path: prepare(input, in: folder), adapter: input.adapter), in: folder)
        return nil
      } catch let error as FurlError {
        #expect(error.kind == .input && error.remedy != nil, "\(input.name), \(output): \(error)")
        return error.problem
      }
    }
  }

  @Test func everyFormGoesIntoEveryOther() throws {
    var reasons: [String] = []
    var lines: [String] = []
    for input in Self.inputs {
      let cells = try FormOutput.allCases.map { output -> String in
        guard let reason = try Self.cell(input, output) else { return "yes" }
        if !reasons.contains(reason) { reasons.append(reason) }
        return "no (\((reasons.firstIndex(of: reason) ?? 0) + 1))"
      }
      lines.append("| \(input.name) | \(cells.joined(separator: " | ")) |")
    }
    #expect(Self.inputs.count > 50 && lines.contains { !$0.contains("no (") })
    let titles = FormOutput.allCases.map(\.title)
    let text = """
      # What goes in, and what comes out

      Every form that checkpoints come in, times every form that models leave in: small checkpoints of the families, of the forms of
      quantized checkpoints and of adapters (`Tests/Fixtures`), each written and read back. `artifact` is `weights: int8`; `codes
      kept` is `--keep-codes` without a recipe, which plain numbers go through as they are; `safetensors` and `GGUF` are
      FP32 exports of an artifact in FP32; `compressed-tensors` and `GPTQ` are exports of `weights: int4, block: row`. What is
      refused is refused in the numbered words, with what to do. This page is written by a test.

      | in | \(titles.joined(separator: " | ")) |
      | --- |\(titles.map { _ in " --- |" }.joined())
      \(lines.joined(separator: "\n"))

      \(reasons.enumerated().map { "\($0 + 1). \($1)" }.joined(separator: "\n"))

      """
    if ProcessInfo.processInfo.environment["FURL_WRITE_SNAPSHOTS"] != nil {
      try TestData.write(Array(text.utf8), to: Self.page)
    }
    let found = try? String(decoding: TestData.bytes(Self.page), as: UTF8.self)
    #expect(found == text, "docs/forms.md: FURL_WRITE_SNAPSHOTS=1 make test writes it anew")
  }
}
