import FurlBase
import FurlSpec
import FurlTensor

/// A model family: how its `config.json` and its tensors' names map to a ``ModelSpec``. One file each.
protocol Architecture: Sendable {
  /// `model_type` of `config.json`.
  static var modelType: String { get }

  /// - Throws: ``FurlError`` of kind `input` naming the key, also for what is not supported yet.
  static func spec(_ config: DocumentReader) throws -> ModelSpec

  /// Where a tensor of the spec is found.
  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation

  /// What stands before names in some checkpoints and is missing in others.
  static var prefix: String { get }

  /// What `config.json` calls the sizes that transforms change.
  static var configurationKeys: ConfigurationKeys { get }

  /// Other names of keys, and which keys they stand for.
  static var aliases: KeyValuePairs<String, String> { get }
}

extension Architecture {
  static var aliases: KeyValuePairs<String, String> { [:] }
}

/// Where a tensor lies in its source.
struct TensorLocation: Sendable {
  /// The source's name, without the family's prefix.
  var name: String
  /// Stored as input x output.
  var isTransposed = false
  /// The outputs that belong to the tensor where several are fused, and how many there are in all.
  var part: (start: Int, total: Int)?
  /// How the source orders the rows of a head.
  var rowOrder: WeightSource.RowOrder = .stored
}

/// The families that there are.
enum Architectures {
  static let all: [any Architecture.Type] = [
    GPT2.self, StarCoder2.self, Phi.self, Llama.self, Mistral.self, Qwen2.self,
  ]
}
