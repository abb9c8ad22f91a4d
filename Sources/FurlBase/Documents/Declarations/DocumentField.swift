/// One key of a document: its name, where its value is kept, how it is read and written, and a line that says what it means.
package struct DocumentField<Root: DeclaredDocument>: Sendable {
  /// What stands where a key is not given.
  package enum Absence<Value>: Sendable {
    /// What a new document has.
    case usual
    /// The same, which a page says in these words.
    case means(String)
    /// What follows from the keys before it.
    case derived(String, @Sendable (Root) -> Value)
    /// The key is needed.
    case refused(problem: String = "is missing", remedy: String? = nil)
  }

  /// When a key means something, as far as the keys before it say.
  private struct FieldCondition: Sendable {
    let holds: @Sendable (Root) -> Bool
    /// Where it does not hold; nil: then the key is unknown.
    let refusal: (@Sendable (Root) -> (problem: String, remedy: String?))?
  }

  package private(set) var outline: KeyOutline
  private let take: @Sendable (DocumentReader, inout Root) throws -> Void
  private let give: @Sendable (Root) -> JSON?
  private var conditions: [FieldCondition] = []
  private var isWritten: @Sendable (Root) -> Bool = { _ in true }

  /// A key whose value is always there.
  ///
  /// - Parameter reading: how it is read where that depends on the keys before it.
  package init<Value>(
    _ key: String, _ path: any WritableKeyPath<Root, Value> & Sendable, _ codec: ValueCodec<Value>, _ line: String,
    absent: Absence<Value> = .usual, reading: (@Sendable (Root) -> ValueCodec<Value>)? = nil
  ) {
    self.init(
      KeyOutline(key, line, codec.outline, path, absent: absent, usual: codec.write(Root()[keyPath: path])),
      take: { reader, root in
        let given = try (reading?(root) ?? codec).read(reader, key)
        if let value = try given ?? absent.value(key, root, reader) { root[keyPath: path] = value }
      }, give: { codec.write($0[keyPath: path]) })
  }

  /// A key that may be left out for good.
  package init<Value>(
    _ key: String, _ path: any WritableKeyPath<Root, Value?> & Sendable, _ codec: ValueCodec<Value>, _ line: String,
    absent: Absence<Value?> = .usual, reading: (@Sendable (Root) -> ValueCodec<Value>)? = nil
  ) {
    self.init(
      KeyOutline(key, line, codec.outline, path, absent: absent, usual: Root()[keyPath: path].map(codec.write)),
      take: { reader, root in
        let given = try (reading?(root) ?? codec).read(reader, key)
        if let value = try given.map(Optional.some) ?? absent.value(key, root, reader) { root[keyPath: path] = value }
      }, give: { $0[keyPath: path].map(codec.write) })
  }

  private init(
    _ outline: KeyOutline, take: @escaping @Sendable (DocumentReader, inout Root) throws -> Void,
    give: @escaping @Sendable (Root) -> JSON?
  ) {
    self.outline = outline
    self.take = take
    self.give = give
  }

  /// The key `furl`, which says in which version of its form a document is written.
  package static func version(of form: String) -> DocumentField {
    DocumentField(
      KeyOutline(
        key: "furl", line: "Version of this form.", value: ValueOutline(schema: ["const": 1]), path: \Root.self,
        isRequired: true),
      take: { reader, _ in try reader.requireVersion(of: form) }, give: { _ in 1 })
  }

  /// What has to hold when the keys before it are read.
  package static func check(_ check: @escaping @Sendable (inout Root, DocumentReader) throws -> Void) -> DocumentField {
    DocumentField(
      KeyOutline(key: "", line: "", value: ValueOutline(schema: true), path: \Root.self),
      take: { reader, root in try check(&root, reader) }, give: { _ in nil })
  }

  /// What has to hold when the keys before it are read, where it can be said beforehand: a page lists it.
  ///
  /// - Parameter key: where the error stands.
  package static func rule(
    _ key: String, _ problem: String, _ remedy: String, if holds: @escaping @Sendable (Root) -> Bool
  ) -> DocumentField {
    var field = check { root, reader in
      guard !holds(root) else { return }
      throw reader.error(key, problem, remedy: remedy)
    }
    field.outline.conditions = ["`\(key)`: \(problem) (\(remedy))."]
    return field
  }

  // MARK: When it means something

  /// The same key, which is refused where something does not hold: `seed` "has no meaning without draws (use choose: random)".
  package func only(
    if holds: @escaping @Sendable (Root) -> Bool, else problem: String, _ remedy: String
  ) -> DocumentField {
    under("It \(problem)\(remedy == "leave it out" ? "" : ": \(remedy)").", holds) { _ in (problem, remedy) }
  }

  /// The same, where what is said depends on other keys: a page has the words `Only ...`.
  package func only(
    _ words: String, if holds: @escaping @Sendable (Root) -> Bool,
    else refusal: @escaping @Sendable (Root) -> (problem: String, remedy: String?)
  ) -> DocumentField { under("Only \(words).", holds, refusal) }

  /// The same key, which is unknown where something does not hold.
  package func known(_ words: String, if holds: @escaping @Sendable (Root) -> Bool) -> DocumentField {
    under("Only \(words).", holds, nil)
  }

  private func under(
    _ sentence: String, _ holds: @escaping @Sendable (Root) -> Bool,
    _ refusal: (@Sendable (Root) -> (problem: String, remedy: String?))?
  ) -> DocumentField {
    var field = self
    field.conditions.append(FieldCondition(holds: holds, refusal: refusal))
    // What has to hold of several keys has a sentence of its own.
    if !outline.key.isEmpty { field.outline.conditions.append(sentence) }
    return field
  }

  /// The same key, which a document with every default spelled out leaves out where something does not hold.
  package func written(if holds: @escaping @Sendable (Root) -> Bool) -> DocumentField {
    var field = self
    field.isWritten = holds
    return field
  }

  /// The same key, written otherwise.
  package func writing(_ give: @escaping @Sendable (Root) -> JSON?) -> DocumentField {
    var field = DocumentField(outline, take: take, give: give)
    (field.conditions, field.isWritten) = (conditions, isWritten)
    return field
  }

  /// The same key of a document that keeps this one's values at a place.
  package func lifted<Outer>(to path: any WritableKeyPath<Outer, Root> & Sendable) -> DocumentField<Outer> {
    let field = self
    return DocumentField<Outer>(
      outline, take: { reader, outer in try field.read(reader, into: &outer[keyPath: path]) },
      give: { field.written($0[keyPath: path]) })
  }

  // MARK: Use

  /// Whether it means something.
  package func means(_ root: Root) -> Bool { conditions.allSatisfy { $0.holds(root) } }

  /// Reads its value into a document.
  ///
  /// - Throws: ``FurlError`` of kind `input` for a wrong value, a key that means nothing, and one that is needed.
  package func read(_ reader: DocumentReader, into root: inout Root) throws {
    let current = root
    guard let broken = conditions.first(where: { !$0.holds(current) }) else { return try take(reader, &root) }
    guard let (problem, remedy) = broken.refusal?(root) else { return }
    guard reader.optional(outline.key) == nil else { throw reader.error(outline.key, problem, remedy: remedy) }
  }

  /// Its value; nil where it is not written.
  func written(_ root: Root) -> JSON? { means(root) && isWritten(root) ? give(root) : nil }

  /// Its value, whether it means something or not.
  package func value(_ root: Root) -> JSON? { give(root) }
}

extension DocumentField.Absence {
  /// Nil where what is there stays.
  fileprivate func value(_ key: String, _ root: Root, _ reader: DocumentReader) throws -> Value? {
    switch self {
    case .usual, .means: nil
    case .derived(_, let value): value(root)
    case .refused(let problem, let remedy): throw reader.error(key, problem, remedy: remedy)
    }
  }
}

extension KeyOutline {
  fileprivate init<Root, Value>(
    _ key: String, _ line: String, _ value: ValueOutline, _ path: any AnyKeyPath & Sendable,
    absent: DocumentField<Root>.Absence<Value>, usual: JSON?
  ) {
    self.init(key: key, line: line, value: value, path: path, isRequired: value.isNeeded)
    switch absent {
    case .usual: standard = value.isNeeded ? nil : usual
    case .means(let words), .derived(let words, _): standardWords = words
    case .refused: isRequired = true
    }
  }
}
