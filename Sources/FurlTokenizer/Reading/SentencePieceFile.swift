import FurlBase
import FurlSpec

/// Reads `tokenizer.model`, a SentencePiece model by BPE, as Llama 2, CodeLlama and Mistral have it, with what the
/// files beside it add to it.
///
/// The fields: `sentencepiece_model.proto` of https://github.com/google/sentencepiece. Pieces have the types that
/// GGUF files took over from it.
struct SentencePieceFile {
  private let path: String
  private var vocabulary = GGUFTokenizer(model: "llama", tokens: [])
  /// 1 is Unigram, 2 BPE.
  private var modelType: UInt64 = 1
  private var marksBehind = false
  private var hasCharacterMap = false
  private var trimsSpaces = true
  private var marksSpaces = true

  static func read(path: String) throws -> TokenizerParts {
    let bytes = try MappedFile(path: path).readAll(limit: TokenizerFile.largest)
    var model = SentencePieceFile(path: path)
    try model.read(ProtobufReader(bytes, 0..<bytes.count, file: path))
    try model.check()
    return try model.parts(path.folderPath)
  }

  private init(path: String) { self.path = path }

  // MARK: The model

  private mutating func read(_ message: ProtobufReader) throws {
    var message = message
    vocabulary.addsSpacePrefix = true
    vocabulary.unknownID = 0
    vocabulary.bosID = 1
    vocabulary.eosID = 2
    while let (field, value) = try message.next() {
      guard case .bytes(let range) = value else { continue }
      switch field {
      case 1: try readPiece(message.message(range))
      case 2: try readTrainer(message.message(range))
      case 3: try readNormalizer(message.message(range))
      default: break
      }
    }
  }

  private mutating func readPiece(_ message: ProtobufReader) throws {
    var message = message
    var (text, score, type): ([UInt8], Float, Int) = ([], 0, 1)
    while let (field, value) = try message.next() {
      switch (field, value) {
      case (1, .bytes(let range)): text = Array(message.bytes[range])
      case (2, .word(let bits)): score = Float(bitPattern: bits)
      case (3, .number(let number)): type = Int(truncatingIfNeeded: number)
      default: break
      }
    }
    guard vocabulary.tokens.count < Vocabulary.maximumCount else {
      throw FurlError.input(path, "has more than \(Vocabulary.maximumCount) pieces")
    }
    vocabulary.tokens.append(text)
    vocabulary.scores.append(score)
    vocabulary.types.append(type)
  }

  private mutating func readTrainer(_ message: ProtobufReader) throws {
    var message = message
    while let (field, value) = try message.next() {
      guard case .number(let number) = value else { continue }
      // A negative id is that of no piece.
      let id = Int32(truncatingIfNeeded: number)
      switch field {
      case 3: modelType = number
      case 24: marksBehind = number != 0
      case 40: vocabulary.unknownID = id < 0 ? nil : Int(id)
      case 41: vocabulary.bosID = id < 0 ? nil : Int(id)
      case 42: vocabulary.eosID = id < 0 ? nil : Int(id)
      default: break
      }
    }
  }

  private mutating func readNormalizer(_ message: ProtobufReader) throws {
    var message = message
    while let (field, value) = try message.next() {
      switch (field, value) {
      case (2, .bytes(let range)): hasCharacterMap = !range.isEmpty
      case (3, .number(let number)): vocabulary.addsSpacePrefix = number != 0
      case (4, .number(let number)): trimsSpaces = number != 0
      case (5, .number(let number)): marksSpaces = number != 0
      default: break
      }
    }
  }

  private func check() throws {
    func refused(_ place: String, _ what: String) -> FurlError {
      .input(
        path, place, "\(what) is not supported yet",
        remedy: "save the tokenizer with transformers, which writes a tokenizer.json")
    }
    guard modelType == 2 else { throw refused("trainer_spec.model_type", "another model than BPE") }
    guard !marksBehind else { throw refused("trainer_spec.treat_whitespace_as_suffix", "true") }
    guard !hasCharacterMap else { throw refused("normalizer_spec.precompiled_charsmap", "a map of characters") }
    guard !trimsSpaces else { throw refused("normalizer_spec.remove_extra_whitespaces", "true") }
    guard marksSpaces else { throw refused("normalizer_spec.escape_whitespaces", "false") }
  }

  // MARK: What is beside it

  private func parts(_ folder: String) throws -> TokenizerParts {
    let beside = try TokensBeside(folder: folder)
    let config = beside.config
    if let name = try config?.string("tokenizer_class"), let config {
      let known = ["LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast"]
      guard known.contains(name) else {
        throw config.error(
          "tokenizer_class", "\"\(name)\" is not supported without a tokenizer.json",
          remedy: "save the tokenizer with transformers, which writes one")
      }
    }
    var source = vocabulary
    source.addsBOS = try config?.bool("add_bos_token") ?? true
    if let adds = try config?.bool("add_prefix_space") { source.addsSpacePrefix = adds }
    var flags: [Int: AddedToken.AddedTokenFlags] = [:]
    var ids: [[UInt8]: Int] = [:]
    ids.reserveCapacity(source.tokens.count)
    for (id, text) in source.tokens.enumerated() where ids[text] == nil { ids[text] = id }
    for var token in beside.tokens(beside: []) where !token.text.isEmpty {
      let text = Array(token.text.utf8)
      if token.id < 0 { token.id = ids[text] ?? source.tokens.count }
      try add(token, to: &source)
      flags[token.id] = token.flags
      if ids[text] == nil { ids[text] = token.id }
    }
    func id(_ key: String) -> Int? { beside.text(key).flatMap { ids[Array($0.utf8)] } }
    source.bosID = id("bos_token") ?? source.bosID
    source.eosID = id("eos_token") ?? source.eosID
    var parts = try GGUFTokenizerReader(source, file: path).parts()
    // Names make no ends here, as they do in GGUF files.
    parts.ends = EndTokens()
    parts.beginsBy =
      try config?.bool("add_bos_token") == nil ? "tokenizer.model" : "tokenizer_config.json: add_bos_token"
    for index in parts.added.indices { parts.added[index].flags = flags[parts.added[index].id] ?? [] }
    if try config?.bool("legacy") == false {
      // Only the first part of a text gets a space, not each that comes after a special token.
      let prefixes = parts.normalization.prependsSpace
      parts.normalization = Normalization()
      parts.stages = [try Stage(.marks(prefixes ? .first : .never))]
    }
    return parts
  }

  /// Makes a piece an added token, or adds it behind all others.
  private func add(_ token: AddedTokenReader.AddedTokenEntry, to source: inout GGUFTokenizer) throws {
    let text = Array(token.text.utf8)
    let type = GGUFTokenizer.TokenType.self
    guard token.id <= source.tokens.count else {
      throw FurlError.input(path, token.text, "has the id \(token.id), and there are \(source.tokens.count) before it")
    }
    if token.id == source.tokens.count {
      guard token.id < Vocabulary.maximumCount else {
        throw FurlError.input(
          path, token.text, "is one token more than the \(Vocabulary.maximumCount) that there may be")
      }
      source.tokens.append(text)
      source.scores.append(-.infinity)
      source.types.append(type.userDefined.rawValue)
    }
    guard source.tokens[token.id] == text else {
      throw FurlError.input(path, token.text, "has the id \(token.id), which is that of another piece")
    }
    if source.types[token.id] != type.unknown.rawValue {
      source.types[token.id] = (token.isSpecial ? type.control : type.userDefined).rawValue
    }
  }
}
