import FurlBase
package import FurlCheckpoint
import FurlSpec
import FurlTensor

/// How much of a checkpoint is stored in one form.
package struct StoredType: Sendable, Hashable {
  /// The type of the numbers, or what codes, scales and zeros are together: `GPTQ 4 bits, groups of 128`.
  package let form: String
  package private(set) var tensors = 0
  /// Numbers in them.
  package private(set) var weights = 0

  /// Bytes on disk.
  package private(set) var bytes = 0
  package var bitsPerWeight: Double { 8 * Double(bytes) / Double(weights) }

  /// The types of a checkpoint, that of most weights first.
  package static func list(of checkpoint: Checkpoint) throws -> [StoredType] {
    var types: [String: StoredType] = [:]
    for tensor in checkpoint.spec.tensors {
      let source = try checkpoint.source(tensor.name)
      var found = types[source.storedForm] ?? StoredType(form: source.storedForm)
      found.tensors += 1
      found.weights += tensor.elementCount
      found.bytes += source.storedBytes(tensor.elementCount)
      types[source.storedForm] = found
    }
    return types.values.sorted { ($1.weights, $0.form) < ($0.weights, $1.form) }
  }

  var json: JSON {
    [
      "type": .string(form), "tensors": .integer(tensors), "weights": .integer(weights),
      "bits_per_weight": .number(bitsPerWeight), "disk_bytes": .integer(bytes),
    ]
  }
}
