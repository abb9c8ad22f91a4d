import FurlBase
package import FurlCheckpoint
import FurlSpec
package import FurlTensor

/// How much of a checkpoint is stored as one type.
package struct StoredType: Sendable, Hashable {
  package let type: SourceType
  package private(set) var tensors = 0
  /// Numbers in them.
  package private(set) var weights = 0

  /// Bytes on disk.
  package var bytes: Int { type.byteCount(weights) }
  package var bitsPerWeight: Double { 8 * Double(type.blockBytes) / Double(type.blockSize) }

  /// The types of a checkpoint, that of most weights first.
  package static func list(of checkpoint: Checkpoint) throws -> [StoredType] {
    var types: [SourceType: StoredType] = [:]
    for tensor in checkpoint.spec.tensors {
      let type = try checkpoint.source(tensor.name).type
      var found = types[type] ?? StoredType(type: type)
      found.tensors += 1
      found.weights += tensor.elementCount
      types[type] = found
    }
    return types.values.sorted { ($1.weights, $0.type.rawValue) < ($0.weights, $1.type.rawValue) }
  }

  var json: JSON {
    [
      "type": .string(type.rawValue), "tensors": .integer(tensors), "weights": .integer(weights),
      "bits_per_weight": .number(bitsPerWeight), "disk_bytes": .integer(bytes),
    ]
  }
}
