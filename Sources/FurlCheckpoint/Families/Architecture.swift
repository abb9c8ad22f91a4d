import FurlBase
import FurlSpec
import FurlTensor

/// A model family: how its `config.json` and its tensors' names map to a ``ModelSpec``. One file each.
protocol Architecture: Sendable {
  /// `model_type` of `config.json`.
  static var modelType: String { get }

  /// - Throws: ``FurlError`` of kind `input` naming the key, also for what is not supported yet.
  static func spec(_ config: DocumentReader) throws -> ModelSpec

  /// What its tensors are called.
  static var names: TensorNames { get }

  /// What other programs call them, where files of theirs hold the same model: MLX's conversions, and what transformers
  /// saves under the names of its own classes.
  static var otherNames: [TensorNames] { get }

  /// Where a tensor of the spec is found.
  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation

  /// The same by other names than the first ones.
  static func location(of tensor: TensorSpec, in spec: ModelSpec, called names: TensorNames) -> TensorLocation

  /// What stored numbers are folded into, by the names of tensors in the model or in their block.
  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds

  /// What stands before names in some checkpoints and is missing in others.
  static var prefix: String { get }

  /// What `config.json` calls the sizes that transforms change.
  static var configurationKeys: ConfigurationKeys { get }

  /// Other names of keys, and which keys they stand for.
  static var aliases: KeyValuePairs<String, String> { get }

  /// Layers that files may have behind those of the model and that are not part of it: what predicts further tokens.
  static func layersBeyond(_ config: DocumentReader) throws -> Int

  /// Whether files may have a tensor, by its name without the prefix, that the model does not compute with.
  static func isUnused(_ name: String, in spec: ModelSpec) -> Bool

  /// Keys of an exported `config.json` that say what transforms have changed, beside the sizes of ``configurationKeys``.
  ///
  /// - Parameter before: what the `config.json` says without them.
  static func keys(of spec: ModelSpec, before: ModelSpec) -> [JSON.Member]

  /// What llama.cpp's files call its keys and tensors; nil: llama.cpp does not run it.
  static var gguf: GGUFFamily? { get }

  /// The same where llama.cpp has several architectures for a family, by what its models have: all of them.
  static var ggufForms: [GGUFFamily] { get }

  /// The one of those that a model is.
  static func gguf(of spec: ModelSpec) -> GGUFFamily?

  /// What it covers, for people.
  static var models: String { get }
}

/// What becomes of stored numbers on reading, by the names of tensors in the model or in their block; it is undone on
/// export.
typealias Folds = [String: WeightSource.Fold]

extension Architecture {
  static var prefix: String { "model." }
  static var names: TensorNames { TensorNames() }
  static var otherNames: [TensorNames] { [] }
  static var aliases: KeyValuePairs<String, String> { [:] }
  static var gguf: GGUFFamily? { nil }
  static var ggufForms: [GGUFFamily] { gguf.map { [$0] } ?? [] }
  static func gguf(of spec: ModelSpec) -> GGUFFamily? { gguf }
  static func folds(_ config: DocumentReader, _ spec: ModelSpec) throws -> Folds { [:] }
  static func layersBeyond(_ config: DocumentReader) throws -> Int { 0 }
  static func isUnused(_ name: String, in spec: ModelSpec) -> Bool { false }
  static func keys(of spec: ModelSpec, before: ModelSpec) -> [JSON.Member] { [] }
  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    names.location(of: tensor, in: spec)
  }
  static func location(of tensor: TensorSpec, in spec: ModelSpec, called names: TensorNames) -> TensorLocation {
    names.location(of: tensor, in: spec)
  }
}

/// Where a tensor lies in its source.
struct TensorLocation: Sendable {
  /// The source's name, without the family's prefix.
  var name: String
  /// Stored as input x output.
  var isTransposed = false
  /// The outputs that belong to the tensor where several are fused, and how many there are in all.
  var part: (start: Int, total: Int)?
  /// The columns that belong to the tensor where several lie beside each other, and how many there are in all.
  var columns: (start: Int, total: Int)?
  /// Whether all blocks have the same numbers, which are stored once.
  var isShared = false
  /// Which of several matrices that are stored as one tensor of a dimension more.
  var slice: (index: Int, count: Int)?
  /// The shape that it is stored in, where that is another than its own: a matrix of one row as a vector.
  var storedShape: [Int]?
  /// Rows of a head, where each head is stored as a matrix by itself, input x output.
  var headRows: Int?
  /// The names of vectors that make up the tensor, one after the other; empty: it is one tensor.
  var pieces: [String] = []
  /// Makes a row of a matrix that no file has: (row, columns); nil: files have it.
  var computed: (@Sendable (Int, Int) -> [Float])?
  /// How the source orders the rows.
  var rowOrder: WeightSource.RowOrder = .stored
  var fold: WeightSource.Fold = .none

  /// The shape of what is stored with a tensor in it, others that are fused with it included.
  func wholeShape(of tensor: TensorSpec) -> [Int] {
    var shape = tensor.shape
    if let part { shape[0] = part.total }
    if let columns { shape[1] = columns.total }
    if isTransposed { shape.reverse() }
    if let slice { shape.insert(slice.count, at: 0) }
    return shape
  }

  /// The same with what a family folds into the numbers of a tensor.
  func folding(_ folds: Folds, _ tensor: TensorSpec) -> TensorLocation {
    let isBias = tensor.role == .bias
    let name = tensor.nameInBlock
    var base = isBias ? String(name.dropLast(".bias".count)) : name
    let words = base.split(separator: ".")
    // All experts are folded alike.
    if base.hasPrefix("mlp.experts."), words.count == 4 { base = "mlp.experts." + words[3] }
    guard let fold = folds[base] else { return self }
    var location = self
    // What is added to weights is not added to biases.
    location.fold = isBias ? .init(factor: fold.factor) : fold
    return location
  }
}

extension TensorSpec {
  /// The name without the block: `attention.query`; outside of the blocks the whole name.
  var nameInBlock: String { block.map { String(name.dropFirst("blocks.\($0).".count)) } ?? name }
}

/// The families that there are.
enum Architectures {
  static let all: [any Architecture.Type] = [
    GPT2.self, GPTBigCode.self, GPTNeo.self, GPTJ.self, CodeGen.self, GPTNeoX.self, StarCoder2.self, Phi.self,
    Phi3.self, Llama.self, Mistral.self, Ministral3.self, Qwen2.self, Qwen3.self, Gemma.self, Gemma2.self, Gemma3.self,
    Granite.self, GraniteMoEHybrid.self, SeedOSS.self, IQuestCoder.self, StableLM.self, SmolLM3.self, OLMo2.self,
    OLMo3.self, Mixtral.self, Qwen2MoE.self, Qwen3MoE.self, GraniteMoE.self, PhiMoE.self, Mellum.self, GPTOSS.self,
    XGLM.self, MPT.self,
    DeepSeekV2.self, DeepSeekV3.self, GLM4MoELite.self, Laguna.self, Gemma4.self,
  ]

  /// The family of a `model_type`.
  static func named(_ modelType: String?) -> (any Architecture.Type)? { all.first { $0.modelType == modelType } }
}
