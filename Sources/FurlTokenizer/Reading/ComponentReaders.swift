import FurlBase

/// Reads `normalizer`: Normalization Form C, and marks for spaces with one before the text.
enum NormalizerReader {
  static func read(_ file: DocumentReader) throws -> Normalization {
    var result = Normalization()
    guard let reader = try file.reader("normalizer") else { return result }
    try read(reader, &result)
    guard !result.prependsSpace || result.marksSpaces else {
      throw reader.error(nil, "\"Prepend\" without \"Replace\" of spaces is not supported yet")
    }
    return result
  }

  private static func read(_ reader: DocumentReader, _ result: inout Normalization) throws {
    let type = try ComponentType.read(reader)
    switch type {
    case "NFC": result.composes = true
    case "Prepend":
      guard try reader.string("prepend") == SpaceMark.text, !result.prependsSpace else {
        throw reader.error("prepend", "anything but one \"\(SpaceMark.text)\" is not supported yet")
      }
      result.prependsSpace = true
    case "Replace":
      try ComponentType.checkReplacement(reader, " ", SpaceMark.text)
      result.marksSpaces = true
    case "Sequence":
      guard let steps = try reader.readers("normalizers") else { throw reader.error("normalizers", "is missing") }
      for step in steps { try read(step, &result) }
    default: throw ComponentType.refused(type, reader)
    }
    try reader.finish()
  }
}

/// Reads `pre_tokenizer`: Split, Digits and at last ByteLevel for models of bytes; Metaspace for models of texts.
struct PreTokenizerReader {
  private static let mostStages = SerializedForm.mostStages

  private(set) var stages: [Stage] = []
  private var isByteLevel = false
  private var marksSpaces: Bool
  private var firstPattern: DocumentReader?

  /// What the model's vocabulary is spelled in.
  var alphabet: Alphabet { isByteLevel ? .bytes : .marked }

  static func read(_ file: DocumentReader, _ normalization: Normalization) throws -> PreTokenizerReader {
    var result = PreTokenizerReader(marksSpaces: normalization.marksSpaces)
    let needed = "only tokenizers with a ByteLevel step, or with marks for spaces, are supported yet"
    guard let reader = try file.reader("pre_tokenizer") else {
      guard normalization.marksSpaces else { throw file.error("pre_tokenizer", "is missing: \(needed)") }
      return result
    }
    try result.read(reader)
    guard result.isByteLevel || result.marksSpaces else { throw reader.error(nil, needed) }
    guard !result.isByteLevel || !result.marksSpaces else {
      throw reader.error(nil, "ByteLevel together with marks for spaces is not supported yet")
    }
    if !result.isByteLevel, let pattern = result.firstPattern {
      throw pattern.error("Regex", "together with marks for spaces is not supported yet")
    }
    return result
  }

  private init(marksSpaces: Bool) { self.marksSpaces = marksSpaces }

  private mutating func read(_ reader: DocumentReader) throws {
    let type = try ComponentType.read(reader)
    if type == "Sequence" {
      guard let steps = try reader.readers("pretokenizers") else { throw reader.error("pretokenizers", "is missing") }
      try reader.finish()
      for step in steps { try read(step) }
      return
    }
    // After ByteLevel the text is spelled in other characters.
    guard !isByteLevel else { throw reader.error(nil, "\"\(type)\" after ByteLevel is not supported yet") }
    switch type {
    case "ByteLevel":
      isByteLevel = true
      if try reader.bool("add_prefix_space") ?? true { stages.append(try Stage(.prefixSpace)) }
      if try reader.bool("use_regex") ?? true { stages.append(try Stage(.pattern(Pattern.gpt2))) }
      _ = try reader.bool("trim_offsets")
    case "Digits":
      let isIndividual = try reader.bool("individual_digits") ?? false
      stages.append(try Stage(.digits, isIndividual ? .isolated : .contiguous))
    case "Metaspace": try readMetaspace(reader)
    case "Split": try readSplit(reader)
    default: throw ComponentType.refused(type, reader)
    }
    try reader.finish()
    guard stages.count <= Self.mostStages else {
      throw reader.error(nil, "more than \(Self.mostStages) steps are not supported yet")
    }
  }

  private mutating func readMetaspace(_ reader: DocumentReader) throws {
    guard try reader.string("replacement") ?? SpaceMark.text == SpaceMark.text else {
      throw reader.error("replacement", "anything but \"\(SpaceMark.text)\" is not supported yet")
    }
    // Older files say it in this way.
    let addsPrefix = try reader.bool("add_prefix_space")
    _ = try reader.string("str_rep")
    var prefix = addsPrefix == false ? Stage.Prefix.never : .always
    if let name = try reader.string("prepend_scheme") {
      guard let known = Stage.Prefix.allCases.first(where: { $0.name == name }) else {
        throw reader.error("prepend_scheme", "one of always, first, never is expected")
      }
      if addsPrefix == false, known != .never {
        throw reader.error("add_prefix_space", "contradicts \"prepend_scheme\"")
      }
      prefix = known
    }
    stages.append(try Stage(.marks(prefix)))
    if try reader.bool("split") ?? true { stages.append(try Stage(.literal(" "), .mergedWithNext)) }
    marksSpaces = true
  }

  private mutating func readSplit(_ reader: DocumentReader) throws {
    guard let pattern = try reader.reader("pattern") else { throw reader.error("pattern", "is missing") }
    let rule: Stage.Rule
    if let text = try pattern.string("Regex") {
      rule = .pattern(text)
      if firstPattern == nil { firstPattern = pattern }
    } else if let text = try pattern.string("String") {
      if marksSpaces, text.utf8.contains(0x20) {
        // No text has spaces any more, so this cuts nothing.
        guard try reader.bool("invert") != true else { throw pattern.error("String", "inverted is not supported yet") }
        _ = try reader.string("behavior")
        return try pattern.finish()
      }
      let spaced = SpaceMark.toSpaces(Array(text.utf8), 0..<text.utf8.count)
      guard spaced.count == text.utf8.count || marksSpaces else {
        throw pattern.error("String", "with \"\(SpaceMark.text)\" is not supported yet")
      }
      rule = .literal(String(decoding: spaced, as: UTF8.self))
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
      stages.append(try Stage(rule, behavior, inverts: try reader.bool("invert") ?? false))
    } catch let error as PatternError {
      throw pattern.error(nil, error.problem)
    }
  }
}

/// Reads `decoder`: what turns the pieces back into text.
enum DecoderReader {
  static func read(_ file: DocumentReader, _ alphabet: Alphabet) throws -> Decoding {
    guard let reader = try file.reader("decoder") else {
      throw file.error("decoder", "is missing: only ByteLevel, or a sequence for marks, is supported yet")
    }
    let type = try ComponentType.read(reader)
    guard alphabet == .marked else {
      guard type == "ByteLevel" else { throw ComponentType.refused(type, reader) }
      return Decoding()
    }
    guard type == "Sequence", let steps = try reader.readers("decoders") else {
      throw ComponentType.refused(type, reader)
    }
    try reader.finish()
    return try read(steps, reader)
  }

  /// Replace, ByteFallback, Fuse, Strip, in this order; the first is always there.
  private static func read(_ steps: [DocumentReader], _ reader: DocumentReader) throws -> Decoding {
    var decoding = Decoding()
    var done: [String] = []
    for step in steps {
      let type = try ComponentType.read(step)
      let order = ["Replace", "ByteFallback", "Fuse", "Strip"]
      guard let place = order.firstIndex(of: type) else { throw ComponentType.refused(type, step) }
      guard done.allSatisfy({ order.firstIndex(of: $0) ?? 0 < place }), done.first == "Replace" || type == "Replace"
      else {
        throw step.error("type", "\"\(type)\" at this place is not supported yet")
      }
      switch type {
      case "Replace": try ComponentType.checkReplacement(step, SpaceMark.text, " ")
      case "ByteFallback": decoding.joinsBytes = true
      case "Strip":
        guard done.contains("Fuse") else { throw step.error("type", "\"Strip\" without \"Fuse\" is not supported yet") }
        decoding.stripsSpace = try strips(step)
      default: break
      }
      try step.finish()
      done.append(type)
    }
    guard done.first == "Replace" else { throw reader.error("decoders", "\"Replace\" is missing") }
    return decoding
  }

  private static func strips(_ step: DocumentReader) throws -> Bool {
    guard try step.string("content") == " ", let start = try step.integer("start", in: 0...1),
      try step.integer("stop", in: 0...0) != nil
    else { throw step.error(nil, "anything but one space at the beginning is not supported yet") }
    return start == 1
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

  /// Checks that a step replaces one text by another.
  static func checkReplacement(_ reader: DocumentReader, _ old: String, _ new: String) throws {
    guard let pattern = try reader.reader("pattern"), try pattern.string("String") == old,
      try reader.string("content") == new
    else { throw reader.error(nil, "anything but \"\(old)\" replaced by \"\(new)\" is not supported yet") }
    try pattern.finish()
  }
}
