package import FurlBase

/// What a GGUF file says about its model besides the tensors: values by their keys.
///
/// Values stay where they lie in the mapped file until they are asked for, so a vocabulary of 150,000 texts costs
/// nothing before. Asking for a key as another kind than it has is an error; a key that is not there gives nil.
package struct GGUFMetadata: Sendable {
  /// The kinds of values, by their numbers in the format.
  package enum GGUFValueKind: UInt32, Sendable {
    case uint8, int8, uint16, int16, uint32, int32, float32, bool, text, list, uint64, int64, float64

    /// Bytes of a value; nil where they differ from value to value.
    var size: Int? {
      switch self {
      case .uint8, .int8, .bool: 1
      case .uint16, .int16: 2
      case .uint32, .int32, .float32: 4
      case .uint64, .int64, .float64: 8
      case .text, .list: nil
      }
    }

    var isInteger: Bool {
      switch self {
      case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64: true
      default: false
      }
    }

    var phrase: String {
      switch self {
      case .text: "a text"
      case .list: "a list"
      case .bool: "a boolean"
      case .float32, .float64: "a number"
      default: "an integer"
      }
    }
  }

  struct Value: Sendable {
    let kind: GGUFValueKind
    /// How many values of the kind there are; nil for a value that is no list.
    let listCount: Int?
    /// Where the values lie; those of texts with their lengths.
    let range: Range<Int>

    var phrase: String {
      guard listCount != nil else { return kind.phrase }
      return "a list of " + kind.phrase.split(separator: " ")[1] + "s"
    }
  }

  let file: MappedFile
  private let values: [String: Value]
  /// The keys in the file's order.
  package let keys: [String]

  /// Reads `count` pairs of keys and values.
  init(_ cursor: inout GGUFCursor, count: Int) throws {
    var values: [String: Value] = [:]
    var keys: [String] = []
    for index in 0..<count {
      let key = try cursor.name("the name of key \(index)")
      let value = try GGUFMetadata.value(&cursor, key: key)
      guard values.updateValue(value, forKey: key) == nil else {
        throw FurlError.input(cursor.file.path, key, "appears twice")
      }
      keys.append(key)
    }
    file = cursor.file
    self.values = values
    self.keys = keys
  }

  private static func kind(_ cursor: inout GGUFCursor, key: String) throws -> GGUFValueKind {
    let number: UInt32 = try cursor.integer("the type of \"\(key)\"")
    guard let kind = GGUFValueKind(rawValue: number) else {
      throw FurlError.input(cursor.file.path, key, "has type \(number), which is not known")
    }
    return kind
  }

  private static func value(_ cursor: inout GGUFCursor, key: String) throws -> Value {
    let kind = try kind(&cursor, key: key)
    guard kind == .list else {
      let start = cursor.offset
      if let size = kind.size {
        _ = try cursor.skip(UInt64(size), "the value of \"\(key)\"")
      } else {
        _ = try cursor.skipText("the value of \"\(key)\"")
      }
      return Value(kind: kind, listCount: nil, range: start..<cursor.offset)
    }
    let element = try GGUFMetadata.kind(&cursor, key: key)
    guard element != .list else {
      throw FurlError.input(cursor.file.path, key, "is a list of lists, which is not supported")
    }
    let claimed: UInt64 = try cursor.integer("the length of \"\(key)\"")
    let count = try cursor.count(of: "values of \"\(key)\"", atLeast: element.size ?? 8, as: claimed)
    let start = cursor.offset
    if let size = element.size {
      _ = try cursor.skip(UInt64(size * count), "\"\(key)\"")
    } else {
      for _ in 0..<count { _ = try cursor.skipText("\"\(key)\"") }
    }
    return Value(kind: element, listCount: count, range: start..<cursor.offset)
  }

  // MARK: Access

  /// Whether a key is there.
  package func has(_ key: String) -> Bool { values[key] != nil }

  /// The number of values in a list; nil where there is no such list.
  package func count(_ key: String) -> Int? { values[key]?.listCount }

  /// An error at a key of the file.
  package func error(_ key: String, _ problem: String, remedy: String? = nil) -> FurlError {
    .input(file.path, key, problem, remedy: remedy)
  }

  private func value(_ key: String, isList: Bool, _ phrase: String, _ fits: (GGUFValueKind) -> Bool) throws -> Value? {
    guard let value = values[key] else { return nil }
    guard (value.listCount != nil) == isList, fits(value.kind) else {
      throw error(key, "\(phrase) is expected, not \(value.phrase)")
    }
    return value
  }

  package func string(_ key: String) throws -> String? {
    guard let value = try value(key, isList: false, "a text", { $0 == .text }) else { return nil }
    guard let text = String(validating: file.read(value.range.dropFirst(8)), as: UTF8.self) else {
      throw error(key, "is not UTF-8")
    }
    return text
  }

  /// A text that is only shown: what is malformed in it is replaced.
  package func text(_ key: String) throws -> String? {
    guard let value = try value(key, isList: false, "a text", { $0 == .text }) else { return nil }
    return String(decoding: file.read(value.range.dropFirst(8).prefix(1 << 16)), as: UTF8.self)
  }

  /// An integer of any width.
  package func integer(_ key: String) throws -> Int? {
    guard let value = try value(key, isList: false, "an integer", { $0.isInteger }) else { return nil }
    return try integer(value, at: 0, key: key)
  }

  /// A floating-point number; integers count. Of an FP32 number the shortest decimal that means it: 1e-05, not
  /// 9.999999747378752e-06.
  package func number(_ key: String) throws -> Double? {
    guard
      let value = try value(key, isList: false, "a number", { $0 == .float32 || $0 == .float64 || $0.isInteger })
    else { return nil }
    switch value.kind {
    case .float32:
      let number = Float(bitPattern: file.integer(at: value.range.lowerBound))
      return Double(number.description) ?? Double(number)
    case .float64: return Double(bitPattern: file.integer(at: value.range.lowerBound))
    default: return Double(try integer(value, at: 0, key: key))
    }
  }

  package func bool(_ key: String) throws -> Bool? {
    guard let value = try value(key, isList: false, "a boolean", { $0 == .bool }) else { return nil }
    return file.integer(at: value.range.lowerBound, as: UInt8.self) != 0
  }

  /// A list of texts as bytes: tokens of some vocabularies are no UTF-8.
  package func bytes(_ key: String) throws -> [[UInt8]]? {
    guard let value = try value(key, isList: true, "a list of texts", { $0 == .text }) else { return nil }
    var list: [[UInt8]] = []
    forEachText(value) { list.append(Array($0)) }
    return list
  }

  /// A list of texts.
  ///
  /// - Throws: ``FurlError`` of kind `input` naming the first that is not UTF-8.
  package func strings(_ key: String) throws -> [String]? {
    guard let value = try value(key, isList: true, "a list of texts", { $0 == .text }) else { return nil }
    var list: [String] = []
    var bad: Int?
    forEachText(value) { bytes in
      // Decoding replaces what is malformed, so that the bytes differ.
      let text = String(decoding: bytes, as: UTF8.self)
      if bad == nil, !text.utf8.elementsEqual(bytes) { bad = list.count }
      list.append(text)
    }
    if let bad { throw error("\(key)[\(bad)]", "is not UTF-8") }
    return list
  }

  /// A list of integers of any width.
  package func integers(_ key: String) throws -> [Int]? {
    guard let value = try value(key, isList: true, "a list of integers", { $0.isInteger }) else { return nil }
    return try (0..<(value.listCount ?? 0)).map { try integer(value, at: $0, key: key) }
  }

  /// A list of booleans.
  package func bools(_ key: String) throws -> [Bool]? {
    guard let value = try value(key, isList: true, "a list of booleans", { $0 == .bool }) else { return nil }
    return file.read(value.range).map { $0 != 0 }
  }

  /// A list of FP32 numbers.
  package func floats(_ key: String) throws -> [Float]? {
    guard let value = try value(key, isList: true, "a list of FP32 numbers", { $0 == .float32 }) else { return nil }
    return file.floats(.float32, at: value.range.lowerBound, count: value.listCount ?? 0)
  }

  /// The lengths were checked against the file when it was opened.
  private func forEachText(_ value: Value, _ body: (ArraySlice<UInt8>) -> Void) {
    let bytes = file.read(value.range)
    var position = 0
    for _ in 0..<(value.listCount ?? 0) {
      let length = bytes[position..<position + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
      body(bytes[position + 8..<position + 8 + length])
      position += 8 + length
    }
  }

  private func integer(_ value: Value, at index: Int, key: String) throws -> Int {
    func read<Integer: FixedWidthInteger>(_: Integer.Type) -> Int? {
      Int(exactly: file.integer(at: value.range.lowerBound + index * MemoryLayout<Integer>.size, as: Integer.self))
    }
    let number =
      switch value.kind {
      case .uint8: read(UInt8.self)
      case .int8: read(Int8.self)
      case .uint16: read(UInt16.self)
      case .int16: read(Int16.self)
      case .uint32: read(UInt32.self)
      case .int32: read(Int32.self)
      case .uint64: read(UInt64.self)
      default: read(Int64.self)
      }
    guard let number else { throw error(key, "is too large an integer") }
    return number
  }
}
