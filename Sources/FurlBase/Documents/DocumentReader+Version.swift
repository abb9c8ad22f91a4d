extension DocumentReader {
  /// Checks the key `furl`, which says in which version of its form a document is written.
  ///
  /// - Parameter form: what the document is, for the error: `recipe`.
  /// - Throws: ``FurlError`` of kind `input` when it is missing or not 1.
  package func requireVersion(of form: String) throws {
    guard let version = try integer("furl", in: 0...(.max)) else {
      throw error("furl", "is missing", remedy: "a \(form) begins with furl: 1")
    }
    guard version == 1 else {
      throw error("furl", "version \(version) is not known", remedy: "this Furl reads furl: 1")
    }
  }
}
