import FurlBase

/// Reads the older form of a byte-level tokenizer: `vocab.json` and `merges.txt`, with what the files beside them say
/// about further tokens (``TokensBeside``).
///
/// How a text is cut into words is in none of these files: it follows from the class that
/// `tokenizer_config.json` names, or from `config.json`'s `model_type`, as in `transformers`.
struct VocabularyFiles {
  private let folder: String
  private let config: DocumentReader?
  private let form: TokenizerClass
  /// What names the class; nil where nothing does.
  private let source: String?

  /// Whether a folder has a tokenizer in this form.
  static func exist(in folder: String) -> Bool {
    ["vocab.json", "merges.txt"].allSatisfy { FileManager.default.fileExists(atPath: folder + "/" + $0) }
  }

  static func read(folder: String) throws -> TokenizerParts { try VocabularyFiles(folder).parts() }

  private init(_ folder: String) throws {
    self.folder = folder
    config = try Self.document("tokenizer_config.json", folder)
    let named = try NamedTokenizerClass(folder: folder, config: config)
    if let name = try config?.string("tokenizer_class"), let config, named?.form.hasVocabularyFiles != true {
      throw config.error(
        "tokenizer_class", "\"\(name)\" is not supported without a tokenizer.json",
        remedy: "save the tokenizer with transformers, which writes one")
    }
    let form = named.flatMap { $0.form.hasVocabularyFiles ? $0 : nil }
    self.form = form?.form ?? .gpt2
    source = form?.source
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

    let beside = try TokensBeside(folder: folder, form: form)
    let file = beside.file ?? path
    var added: [AddedToken] = []
    try pieces.add(beside: beside.tokens(beside: []), to: &added, modelCount: members.count) {
      .input(file, "\"\($0)\"", $1)
    }

    let vocabulary = pieces.vocabulary(.bytes)
    let index = try PieceIndex(vocabulary, file: path)
    try pieces.checkAdded(index, vocabulary) { .input(file, $0) }
    func id(_ key: String) -> Int? { beside.id(key, among: added, vocabulary) }
    let addsBOS = try config?.bool("add_bos_token")
    return TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(try merges(vocabulary, index), file: folder + "/merges.txt"),
      added: added, normalization: form.normalization,
      stages: try form.stages(addsSpace: try config?.bool("add_prefix_space") ?? form.addsSpace),
      bosID: id("bos_token"), eosID: id("eos_token"), addsBOS: addsBOS ?? false,
      beginsBy: addsBOS == nil ? source : "tokenizer_config.json: add_bos_token")
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
