import FurlArtifact
package import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTokenizer

extension Plan {
  /// - Parameters:
  ///   - fileUpperBound: from ``Compressor/fileUpperBound()``.
  ///   - prediction: from ``Compressor/predictSize(pool:)``, where it was asked for.
  package func json(fileUpperBound: Int, prediction: SizePrediction? = nil) -> JSON {
    var members: [JSON.Member] = [
      .init("recipe", .string(recipe.name)), .init("recipe_sha256", .string(recipe.digest.hex)),
      .init("storage", .string(recipe.storage.rawValue)), .init("architecture", .string(spec.architecture)),
      .init("layers", .integer(spec.blocks.count)), .init("parameters", .integer(spec.parameterCount)),
      .init("weight_bytes", .integer(rawBytes)), .init("bits_per_weight", .number(bitsPerWeight)),
      .init("kv_cache_bytes", .integer(keyValueBytes)), .init("disk_bytes_at_most", .integer(fileUpperBound)),
    ]
    if recipe.changesModel { members.append(.init("estimated", .bool(true))) }
    if let keptCodes { members.append(.init("kept_codes", keptCodes.json)) }
    if let prediction {
      members += [
        .init("disk_bytes_predicted", .integer(prediction.fileBytes)),
        .init("sampled_weights", .integer(prediction.sampledWeights)),
      ]
    }
    members.append(
      .init("tensors", .array(tensors.indices.map { json(of: tensors[$0], bytes: prediction?.tensorBytes[$0]) })))
    return .object(members)
  }

  private func json(of tensor: PlannedTensor, bytes: Int?) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(tensor.spec.name)), .init("source", .string(tensor.sourceName)),
      .init("role", .string(tensor.spec.role.rawValue)),
      .init("shape", .array(tensor.spec.shape.map(JSON.integer))), .init("scheme", .string(tensor.scheme.name)),
      .init("weight_bytes", .integer(tensor.layout.byteCount)),
    ]
    if let bytes { members.append(.init("disk_bytes_predicted", .integer(bytes))) }
    return .object(members)
  }
}

extension Compressor {
  /// Bytes that the artifact cannot exceed, from headers, the tokenizer and the recipe alone.
  package func fileUpperBound() throws -> Int { fileUpperBound(tokenizer: try tokenizer().serialized().count) }

  /// - Parameter tokenizer: bytes of the tokenizer.
  func fileUpperBound(tokenizer: Int) -> Int {
    // How much goes is not known yet where a step has to compute with the model: as if nothing did.
    if plan.recipe.changesModel, changes.isEmpty {
      let quantizing = plan.recipe.steps.filter { if case .quantize = $0 { true } else { false } }
      var spec = checkpoint.spec
      spec.addBiases([.attentionOutput, .down])
      if let whole = try? Plan(plan.recipe, steps: quantizing, for: spec) {
        let bound = Compressor(checkpoint, plan: whole, changes: [.null], sample: nil).fileUpperBound(
          tokenizer: tokenizer)
        // What steps say about themselves, and maps in place of blocks, which have more weights.
        return bound + 256 * (1024 + checkpoint.spec.blocks.count)
      }
    }
    let texts = [plan.spec.json, checkpoint.config, plan.recipe.json].reduce(0) { $0 + $1.compactText.utf8.count }
    // The index names a stream in under 500 bytes, and each of its frames (of at most 256 KiB) in 8.
    let streams = plan.tensors.flatMap { tensor in tensor.layout.streams.map { (tensor.spec.name.utf8.count, $0) } }
    let index = streams.reduce(0) { $0 + 500 + $1.0 + 8 * (2 + 8 * $1.1.byteCount / (64 << 10)) }
    // A stream whose frames are not smaller than itself lies raw; every section begins on a multiple of 64.
    let weights = streams.reduce(0) { $0 + ($1.1.byteCount + 63) / 64 * 64 }
    return weights + tokenizer + tokenizer / 64 + index + 2 * texts + 16 * 1024
  }
}
