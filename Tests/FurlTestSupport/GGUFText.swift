/// A small GGUF file, put together by hand: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
package struct GGUFText: Sendable {
  /// A value with the number of its type.
  package enum Value: Sendable {
    case uint8(UInt8), int8(Int8), uint16(UInt16), int16(Int16), uint32(UInt32), int32(Int32), float32(Float)
    case bool(UInt8), text([UInt8]), uint64(UInt64), int64(Int64), float64(Double)
    /// The number of the elements' type, how many there are said to be, and their bytes.
    case list(type: UInt32, count: UInt64, [UInt8])
    /// A type and bytes of any kind.
    case raw(UInt32, [UInt8])

    package static func string(_ text: String) -> Value { .text(Array(text.utf8)) }

    package static func strings(_ texts: [String]) -> Value {
      .list(type: 8, count: UInt64(texts.count), texts.flatMap { GGUFText.text(Array($0.utf8)) })
    }

    var bytes: [UInt8] {
      switch self {
      case .uint8(let value): GGUFText.bytes(UInt32(0)) + [value]
      case .int8(let value): GGUFText.bytes(UInt32(1)) + [UInt8(bitPattern: value)]
      case .uint16(let value): GGUFText.bytes(UInt32(2)) + GGUFText.bytes(value)
      case .int16(let value): GGUFText.bytes(UInt32(3)) + GGUFText.bytes(value)
      case .uint32(let value): GGUFText.bytes(UInt32(4)) + GGUFText.bytes(value)
      case .int32(let value): GGUFText.bytes(UInt32(5)) + GGUFText.bytes(value)
      case .float32(let value): GGUFText.bytes(UInt32(6)) + GGUFText.bytes(value.bitPattern)
      case .bool(let value): GGUFText.bytes(UInt32(7)) + [value]
      case .text(let value): GGUFText.bytes(UInt32(8)) + GGUFText.text(value)
      case .list(let type, let count, let elements):
        GGUFText.bytes(UInt32(9)) + GGUFText.bytes(type) + GGUFText.bytes(count) + elements
      case .uint64(let value): GGUFText.bytes(UInt32(10)) + GGUFText.bytes(value)
      case .int64(let value): GGUFText.bytes(UInt32(11)) + GGUFText.bytes(value)
      case .float64(let value): GGUFText.bytes(UInt32(12)) + GGUFText.bytes(value.bitPattern)
      case .raw(let type, let value): GGUFText.bytes(type) + value
      }
    }
  }

  package struct Tensor: Sendable {
    package var name: [UInt8]
    /// The first is the innermost.
    package var dimensions: [UInt64]
    package var type: UInt32
    /// Nil: behind the tensor before.
    package var offset: UInt64?
    package var bytes: [UInt8]

    package init(_ name: String, _ dimensions: [UInt64], type: UInt32 = 0, offset: UInt64? = nil, _ bytes: [UInt8]) {
      self.name = Array(name.utf8)
      self.dimensions = dimensions
      self.type = type
      self.offset = offset
      self.bytes = bytes
    }
  }

  package var version: UInt32 = 3
  package var metadata: [(key: String, value: Value)]
  package var tensors: [Tensor]
  package var alignment = 32
  /// What the file says instead of the truth.
  package var tensorCount: UInt64?
  package var keyCount: UInt64?

  package init(_ metadata: [(key: String, value: Value)], _ tensors: [Tensor] = []) {
    self.metadata = metadata
    self.tensors = tensors
  }

  package static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  package static func text(_ bytes: [UInt8]) -> [UInt8] { GGUFText.bytes(UInt64(bytes.count)) + bytes }

  /// The keys with their values.
  package var keyBytes: [UInt8] { metadata.flatMap { GGUFText.text(Array($0.key.utf8)) + $0.value.bytes } }

  /// The whole file.
  package var bytes: [UInt8] {
    var head = Array("GGUF".utf8) + GGUFText.bytes(version)
    head += GGUFText.bytes(tensorCount ?? UInt64(tensors.count)) + GGUFText.bytes(keyCount ?? UInt64(metadata.count))
    head += keyBytes
    var data: [UInt8] = []
    for tensor in tensors {
      head += GGUFText.text(tensor.name) + GGUFText.bytes(UInt32(tensor.dimensions.count))
      head += tensor.dimensions.flatMap { GGUFText.bytes($0) }
      head += GGUFText.bytes(tensor.type) + GGUFText.bytes(tensor.offset ?? UInt64(data.count))
      data += tensor.bytes
      data += padding(data.count)
    }
    return head + padding(head.count) + data
  }

  private func padding(_ count: Int) -> [UInt8] {
    [UInt8](repeating: 0, count: (alignment - count % alignment) % alignment)
  }
}
