extension DocumentReader {
  /// The value of a key that must be there.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the key.
  package func needed<Value>(_ key: String, _ read: (String) throws -> Value?) throws -> Value {
    guard let value = try read(key) else { throw error(key, "is missing") }
    return value
  }

  /// A size or an offset, which must be there.
  package func size(_ key: String) throws -> Int { try needed(key) { try integer($0, in: 0...Int.max) } }
}
