package import FurlSpec

extension TensorSpec {
  /// What llama.cpp's files call the tensor, or the one that it is a part of; nil for a family that llama.cpp does not run.
  package func ggufName(in spec: ModelSpec) -> String? {
    Architectures.named(spec.architecture)?.gguf(of: spec)?.location(of: self, in: spec).name
  }
}
