import Foundation
import FurlSpec
import FurlTensor

/// Reads the older form of a byte-level tokenizer: `vocab.json` and `merges.txt`, with what `tokenizer_config.json`,
/// or else `special_tokens_map.json` and `added_tokens.json`, say about the tokens beside them.
///
/// How a text is cut into words is in none of these files: it follows from the class that
/// `tokenizer_config.json` names, or from `config.json`'s `model_type`, as in `transformers`.
struct VocabularyFiles {
  private let folder: String
  private let config: DocumentReader?
  private let form: TokenizerClass

  /// Whether a folder has a tokenizer in this form.
  static func exist(in folder: String) -> Bool {
    ["vocab.json", "merges.txt"].allSatisfy { FileManager.default.fileExists(atPath: folder + "/" + $0) }
  }

  static func read(folder: String) throws -> TokenizerParts { try VocabularyFiles(folder).parts() }

  private init(_ folder: String) throws {
    self.folder = folder
    config = try Self.document("tokenizer_config.json", folder)
    if let name = try config?.string("tokenizer_class"), let config {
      guard let form = TokenizerClass(name: name) else {
        throw config.error(
          "tokenizer_class", "\"\(name)\" is not supported without a tokenizer.json",
          remedy: "save the tokenizer with transformers, which writes one")
      }
      self.form = form
    } else {
      let model = try Self.document("config.json", folder)
      form = try model?.string("model_type") == "qwen2" ? .qwen2 : .gpt2
    }
  }

  /// A JSON file of a folder that is a mapping, if there is one.
  static func document(_ name: String, _ folder: String) throws -> DocumentReader? {
    try json(name, folder).map { try DocumentReader($0, file: folder + "/" + name) }
  }

  /// A JSON file of a folder, if there is one.
  static func json(_ name: String, _ folder: String) throws -> JSON? {
    let path = folder + "/" + name
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return try JSON.parse(try MappedFile(path: path).readAll(limit: 64 << 20), file: path, dialect: .nonFinite)
  }

  private func parts() throws -> TokenizerParts {
    let path = folder + "/vocab.json"
    let json = try JSON.parse(
      try MappedFile(path: path).readAll(limit: TokenizerFile.largest), file: path, dialect: .nonFinite)
    func error(_ place: String?, _ problem: String) -> FurlError { .input(path, place, problem) }
    guard let members = json.members else { throw error(nil, "a mapping is expected, not \(json.kindName)") }
    try ModelReader.checkSize(members) { error(nil, $0) }
    var pieces = try PieceTable(members, error)

    var special = try SpecialTokens(form.defaults, config)
    var tokens: [AddedTokenReader.Token] = []
    var file = path
    var hasFlags = true
    if let config, let list = config.optional("added_tokens_decoder") {
      file = folder + "/tokenizer_config.json"
      tokens = try AddedTokenReader.read(byID: list, file: file)
    } else {
      if let map = try Self.document("special_tokens_map.json", folder) { try special.read(map) }
      hasFlags = false
      if let list = try Self.json("added_tokens.json", folder) {
        file = folder + "/added_tokens.json"
        tokens = try AddedTokenReader.read(byText: list, file: file).sorted { $0.id < $1.id }
      }
    }
    let ids = special.join(&tokens, pieces, keepsFlags: hasFlags)
    let added = try pieces.add(tokens) { .input(file, $0, $1) }

    let vocabulary = pieces.vocabulary(.bytes)
    let index = try PieceIndex(vocabulary, file: path)
    try pieces.checkAdded(index, vocabulary) { .input(file, $0) }
    var stages = try form.stages()
    if try config?.bool("add_prefix_space") == true { stages.insert(try Stage(.prefixSpace), at: form.prefixPlace) }
    return TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(try merges(vocabulary, index), file: folder + "/merges.txt"),
      added: added, normalization: Normalization(composes: form == .qwen2), stages: stages,
      bosID: ids.bos, eosID: ids.eos,
      addsBOS: try config?.bool("add_bos_token") ?? false, beginsBy: "tokenizer_config.json: add_bos_token")
  }

  /// The lines of `merges.txt`: two pieces with a space between them.
  private func merges(_ vocabulary: Vocabulary, _ index: PieceIndex) throws -> [MergeTable.Merge] {
    let path = folder + "/merges.txt"
    let bytes = try MappedFile(path: path).readAll(limit: TokenizerFile.largest)
    var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)[...]
    while let last = lines.last, last.isEmpty { lines.removeLast() }
    guard lines.count <= MergeTable.maximumCount else { throw FurlError.input(path, "has too many merges") }
    var list = MergeList(vocabulary, index, repeated: .later, capacity: lines.count)
    for (number, line) in lines.enumerated() {
      func error(_ problem: String) -> FurlError { .input(path, "line \(number + 1)", problem) }
      guard let text = String(validating: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self) else {
        throw error("is not UTF-8")
      }
      if text.hasPrefix("#version") { continue }
      let parts = text.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { throw error("two pieces are expected") }
      try list.add(String(parts[0]), String(parts[1]), error)
    }
    return list.merges
  }
}

/// The classes of `transformers` whose vocabularies come in the older form.
private enum TokenizerClass {
  case gpt2, codegen, qwen2

  init?(name: String) {
    switch name.hasSuffix("Fast") ? String(name.dropLast(4)) : name {
    case "GPT2Tokenizer": self = .gpt2
    case "CodeGenTokenizer": self = .codegen
    case "Qwen2Tokenizer": self = .qwen2
    default: return nil
    }
  }

  /// The special tokens that a class has when no file says otherwise.
  var defaults: [(key: String, text: String)] {
    let end = "<|endoftext|>"
    let first = self == .qwen2 ? "pad_token" : "bos_token"
    return [(first, end), ("eos_token", end), ("unk_token", end)]
  }

  func stages() throws -> [Stage] {
    switch self {
    case .gpt2, .codegen: [try Stage(.pattern(Pattern.gpt2))]
    case .qwen2: [try Stage(.pattern(Pattern.qwen2))]
    }
  }

  /// Where among the stages a space goes before the parts.
  var prefixPlace: Int { self == .qwen2 ? 1 : 0 }
}

/// The special tokens that configuration files name.
private struct SpecialTokens {
  private static let keys = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]
  private static let lists = ["additional_special_tokens", "extra_special_tokens"]

  private var named: [String: AddedTokenReader.Token] = [:]
  private var others: [AddedTokenReader.Token] = []

  init(_ defaults: [(key: String, text: String)], _ config: DocumentReader?) throws {
    for (key, text) in defaults { named[key] = AddedTokenReader.special(text) }
    if let config { try read(config) }
  }

  /// What a later file says replaces what an earlier one said.
  mutating func read(_ reader: DocumentReader) throws {
    for key in Self.keys where reader.keys.contains(key) {
      named[key] = try reader.optional(key).map { try AddedTokenReader.special($0, key, reader) }
    }
    for key in Self.lists {
      guard let list = reader.optional(key)?.array else { continue }
      for (index, value) in list.enumerated() {
        others.append(try AddedTokenReader.special(value, "\(key)[\(index)]", reader))
      }
    }
  }

  /// Makes the tokens among the added ones special, and adds those that are missing: with the id of the piece,
  /// or else the next one.
  ///
  /// - Parameter keepsFlags: without it, those that become special are looked for in the text as it stands.
  func join(
    _ tokens: inout [AddedTokenReader.Token], _ pieces: PieceTable, keepsFlags: Bool
  ) -> (bos: Int?, eos: Int?) {
    var places: [[UInt8]: Int] = [:]
    for (place, token) in tokens.enumerated() { places[Array(token.text.utf8)] = place }
    let known = pieces.ids()
    var next = max(pieces.count, (tokens.map(\.id).max() ?? -1) + 1)
    for token in Self.keys.compactMap({ named[$0] }) + others where !token.text.isEmpty {
      let text = Array(token.text.utf8)
      if let place = places[text] {
        if !keepsFlags { tokens[place].flags.remove(.normalized) }
        tokens[place].isSpecial = true
        continue
      }
      var token = token
      token.id = known[text] ?? next
      if token.id == next { next += 1 }
      places[text] = tokens.count
      tokens.append(token)
    }
    func id(_ key: String) -> Int? { named[key].flatMap { places[Array($0.text.utf8)] }.map { tokens[$0].id } }
    return (id("bos_token"), id("eos_token"))
  }
}
