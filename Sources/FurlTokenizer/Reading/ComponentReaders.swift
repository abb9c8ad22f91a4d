import FurlSpec
import FurlTensor

/// Reads `normalizer`: nothing, or Normalization Form C.
enum NormalizerReader {
  /// Whether the text is normalized.
  static func read(_ file: DocumentReader) throws -> Bool {
    guard let reader = try file.reader("normalizer") else { return false }
    return try normalizes(reader)
  }

  private static func normalizes(_ reader: DocumentReader) throws -> Bool {
    let type = try ComponentType.read(reader)
    switch type {
    case "NFC":
      try reader.finish()
      return true
    case "Sequence":
      guard let steps = try reader.readers("normalizers") else { throw reader.error("normalizers", "is missing") }
      try reader.finish()
      return try steps.reduce(false) { try normalizes($1) || $0 }
    default: throw ComponentType.refused(type, reader)
    }
  }
}

/// Reads `pre_tokenizer`: Split, Digits and, at last, ByteLevel.
enum PreTokenizerReader {
  private static let mostStages = 32

  static func read(_ file: DocumentReader) throws -> [Stage] {
    guard let reader = try file.reader("pre_tokenizer") else {
      throw file.error("pre_tokenizer", "is missing: only tokenizers with a ByteLevel step are supported yet")
    }
    var stages: [Stage] = []
    var isDone = false
    try read(reader, &stages, &isDone)
    guard isDone else { throw reader.error(nil, "only tokenizers with a ByteLevel step are supported yet") }
    return stages
  }

  private static func read(_ reader: DocumentReader, _ stages: inout [Stage], _ isDone: inout Bool) throws {
    let type = try ComponentType.read(reader)
    if type == "Sequence" {
      guard let steps = try reader.readers("pretokenizers") else { throw reader.error("pretokenizers", "is missing") }
      try reader.finish()
      for step in steps { try read(step, &stages, &isDone) }
      return
    }
    // After ByteLevel the text is spelled in other characters.
    guard !isDone else { throw reader.error(nil, "\"\(type)\" after ByteLevel is not supported yet") }
    guard stages.count < mostStages else {
      throw reader.error(nil, "more than \(mostStages) steps are not supported yet")
    }
    switch type {
    case "ByteLevel":
      isDone = true
      if try reader.bool("add_prefix_space") ?? true { stages.append(try Stage(.prefixSpace)) }
      if try reader.bool("use_regex") ?? true { stages.append(try Stage(.pattern(Pattern.gpt2))) }
      _ = try reader.bool("trim_offsets")
    case "Digits":
      let isIndividual = try reader.bool("individual_digits") ?? false
      stages.append(try Stage(.digits, isIndividual ? .isolated : .contiguous))
    case "Split": stages.append(try split(reader))
    default: throw ComponentType.refused(type, reader)
    }
    try reader.finish()
  }

  private static func split(_ reader: DocumentReader) throws -> Stage {
    guard let pattern = try reader.reader("pattern") else { throw reader.error("pattern", "is missing") }
    let rule: Stage.Rule
    if let text = try pattern.string("Regex") {
      rule = .pattern(text)
    } else if let text = try pattern.string("String") {
      rule = .literal(text)
    } else {
      throw pattern.error(nil, "a \"Regex\" or a \"String\" is expected")
    }
    try pattern.finish()
    guard let name = try reader.string("behavior"),
      let behavior = SplitBehavior.allCases.first(where: { $0.name == name })
    else {
      throw reader.error("behavior", "one of \(SplitBehavior.allCases.map(\.name).joined(separator: ", ")) is expected")
    }
    do {
      return try Stage(rule, behavior, inverts: try reader.bool("invert") ?? false)
    } catch let error as PatternError {
      throw pattern.error(nil, error.problem)
    }
  }
}

/// Checks `decoder`: only ByteLevel turns the pieces back into bytes.
enum DecoderReader {
  static func check(_ file: DocumentReader) throws {
    guard let reader = try file.reader("decoder") else {
      throw file.error("decoder", "is missing: only ByteLevel is supported yet")
    }
    let type = try ComponentType.read(reader)
    guard type == "ByteLevel" else { throw ComponentType.refused(type, reader) }
  }
}

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

/// The `type` that every component has.
enum ComponentType {
  static func read(_ reader: DocumentReader) throws -> String {
    guard let type = try reader.string("type") else { throw reader.error("type", "is missing") }
    return type
  }

  static func refused(_ type: String, _ reader: DocumentReader) -> FurlError {
    reader.error("type", "\"\(type)\" is not supported yet")
  }
}
