import FurlTensor

/// A key of a GGUF file and its value.
///
/// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3, little-endian.
struct GGUFEntry {
  enum GGUFEntryValue {
    case uint32(UInt32)
    case int32(Int32)
    case float32(Float)
    case bool(Bool)
    case text(String)
    case texts([String])
    case int32s([Int32])
    case floats([Float])
    case bools([Bool])
  }

  let key: String
  let value: GGUFEntryValue

  init(_ key: String, _ value: GGUFEntryValue) {
    self.key = key
    self.value = value
  }

  func write(to bytes: inout [UInt8]) {
    bytes.append(text: key)
    switch value {
    case .uint32(let number):
      bytes.append(GGUFMetadata.GGUFValueKind.uint32.rawValue)
      bytes.append(number)
    case .int32(let number):
      bytes.append(GGUFMetadata.GGUFValueKind.int32.rawValue)
      bytes.append(UInt32(bitPattern: number))
    case .float32(let number):
      bytes.append(GGUFMetadata.GGUFValueKind.float32.rawValue)
      bytes.append(number.bitPattern)
    case .bool(let flag):
      bytes.append(GGUFMetadata.GGUFValueKind.bool.rawValue)
      bytes.append(UInt8(flag ? 1 : 0))
    case .text(let text):
      bytes.append(GGUFMetadata.GGUFValueKind.text.rawValue)
      bytes.append(text: text)
    case .texts(let texts):
      GGUFEntry.list(.text, texts.count, to: &bytes)
      for text in texts { bytes.append(text: text) }
    case .int32s(let numbers):
      GGUFEntry.list(.int32, numbers.count, to: &bytes)
      for number in numbers { bytes.append(UInt32(bitPattern: number)) }
    case .floats(let numbers):
      GGUFEntry.list(.float32, numbers.count, to: &bytes)
      for number in numbers { bytes.append(number.bitPattern) }
    case .bools(let flags):
      GGUFEntry.list(.bool, flags.count, to: &bytes)
      for flag in flags { bytes.append(UInt8(flag ? 1 : 0)) }
    }
  }

  private static func list(_ kind: GGUFMetadata.GGUFValueKind, _ count: Int, to bytes: inout [UInt8]) {
    bytes.append(GGUFMetadata.GGUFValueKind.list.rawValue)
    bytes.append(kind.rawValue)
    bytes.append(UInt64(count))
  }
}

extension [UInt8] {
  /// Little-endian.
  mutating func append(_ number: UInt32) {
    for shift in stride(from: 0, to: 32, by: 8) { append(UInt8(truncatingIfNeeded: number >> UInt32(shift))) }
  }

  /// Little-endian.
  mutating func append(_ number: UInt64) {
    for shift in stride(from: 0, to: 64, by: 8) { append(UInt8(truncatingIfNeeded: number >> UInt64(shift))) }
  }

  /// A length and UTF-8.
  mutating func append(text: String) {
    append(UInt64(text.utf8.count))
    append(contentsOf: text.utf8)
  }
}
