/// How the value of a key is read, written and described.
package struct ValueCodec<Value>: Sendable {
  /// Nil where the key is missing or null.
  package let read: @Sendable (DocumentReader, String) throws -> Value?
  package let write: @Sendable (Value) -> JSON
  package let outline: ValueOutline

  package init(
    _ outline: ValueOutline, read: @escaping @Sendable (DocumentReader, String) throws -> Value?,
    write: @escaping @Sendable (Value) -> JSON
  ) {
    self.read = read
    self.write = write
    self.outline = outline
  }

  /// The same value, which has to be more than its type says.
  package func checked(
    _ problem: @escaping @Sendable (Value) -> String, _ remedy: String? = nil,
    if holds: @escaping @Sendable (Value) -> Bool
  ) -> ValueCodec {
    converted(problem, remedy, to: { holds($0) ? $0 : nil }, back: { $0 })
  }

  /// What the value stands for, if it stands for anything.
  package func converted<Other>(
    _ problem: @escaping @Sendable (Value) -> String, _ remedy: String? = nil,
    to convert: @escaping @Sendable (Value) -> Other?, back: @escaping @Sendable (Other) -> Value
  ) -> ValueCodec<Other> {
    mapped(
      { value, reader, key in
        guard let other = convert(value) else { throw reader.error(key, problem(value), remedy: remedy) }
        return other
      }, back: back)
  }

  /// What the value stands for.
  package func mapped<Other>(
    _ map: @escaping @Sendable (Value, DocumentReader, String) throws -> Other,
    back: @escaping @Sendable (Other) -> Value
  ) -> ValueCodec<Other> {
    ValueCodec<Other>(
      outline, read: { reader, key in try self.read(reader, key).map { try map($0, reader, key) } },
      write: { self.write(back($0)) })
  }

  /// The same with more said about it than can be read off its type.
  package func described(_ outline: ValueOutline) -> ValueCodec { ValueCodec(outline, read: read, write: write) }
}

extension ValueCodec where Value == Int {
  package static func integer(in range: ClosedRange<Int>, unit: String? = nil) -> ValueCodec {
    ValueCodec(
      .bounds("integer", .integer(range.lowerBound), .integer(range.upperBound), unit),
      read: { try $0.integer($1, in: range) }, write: JSON.integer)
  }
}

extension ValueCodec where Value == [Int] {
  /// One or more whole numbers from 0 on, none of them twice.
  package static func different(_ problem: String) -> ValueCodec {
    ValueCodec(
      ValueOutline(schema: ["type": "array", "minItems": 1, "items": ["type": "integer", "minimum": 0]]),
      read: { reader, key in
        guard let value = reader.optional(key) else { return nil }
        let numbers = value.array?.compactMap(\.integer) ?? []
        guard !numbers.isEmpty, Set(numbers).count == value.array?.count, numbers.allSatisfy({ $0 >= 0 }) else {
          throw reader.error(key, problem)
        }
        return numbers
      }, write: { .array($0.map(JSON.integer)) })
  }
}

extension ValueCodec where Value == Double {
  package static func number(in range: ClosedRange<Double>, unit: String? = nil) -> ValueCodec {
    ValueCodec(
      .bounds("number", .number(range.lowerBound), .number(range.upperBound), unit),
      read: { try $0.number($1, in: range) }, write: JSON.number)
  }
}

extension ValueCodec where Value == Bool {
  package static var truth: ValueCodec {
    ValueCodec(ValueOutline(schema: ["type": "boolean"]), read: { try $0.bool($1) }, write: JSON.bool)
  }
}

extension ValueCodec where Value == String {
  package static var text: ValueCodec { text() }

  /// - Parameter pattern: what it matches, for those who cannot ask the reader.
  package static func text(matching pattern: String? = nil) -> ValueCodec {
    let schema = [JSON.Member("type", "string")] + (pattern.map { [.init("pattern", .string($0))] } ?? [])
    return ValueCodec(ValueOutline(schema: .object(schema)), read: { try $0.string($1) }, write: JSON.string)
  }
}

extension ValueCodec where Value == [String] {
  package static var texts: ValueCodec {
    ValueCodec(
      ValueOutline(schema: ["type": "array", "items": ["type": "string"]]), read: { try $0.strings($1) },
      write: { .array($0.map(JSON.string)) })
  }
}

extension ValueCodec where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
  /// One of the names of an enumeration.
  package static var word: ValueCodec { word() }

  /// - Parameter later: words that are refused as not supported yet.
  package static func word(later: [String] = []) -> ValueCodec {
    ValueCodec(
      ValueOutline(schema: ["enum": .array(Value.allCases.map { .string($0.rawValue) })]),
      read: { try $0.name($1, of: Value.self, later: later) }, write: { .string($0.rawValue) })
  }
}

extension ValueCodec where Value: Hashable & Sendable {
  /// One of some words; what consists of digits is written as a number.
  package static func words(_ words: KeyValuePairs<String, Value>) -> ValueCodec {
    @Sendable func json(_ word: String) -> JSON { Int(word).map(JSON.integer) ?? .string(word) }
    return ValueCodec(
      ValueOutline(schema: ["enum": .array(words.map { json($0.key) })]), read: { try $0.word($1, words) },
      write: { value in words.first { $0.value == value }.map { json($0.key) } ?? .null })
  }
}

extension ValueCodec where Value: DeclaredDocument {
  /// A mapping that is declared itself.
  package static var document: ValueCodec {
    ValueCodec(
      .document(Value.declaration.outline), read: { try $0.reader($1).map { try Value(declared: $0) } },
      write: \.declaredJSON)
  }
}

extension ValueCodec {
  /// A list of mappings.
  package static func documents<Element: DeclaredDocument>() -> ValueCodec where Value == [Element] {
    ValueCodec(
      .list(of: .document(Element.declaration.outline)),
      read: { try $0.readers($1)?.map { try Element(declared: $0) } },
      write: { .array($0.map(\.declaredJSON)) })
  }

  /// The same of one or more, which are needed.
  package static func documents<Element: DeclaredDocument>(orElse problem: String, _ remedy: String? = nil)
    -> ValueCodec
  where Value == [Element] {
    let list = documents()
    var outline = list.outline
    outline.isNeeded = true
    return ValueCodec(
      outline,
      read: { reader, key in
        let found = try list.read(reader, key) ?? []
        guard !found.isEmpty else { throw reader.error(key, problem, remedy: remedy) }
        return found
      }, write: list.write)
  }
}

extension ValueCodec where Value == DocumentReader {
  /// A mapping that is read when more is known than its document says.
  package static func mapping(of outline: DeclarationOutline) -> ValueCodec {
    ValueCodec(.document(outline), read: { try $0.reader($1) }, write: \.value)
  }
}
