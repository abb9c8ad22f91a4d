package import FurlSpec

extension ModelSpec {
  /// The model in its flat form; nil where its blocks differ in more than their widths. Setting it makes the blocks anew.
  package var uniform: UniformDecoder? {
    get { UniformDecoder(self) }
    set {
      guard let flat = newValue else { return }
      self = ModelSpec(
        architecture: architecture, vocabularySize: vocabularySize, hiddenSize: hiddenSize,
        contextLength: contextLength, norm: flat.norm, normEpsilon: flat.normEpsilon, residual: flat.residual,
        positions: flat.positions, mlp: flat.mlp, activation: flat.activation, biases: flat.biases,
        tiedEmbeddings: tiedEmbeddings, blocks: flat.blocks, patches: patches)
    }
  }
}
