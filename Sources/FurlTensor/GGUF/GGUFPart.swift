import FurlBase

/// A tensor of a GGUF file.
package struct GGUFTensor: Sendable, Hashable {
  package let name: String
  /// The format's name of its type: `Q4_K`.
  package let typeName: String
  /// Rows outermost; the file lists dimensions the other way round.
  package let shape: [Int]
  /// The byte of the first number in its file.
  package let offset: Int

  /// The type, if it is one that weights are read from.
  package var type: SourceType? { SourceType(rawValue: typeName) }

  /// The names of the types of the format, those that it has given up included.
  package static let typeNames: [UInt32: String] = [
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 4: "Q4_2", 5: "Q4_3", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
    10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS",
    18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32",
    27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 34: "TQ1_0",
    35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
  ]
}

/// One GGUF file: a head with metadata and the tensors' places, then their data.
///
/// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Everything in
/// the head is checked when the file is opened; no weight is read.
struct GGUFPart: Sendable {
  let file: MappedFile
  let version: Int
  let metadata: GGUFMetadata
  /// In the order of the file.
  let tensors: [GGUFTensor]

  /// The first four bytes of a GGUF file, "GGUF".
  static let magic: UInt32 = 0x4655_4747
  private static let mostAlignment = 1 << 20

  /// The keys and values of a file, and how many bytes they take.
  static func metadata(path: String) throws -> (metadata: GGUFMetadata, bytes: Int) {
    var cursor = GGUFCursor(try MappedFile(path: path))
    let head = try readHead(&cursor)
    return (try GGUFMetadata(&cursor, count: head.keys), cursor.offset)
  }

  /// What comes before the keys.
  private static func readHead(_ cursor: inout GGUFCursor) throws -> (version: Int, tensors: UInt64, keys: Int) {
    let path = cursor.file.path
    guard try cursor.integer("its magic number", as: UInt32.self) == GGUFPart.magic else {
      throw FurlError.input(path, "is not a GGUF file")
    }
    let version: UInt32 = try cursor.integer("its version")
    guard (2...3).contains(version) else {
      // A version that a machine of the other byte order wrote.
      guard !(2...3).contains(version.byteSwapped) else {
        throw FurlError.input(
          path, "is a big-endian GGUF file, which is not supported", remedy: "convert the model for little endian")
      }
      throw FurlError.input(
        path, "has GGUF version \(version); versions 2 and 3 are read", remedy: "convert the model anew")
    }
    let tensorCount: UInt64 = try cursor.integer("its number of tensors")
    let keyCount: UInt64 = try cursor.integer("its number of keys")
    // A key has a length, a type and a value; a tensor a length, dimensions, a type and an offset.
    let keys = try cursor.count(of: "keys", atLeast: 8 + 4 + 1, as: keyCount)
    _ = try cursor.count(of: "tensors", atLeast: 8 + 4 + 8 + 4 + 8, as: tensorCount)
    return (Int(version), tensorCount, keys)
  }

  /// - Throws: ``FurlError`` of kind `input` that names the key or tensor and what is wrong.
  init(path: String) throws {
    file = try MappedFile(path: path)
    var cursor = GGUFCursor(file)
    let head = try GGUFPart.readHead(&cursor)
    version = head.version
    let tensorCount = head.tensors
    metadata = try GGUFMetadata(&cursor, count: head.keys)
    let count = try cursor.count(of: "tensors", atLeast: 8 + 4 + 8 + 4 + 8, as: tensorCount)
    let alignment = try metadata.integer("general.alignment") ?? 32
    guard (1...GGUFPart.mostAlignment).contains(alignment), alignment & (alignment - 1) == 0 else {
      throw metadata.error("general.alignment", "\(alignment) is not a power of two up to \(GGUFPart.mostAlignment)")
    }
    var places: [PartPlace] = []
    for index in 0..<count { places.append(try PartPlace(&cursor, index: index, alignment: alignment)) }
    let start = (cursor.offset + alignment - 1) / alignment * alignment
    tensors = try GGUFPart.check(places, dataStart: start, in: file)
  }

  /// Where a tensor lies, relative to the data.
  private struct PartPlace {
    let name: String
    let typeName: String
    let shape: [Int]
    let offset: UInt64
    /// 1 for a type whose size is not known: such a tensor is never read.
    let byteCount: Int

    init(_ cursor: inout GGUFCursor, index: Int, alignment: Int) throws {
      let name = try cursor.name("the name of tensor \(index)")
      let path = cursor.file.path
      func wrong(_ problem: String) -> FurlError { .input(path, name, problem) }
      let dimensions: UInt32 = try cursor.integer("the dimensions of \"\(name)\"")
      guard (1...4).contains(dimensions) else { throw wrong("has \(dimensions) dimensions; 1 to 4 are allowed") }
      var shape: [Int] = []
      var elements = 1
      for _ in 0..<dimensions {
        let extent: UInt64 = try cursor.integer("the dimensions of \"\(name)\"")
        guard extent > 0, let size = Int(exactly: extent) else { throw wrong("has a dimension of \(extent)") }
        let (product, overflow) = elements.multipliedReportingOverflow(by: size)
        guard !overflow else { throw wrong("has a shape that is too large") }
        elements = product
        shape.insert(size, at: 0)
      }
      let number: UInt32 = try cursor.integer("the type of \"\(name)\"")
      guard let typeName = GGUFTensor.typeNames[number] else { throw wrong("has type \(number), which is not known") }
      offset = try cursor.integer("the offset of \"\(name)\"")
      guard offset % UInt64(alignment) == 0 else {
        throw wrong("lies at byte \(offset) of the data, which is not a multiple of \(alignment)")
      }
      if let type = SourceType(rawValue: typeName) {
        guard let row = shape.last, row % type.blockSize == 0 else {
          throw wrong("has rows of \(shape.last ?? 0) numbers, which are not whole blocks of \(typeName)")
        }
        let (bytes, overflow) = (elements / type.blockSize).multipliedReportingOverflow(by: type.blockBytes)
        guard !overflow else { throw wrong("has a shape that is too large") }
        byteCount = bytes
      } else {
        byteCount = 1
      }
      self.name = name
      self.typeName = typeName
      self.shape = shape
    }
  }

  private static func check(_ places: [PartPlace], dataStart: Int, in file: MappedFile) throws -> [GGUFTensor] {
    let room = file.count - dataStart
    for place in places {
      guard room >= place.byteCount, place.offset <= UInt64(room - place.byteCount) else {
        throw FurlError.input(
          file.path, place.name, "lies outside of the file, at byte \(place.offset) of its data",
          remedy: "the file is damaged or cut off")
      }
    }
    var end = 0
    for place in places.sorted(by: { $0.offset < $1.offset }) {
      guard place.offset >= UInt64(end) else { throw FurlError.input(file.path, place.name, "overlaps another tensor") }
      end = Int(place.offset) + place.byteCount
    }
    var names: Set<String> = []
    for place in places where !names.insert(place.name).inserted {
      throw FurlError.input(file.path, place.name, "appears twice")
    }
    return places.map {
      GGUFTensor(name: $0.name, typeName: $0.typeName, shape: $0.shape, offset: dataStart + Int($0.offset))
    }
  }
}
