import FurlTestSupport

/// A GGUF file read by the tests themselves, after https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and
/// ggml's block types; nothing is checked, a wrong file ends the test.
struct ParsedGGUF {
  enum Value: Equatable {
    case integer(Int)
    case real(Float)
    case bool(Bool)
    case text(String)
    case list([Value])
  }

  struct Tensor {
    /// As the file lists it: columns first.
    let extents: [Int]
    let type: Int
    /// Up to the next tensor, padding included.
    var bytes: ArraySlice<UInt8>

    var count: Int { extents.reduce(1, *) }
  }

  private(set) var metadata: [String: Value] = [:]
  private(set) var tensors: [String: Tensor] = [:]
  private(set) var version = 0

  init(path: String) throws {
    var reader = Reader(bytes: try TestData.bytes(path))
    precondition(reader.bytes.starts(with: Array("GGUF".utf8)))
    reader.position = 4
    version = reader.integer(4)
    let (tensorCount, keyCount) = (reader.integer(8), reader.integer(8))
    for _ in 0..<keyCount {
      let key = reader.text()
      let kind = reader.integer(4)
      metadata[key] = reader.value(kind)
    }
    var places: [(name: String, extents: [Int], type: Int, offset: Int)] = []
    for _ in 0..<tensorCount {
      let name = reader.text()
      let extents = (0..<reader.integer(4)).map { _ in reader.integer(8) }
      places.append((name, extents, reader.integer(4), reader.integer(8)))
    }
    let start = (reader.position + 31) / 32 * 32
    for (index, place) in places.enumerated() {
      precondition(place.offset % 32 == 0)
      let end = index + 1 < places.count ? start + places[index + 1].offset : reader.bytes.count
      tensors[place.name] = Tensor(
        extents: place.extents, type: place.type, bytes: reader.bytes[(start + place.offset)..<end])
    }
  }

  /// The tensors of another part of the same model, too.
  mutating func add(_ part: ParsedGGUF) { tensors.merge(part.tensors) { first, _ in first } }

  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    mutating func integer(_ size: Int) -> Int {
      defer { position += size }
      return (0..<size).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
    }

    mutating func text() -> String {
      let length = integer(8)
      defer { position += length }
      return String(decoding: bytes[position..<position + length], as: UTF8.self)
    }

    mutating func value(_ kind: Int) -> Value {
      switch kind {
      case 0: return .integer(integer(1))
      case 1: return .integer(Int(Int8(truncatingIfNeeded: integer(1))))
      case 2: return .integer(integer(2))
      case 3: return .integer(Int(Int16(truncatingIfNeeded: integer(2))))
      case 4: return .integer(integer(4))
      case 5: return .integer(Int(Int32(truncatingIfNeeded: integer(4))))
      case 6: return .real(Float(bitPattern: UInt32(integer(4))))
      case 7: return .bool(integer(1) != 0)
      case 8: return .text(text())
      case 9:
        let element = integer(4)
        let count = integer(8)
        return .list((0..<count).map { _ in value(element) })
      case 10, 11: return .integer(integer(8))
      default: preconditionFailure("a kind of value that exports do not have: \(kind)")
      }
    }
  }
}

extension ParsedGGUF.Tensor {
  /// The weights: F32, F16, Q4_0, Q4_1, Q8_0 or BF16.
  var weights: [Float] {
    let bytes = Array(self.bytes)
    func half(_ at: Int) -> Float { Float(Float16(bitPattern: UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8)) }
    switch type {
    case 0:
      return (0..<count).map { index in
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[4 * index + $1]) << (8 * UInt32($1)) })
      }
    case 1: return (0..<count).map { half(2 * $0) }
    case 30:
      return (0..<count).map { Float(bitPattern: (UInt32(bytes[2 * $0]) | UInt32(bytes[2 * $0 + 1]) << 8) << 16) }
    case 8:
      return (0..<count / 32).flatMap { block in
        (0..<32).map { half(block * 34) * Float(Int8(bitPattern: bytes[block * 34 + 2 + $0])) }
      }
    case 2:
      return (0..<count / 32).flatMap { block in
        nibbles(bytes, at: block * 18 + 2).map { Float($0 - 8) * half(block * 18) }
      }
    case 3:
      return (0..<count / 32).flatMap { block in
        nibbles(bytes, at: block * 20 + 4).map { Float($0) * half(block * 20) + half(block * 20 + 2) }
      }
    default: preconditionFailure("a type that exports do not have: \(type)")
    }
  }

  /// The low halves of 16 bytes, then the high ones.
  private func nibbles(_ bytes: [UInt8], at start: Int) -> [Int] {
    (0..<16).map { Int(bytes[start + $0] & 15) } + (0..<16).map { Int(bytes[start + $0] >> 4) }
  }
}
