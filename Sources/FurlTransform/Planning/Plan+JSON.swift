import FurlArtifact
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTokenizer

extension Plan {
  /// - Parameter fileUpperBound: from ``Compressor/fileUpperBound()``.
  public func json(fileUpperBound: Int) -> JSON {
    [
      "recipe": .string(recipe.name), "recipe_sha256": .string(recipe.digest.hex),
      "storage": .string(recipe.storage.rawValue), "architecture": .string(spec.architecture),
      "layers": .integer(spec.blocks.count), "parameters": .integer(spec.parameterCount),
      "weight_bytes": .integer(rawBytes), "bits_per_weight": .number(bitsPerWeight),
      "kv_cache_bytes": .integer(keyValueBytes), "disk_bytes_at_most": .integer(fileUpperBound),
      "tensors": .array(
        tensors.map {
          [
            "name": .string($0.spec.name), "source": .string($0.sourceName), "role": .string($0.spec.role.rawValue),
            "shape": .array($0.spec.shape.map(JSON.integer)), "scheme": .string($0.scheme.name),
            "weight_bytes": .integer($0.layout.byteCount),
          ]
        }),
    ]
  }
}

extension Compressor {
  /// Bytes that the artifact cannot exceed, from headers, the tokenizer and the recipe alone.
  public func fileUpperBound() throws -> Int { fileUpperBound(tokenizer: try tokenizer().serialized().count) }

  /// - Parameter tokenizer: bytes of the tokenizer.
  func fileUpperBound(tokenizer: Int) -> Int {
    let texts = [plan.spec.json, checkpoint.config, plan.recipe.json].reduce(0) { $0 + $1.compactText.utf8.count }
    // The index names a stream in under 500 bytes, and each of its frames (of at most 256 KiB) in 8.
    let streams = plan.tensors.flatMap { tensor in tensor.layout.streams.map { (tensor.spec.name.utf8.count, $0) } }
    let index = streams.reduce(0) { $0 + 500 + $1.0 + 8 * (2 + 8 * $1.1.byteCount / (64 << 10)) }
    // A stream whose frames are not smaller than itself lies raw; every section begins on a multiple of 64.
    let weights = streams.reduce(0) { $0 + ($1.1.byteCount + 63) / 64 * 64 }
    return weights + tokenizer + tokenizer / 64 + index + 2 * texts + 16 * 1024
  }
}
