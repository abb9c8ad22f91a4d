extension DocumentReader {
  /// The documents that people write: what errors call them, the key that tells them, and where one is to be had. A recipe may
  /// have gates, too, so that it comes first.
  private static let written: [(form: String, key: String, source: String)] = [
    ("recipe", "recipe", "furl recipes lists those that ship"), ("suite card", "suite", "suites/ has published ones"),
    ("sweep", "sweep", "sweeps/ has some to begin with"), ("gate file", "gates", "furl init writes one"),
  ]

  /// Whether a key says what a document is.
  static func tellsForm(_ key: String) -> Bool { written.contains { $0.key == key } }

  /// Checks the key `furl`, which says in which version of its form a document is written.
  ///
  /// - Parameter form: what the document is, for the error: `recipe`.
  /// - Throws: ``FurlError`` of kind `input` when it is missing or not 1, or when the document is one of another form.
  package func requireVersion(of form: String) throws {
    let written = DocumentReader.written
    if let own = written.first(where: { $0.form == form }), let found = written.first(where: { keys.contains($0.key) }),
      found.form != form
    {
      throw error(found.key, "this is a \(found.form), and a \(form) is expected here", remedy: own.source)
    }
    guard let version = try integer("furl", in: 0...(.max)) else {
      throw error("furl", "is missing", remedy: "a \(form) begins with furl: 1")
    }
    guard version == 1 else {
      throw error("furl", "version \(version) is not known", remedy: "this Furl reads furl: 1")
    }
  }
}
