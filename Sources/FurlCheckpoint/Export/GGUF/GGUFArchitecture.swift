import FurlBase
import FurlSpec
import FurlTensor

/// A model as llama.cpp runs it: an architecture of llama.cpp's, and what becomes of the model's numbers.
struct GGUFArchitecture {
  let family: any Architecture.Type
  let gguf: GGUFFamily
  let spec: ModelSpec
  /// The `config.json` of the checkpoint that the model is or was made from.
  let config: JSON
  /// The model, for errors.
  let path: String
  /// What numbers of a file are folded into.
  let folds: Folds

  /// `general.architecture`.
  var name: String { gguf.architecture }

  /// - Throws: ``FurlError`` of kind `input` that says what llama.cpp cannot run.
  init(_ source: any ExportSource) throws {
    func refuse(_ problem: String) -> FurlError {
      .input(
        source.path, "llama.cpp cannot run it: \(problem)", remedy: "run it with furl, or export it as safetensors")
    }
    guard let family = Architectures.named(source.spec.architecture), let gguf = family.gguf(of: source.spec) else {
      throw refuse("it has no architecture for a \(source.spec.architecture) model that Furl knows")
    }
    self.family = family
    self.gguf = gguf
    spec = source.spec
    config = source.config
    path = source.path
    let reader = try DocumentReader(config, file: path, path: "config")
    folds = try gguf.folds(family, reader, spec).merging(GGUFArchitecture.scaleFold(gguf, spec)) { $1 }
    if let problem = problem() { throw refuse(problem) }
  }

  /// Whether llama.cpp runs a model as it is.
  static func canRun(_ source: any ExportSource) -> Bool { (try? GGUFArchitecture(source)) != nil }

  /// A scale of scores that no key says goes into the queries, or into the norm over them: what follows is linear.
  private static func scaleFold(_ gguf: GGUFFamily, _ spec: ModelSpec) -> Folds {
    guard !gguf.keys.contains(where: { $0.name == "attention.scale" }), let attention = spec.blocks.first?.attention,
      let scale = attention.scale
    else { return [:] }
    let own = gguf.assumedScale(spec) ?? 1 / Double(attention.headSize).squareRoot()
    guard abs(scale / own - 1) > 1e-6 else { return [:] }
    return [attention.queryNorm == nil ? "attention.query" : "attention.query_norm": .init(factor: Float(own / scale))]
  }

  /// What llama.cpp computes otherwise than Furl.
  var notes: [String] {
    var notes: [String] = []
    let window = spec.blocks.compactMap(\.attention?.window).min()
    if let window, window < spec.contextLength {
      switch gguf.windows {
      case .pattern: break
      case .none, .leftOut:
        notes.append(
          "llama.cpp's \(name) has no sliding window: beyond \(window) positions it attends to more than the model does"
        )
      }
    }
    if folds["attention.query"] != nil || folds["attention.query_norm"] != nil {
      notes.append("the scale of scores, which \(name) files do not say, is multiplied into the queries")
    }
    if spec.blocks.first?.feedForward?.activation == .gelu {
      notes.append("llama.cpp computes the tanh form of gelu")
    }
    notes += latentNotes
    switch spec.blocks.lazy.compactMap(\.rotary).first?.scaling {
    case .yarn(_, _, _, _, truncates: false):
      notes.append("llama.cpp rounds the bounds of YaRN's ramp, and the model does not")
    case .longRoPE(_, _, let original):
      notes.append(
        "llama.cpp takes the long divisors of LongRoPE when its context (-c) is larger than \(original) positions, however "
          + "long the text is")
    default: break
    }
    return notes
  }
}
