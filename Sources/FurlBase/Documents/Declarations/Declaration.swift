/// A document, or a mapping inside of one, whose keys are declared: what they are called, what they take and what they mean
/// is said in one place, which reads and writes them and describes them in schemas, reference pages and help texts.
package protocol DeclaredDocument: SendableMetatype {
  /// With every default.
  init()
  static var declaration: Declaration<Self> { get }
  /// Checks what no single key shows, once all are read and none is unknown.
  mutating func settle(_ reader: DocumentReader) throws
}

extension DeclaredDocument {
  package typealias Field = DocumentField<Self>

  package mutating func settle(_ reader: DocumentReader) throws {}

  /// Reads a mapping strictly.
  ///
  /// - Parameter start: what stands where the document says nothing.
  /// - Throws: ``FurlError`` of kind `input` that names file, line and key.
  package init(declared reader: DocumentReader, over start: Self = Self()) throws {
    self = start
    do {
      for field in Self.declaration.fields { try field.read(reader, into: &self) }
    } catch {
      // What is missing may be there, with a slip in its name.
      throw reader.slip(among: Self.declaration.outline.keys.map(\.key)) ?? error
    }
    try reader.finish()
    try settle(reader)
  }

  /// The document with every default spelled out.
  package var declaredJSON: JSON {
    .object(
      Self.declaration.fields.compactMap { field in field.written(self).map { JSON.Member(field.outline.key, $0) } })
  }
}

/// The keys of a mapping, in the order in which they are read and written.
package struct Declaration<Root: DeclaredDocument>: Sendable {
  package let name: String
  package let line: String
  package let fields: [DocumentField<Root>]

  /// - Parameters:
  ///   - name: what schemas and pages call it.
  ///   - line: what it is.
  package init(_ name: String, _ line: String, @DeclarationBuilder<Root> fields: () -> [DocumentField<Root>]) {
    self.name = name
    self.line = line
    self.fields = fields()
  }

  package var outline: DeclarationOutline {
    let outlines = fields.map(\.outline)
    return DeclarationOutline(
      name: name, line: line, keys: outlines.filter { !$0.key.isEmpty },
      rules: outlines.filter(\.key.isEmpty).flatMap(\.conditions))
  }

  /// The key that is kept at a place.
  package func field(at path: AnyKeyPath) -> DocumentField<Root>? { fields.first { $0.outline.path == path } }
}

/// Puts fields into an order; a list of them may stand among them.
@resultBuilder package enum DeclarationBuilder<Root: DeclaredDocument> {
  package static func buildExpression(_ field: DocumentField<Root>) -> [DocumentField<Root>] { [field] }
  package static func buildExpression(_ fields: [DocumentField<Root>]) -> [DocumentField<Root>] { fields }
  package static func buildBlock(_ parts: [DocumentField<Root>]...) -> [DocumentField<Root>] { parts.flatMap { $0 } }
}
