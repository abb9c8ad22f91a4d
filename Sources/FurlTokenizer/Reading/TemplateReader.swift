import FurlBase

/// The tokens that `post_processor` puts around a text.
struct TemplateReader {
  /// The one before the text.
  private(set) var before: Int?
  private var tokens: [(id: Int, text: String, reader: DocumentReader)] = []

  static func read(_ file: DocumentReader) throws -> TemplateReader {
    var template = TemplateReader()
    if let reader = try file.reader("post_processor") { try template.read(reader) }
    return template
  }

  private mutating func read(_ reader: DocumentReader) throws {
    let type = try ComponentType.read(reader)
    switch type {
    case "ByteLevel": break  // It moves offsets only.
    case "Sequence":
      guard let steps = try reader.readers("processors") else { throw reader.error("processors", "is missing") }
      for step in steps { try read(step) }
    case "TemplateProcessing": try readTemplate(reader)
    default: throw ComponentType.refused(type, reader)
    }
  }

  private mutating func readTemplate(_ reader: DocumentReader) throws {
    guard tokens.isEmpty else { throw reader.error(nil, "a second template is not supported yet") }
    guard let single = try reader.readers("single") else { throw reader.error("single", "is missing") }
    let special = try reader.reader("special_tokens")
    var hasText = false
    for step in single {
      if let text = try step.reader("Sequence") {
        guard try text.string("id") == "A", !hasText else { throw step.error("Sequence", "one text, A, is expected") }
        hasText = true
        continue
      }
      guard let name = try step.reader("SpecialToken")?.string("id"), let special, let entry = try special.reader(name),
        let ids = entry.optional("ids")?.array, let texts = try entry.strings("tokens")
      else { throw step.error(nil, "a special token with its ids and tokens under \"special_tokens\" is expected") }
      guard ids.count == 1, texts.count == 1, let id = ids[0].integer else {
        throw entry.error("ids", "anything but one id is not supported yet")
      }
      tokens.append((id, texts[0], entry))
      if hasText { continue }
      guard before == nil else { throw step.error(nil, "a second token before the text is not supported yet") }
      before = id
    }
    guard hasText else { throw reader.error("single", "the text, A, is missing") }
  }

  /// Checks that the ids are those of the tokens.
  func check(_ vocabulary: Vocabulary, _ file: DocumentReader) throws {
    for (id, text, reader) in tokens {
      guard id >= 0, id < vocabulary.count, vocabulary.kinds[id].contains(.present),
        vocabulary.spelling(id).utf8.elementsEqual(text.utf8)
      else { throw reader.error("ids", "\(id) is not the id of \"\(text)\"") }
    }
  }
}
