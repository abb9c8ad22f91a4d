/// Reads a mapping strictly: every key that is not asked for is an error, and every error names file, line
/// and key.
///
/// Ask for the keys, then call ``finish()``.
package final class DocumentReader {
  /// The file, for errors.
  package let file: String?
  /// Where this mapping stands: `steps[0].quantize`.
  package let path: String
  private let members: [JSON.Member]
  private let lines: DocumentLines
  /// The keys that somebody has asked for, and which members those are.
  private var asked: [String] = []
  private var isAsked: [Bool]

  /// - Throws: ``FurlError`` if the value is not a mapping.
  package init(_ value: JSON, file: String?, path: String = "", lines: DocumentLines = DocumentLines()) throws {
    self.file = file
    self.path = path
    self.lines = lines
    guard case .object(let members) = value else {
      throw FurlError.input(file, lines.place(path), "a mapping is expected, not \(value.kindName)")
    }
    self.members = members
    isAsked = [Bool](repeating: false, count: members.count)
  }

  /// The keys that are there, in their order.
  package var keys: [String] { members.map(\.key) }

  /// The mapping itself.
  package var value: JSON { .object(members) }

  /// An error at a key of this mapping, or at the mapping itself.
  package func error(_ key: String? = nil, _ problem: String, remedy: String? = nil) -> FurlError {
    location.error(key, problem, remedy: remedy)
  }

  /// Where this mapping stands, for errors that are found later.
  package var location: DocumentLocation { DocumentLocation(file: file, path: path, lines: lines) }

  /// The value of a key, or nil when it is missing or null.
  package func optional(_ key: String) -> JSON? {
    asked.append(key)
    guard let index = members.firstIndex(where: { $0.key == key }) else { return nil }
    isAsked[index] = true
    if case .null = members[index].value { return nil }
    return members[index].value
  }

  /// The value of a key that must be there.
  package func required(_ key: String) throws -> JSON {
    guard let value = optional(key) else { throw error(key, "is missing") }
    return value
  }

  /// Says that the rest of the keys is of no interest: nothing is unknown.
  package func ignoreOthers() {
    asked += keys
    isAsked = isAsked.map { _ in true }
  }

  /// - Throws: ``FurlError`` if there is a key that nobody asked for.
  package func finish() throws {
    guard let unknown = isAsked.firstIndex(of: false) else { return }
    let key = members[unknown].key
    throw error(
      key, "unknown key", remedy: Suggestion.remedy(for: key, among: Set(asked).sorted(), list: "known here"))
  }

  /// The error for the first key that is not known and near to one that is, and that is not there; nil: there is none, or
  /// the document is of another form.
  package func slip(among known: [String]) -> FurlError? {
    let absent = Set(known).subtracting(keys)
    // A document of another form has no slips.
    let forms = keys.filter(DocumentReader.tellsForm)
    guard forms.isEmpty || forms.contains(where: known.contains) else { return nil }
    for key in keys where !known.contains(key) {
      guard Suggestion.nearest(to: key, among: absent.sorted()) != nil else { continue }
      return error(key, "unknown key", remedy: Suggestion.remedy(for: key, among: known.sorted(), list: "known here"))
    }
    return nil
  }

  // MARK: Typed access

  package func string(_ key: String) throws -> String? {
    try optional(key).map { try self.string($0, key) }
  }

  private func string(_ value: JSON, _ key: String) throws -> String {
    guard let text = value.string else { throw error(key, "a text is expected, not \(value.kindName)") }
    return text
  }

  package func integer(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
    guard let value = optional(key) else { return nil }
    guard let integer = value.integer else { throw error(key, "an integer is expected, not \(value.kindName)") }
    guard range.contains(integer) else {
      let bound =
        range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
      throw error(key, "\(integer) is out of range", remedy: "allowed: \(bound)")
    }
    return integer
  }

  package func number(_ key: String, in range: ClosedRange<Double>) throws -> Double? {
    guard let value = optional(key) else { return nil }
    guard let number = value.number else { throw error(key, "a number is expected, not \(value.kindName)") }
    guard range.contains(number) else {
      throw error(key, "\(number) is out of range", remedy: "allowed: \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  package func bool(_ key: String) throws -> Bool? {
    guard let value = optional(key) else { return nil }
    guard let bool = value.bool else { throw error(key, "true or false is expected, not \(value.kindName)") }
    return bool
  }

  package func strings(_ key: String) throws -> [String]? {
    guard let value = optional(key) else { return nil }
    guard let list = value.array else { throw error(key, "a list is expected, not \(value.kindName)") }
    return try list.enumerated().map { try string($1, "\(key)[\($0)]") }
  }

  /// One of a set of words. A word in `later` is refused as "not supported yet".
  package func word<Value>(_ key: String, _ words: KeyValuePairs<String, Value>, later: [String] = []) throws -> Value?
  {
    guard let value = optional(key) else { return nil }
    let text = try word(value, key)
    if let match = words.first(where: { $0.key == text }) { return match.value }
    throw unknown(text, key, among: words.map(\.key), later)
  }

  private func word(_ value: JSON, _ key: String) throws -> String {
    // YAML reads a bare 64 as a number, and a word is what it was meant to be.
    if let number = value.integer { return String(number) }
    return try string(value, key)
  }

  /// One of the names of an enumeration. A word in `later` is refused as "not supported yet".
  package func name<Value: RawRepresentable & CaseIterable>(
    _ key: String, of type: Value.Type = Value.self, later: [String] = []
  ) throws -> Value? where Value.RawValue == String {
    guard let value = optional(key) else { return nil }
    let text = try word(value, key)
    if let match = Value(rawValue: text) { return match }
    throw unknown(text, key, among: Value.allCases.map(\.rawValue), later)
  }

  private func unknown(_ text: String, _ key: String, among words: [String], _ later: [String]) -> FurlError {
    if later.contains(text) {
      return error(
        key, "\"\(text)\" is not supported yet", remedy: "allowed: \(words.joined(separator: ", "))")
    }
    return error(
      key, "\"\(text)\" is not a known value", remedy: Suggestion.remedy(for: text, among: words, list: "allowed"))
  }

  /// Refuses a key that the form knows and this version does not support.
  package func later(_ keys: String...) throws {
    for key in keys where optional(key) != nil { throw error(key, "is not supported yet") }
  }

  /// The mapping under a key.
  package func reader(_ key: String) throws -> DocumentReader? {
    try optional(key).map { try child($0, key) }
  }

  /// The mappings of a list under a key.
  package func readers(_ key: String) throws -> [DocumentReader]? {
    guard let value = optional(key) else { return nil }
    guard let list = value.array else { throw error(key, "a list is expected, not \(value.kindName)") }
    return try list.enumerated().map { try child($1, "\(key)[\($0)]") }
  }

  private func child(_ value: JSON, _ key: String) throws -> DocumentReader {
    try DocumentReader(value, file: file, path: path.isEmpty ? key : "\(path).\(key)", lines: lines)
  }
}

/// Where a mapping stands in a document: a file, a path of keys and their lines.
package struct DocumentLocation: Sendable {
  let file: String?
  let path: String
  let lines: DocumentLines

  /// Of a document that stands nowhere yet.
  package static let none = DocumentLocation(file: nil, path: "", lines: DocumentLines())

  /// The folder that the document's paths are relative to; nil: the working directory.
  package var folder: String? { file.flatMap { file in file.lastIndex(of: "/").map { String(file[..<$0]) } } }

  /// An error at a key of the mapping, or at the mapping itself.
  package func error(_ key: String? = nil, _ problem: String, remedy: String? = nil) -> FurlError {
    let place = key.map { path.isEmpty ? $0 : "\(path).\($0)" } ?? path
    return .input(file, lines.place(place), problem, remedy: remedy)
  }
}

/// The line of every key of a document that has lines (YAML).
package struct DocumentLines: Sendable {
  var lines: [String: Int] = [:]

  package init() {}

  /// `line 7: steps[0].quantize.block`, or the nearest line that is known.
  func place(_ path: String) -> String? {
    var known = path[...]
    while true {
      if let line = lines[String(known)] { return path.isEmpty ? "line \(line)" : "line \(line): \(path)" }
      guard let cut = known.lastIndex(where: { $0 == "." || $0 == "[" }) else { break }
      known = known[..<cut]
    }
    return path.isEmpty ? nil : path
  }
}
