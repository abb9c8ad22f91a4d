import FurlArtifact
import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// What the tests of transforms share.
enum Fixtures {
  static let gpt2 = TestData.root + "/Tests/Fixtures/gpt2"
  static let recipes = TestData.root + "/recipes"

  static func recipe(_ steps: String, more: String = "") throws -> Recipe {
    try Recipe(YAML.read(Array("furl: 1\nrecipe: r\nsteps:\n\(steps)\n\(more)".utf8), file: "r.yaml"))
  }

  /// Decoded rows of every tensor of an artifact; a vector is one row.
  static func decoded(_ path: String) throws -> [String: [[Float]]] {
    let weights = try ArtifactWeights(Artifact(path: path))
    let pool = WorkerPool(threads: 1)
    var result: [String: [[Float]]] = [:]
    for tensor in weights.spec.tensors {
      if tensor.shape.count == 1 {
        result[tensor.name] = [try weights.vector(tensor).values]
      } else {
        let matrix = try weights.matrix(tensor, pool: pool)
        result[tensor.name] = (0..<matrix.rows).map { matrix.row($0) }
      }
    }
    return result
  }

  /// The rows of a tensor of a GPT-2 checkpoint by Furl's name, read by the tests' own reader: linear layers are
  /// stored input x output, with query, key and value side by side.
  static func source(_ name: String, of checkpoint: SampleCheckpoint) throws -> [[Float]] {
    let names = [
      "attention.norm": "ln_1", "attention.output": "attn.c_proj", "mlp.norm": "ln_2", "mlp.up": "mlp.c_fc",
      "mlp.down": "mlp.c_proj", "attention.query": "attn.c_attn", "attention.key": "attn.c_attn",
      "attention.value": "attn.c_attn",
    ]
    let isBias = name.hasSuffix(".bias")
    let bare = isBias ? String(name.dropLast(5)) : name
    let suffix = isBias ? ".bias" : ".weight"
    let parts = bare.split(separator: ".", maxSplits: 2).map(String.init)
    guard parts[0] == "blocks" else {
      let top = ["embedding": "wte", "positions": "wpe", "norm": "ln_f"][bare] ?? ""
      let tensor = try #require(find(top + suffix, checkpoint))
      return rows(tensor.values, tensor.shape.count == 2 ? tensor.shape[1] : tensor.values.count)
    }
    let tensor = try #require(find("h.\(parts[1])." + (names[parts[2]] ?? "") + suffix, checkpoint))
    let isNorm = parts[2].hasSuffix("norm")
    let part = ["attention.query": 0, "attention.key": 1, "attention.value": 2][parts[2]]
    if tensor.shape.count == 1 {
      guard let part, !isNorm else { return [tensor.values] }
      let width = tensor.values.count / 3
      return [Array(tensor.values[part * width..<(part + 1) * width])]
    }
    let outputs = tensor.shape[1]
    let range = part.map { $0 * outputs / 3..<($0 + 1) * outputs / 3 } ?? 0..<outputs
    return range.map { output in (0..<tensor.shape[0]).map { tensor.values[$0 * outputs + output] } }
  }

  private static func find(_ name: String, _ checkpoint: SampleCheckpoint) -> SampleCheckpoint.Tensor? {
    checkpoint.tensors["transformer." + name] ?? checkpoint.tensors[name]
  }

  private static func rows(_ values: [Float], _ columns: Int) -> [[Float]] {
    stride(from: 0, to: values.count, by: columns).map { Array(values[$0..<$0 + columns]) }
  }
}

/// Expects an error of Furl's that is one line and says what is asked for.
func expectError(
  _ kind: FurlError.Kind, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  let error = #expect(throws: FurlError.self, sourceLocation: sourceLocation) { try body() }
  guard let error else { return }
  #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
  #expect(!error.description.contains("\n"), sourceLocation: sourceLocation)
  for word in words { #expect(error.description.contains(word), "\(error)", sourceLocation: sourceLocation) }
}
