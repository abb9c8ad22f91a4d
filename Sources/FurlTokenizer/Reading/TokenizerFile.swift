import FurlBase

/// Reads Hugging Face's `tokenizer.json` and `tokenizer_config.json`.
///
/// Every component that would change the ids and that cannot be run exactly is refused by its key.
enum TokenizerFile {
  static let largest = 256 << 20

  /// - Parameter path: of a `tokenizer.json`; what lies beside it adds to it.
  static func read(path: String) throws -> TokenizerParts {
    let json = try JSON.parse(try MappedFile(path: path).readAll(limit: largest), file: path, dialect: .nonFinite)
    return try read(DocumentReader(json, file: path), folder: path.folderPath)
  }

  /// The class that builds the tokenizer anew. Llama's does not where the vocabulary is one of bytes, as Llama 3's.
  private static func builder(_ folder: String, _ alphabet: Alphabet) throws -> NamedTokenizerClass? {
    let config = try VocabularyFiles.document("tokenizer_config.json", folder)
    guard let named = try NamedTokenizerClass(folder: folder, config: config) else { return nil }
    return (named.form == .llama && alphabet == .bytes) || named.model == "mistral" ? nil : named
  }

  private static func read(_ file: DocumentReader, folder: String) throws -> TokenizerParts {
    let normalization = try NormalizerReader.read(file)
    let cutting = try PreTokenizerReader.read(file, normalization)
    let decoding = try DecoderReader.read(file, cutting.alphabet)
    let template = try TemplateReader.read(file)

    guard let model = try file.reader("model") else { throw file.error("model", "is missing") }
    try ModelReader.checkOptions(model, cutting.alphabet)
    let members = try ModelReader.vocabulary(model)
    var pieces = try PieceTable(members) { model.error($0, $1) }
    let own = try AddedTokenReader.read(file)
    let modelCount = members.count
    var added = try pieces.add(own, modelCount: modelCount) { file.error("added_tokens\($0)", $1) }
    let named = try builder(folder, cutting.alphabet)
    let beside = try TokensBeside(folder: folder, own: own, form: named?.form)
    try named?.check(file, model, beside.config, normalization, cutting.stages, cutting.alphabet)
    try pieces.add(beside: beside.tokens(beside: own), to: &added, modelCount: modelCount) {
      .input(beside.file, "\"\($0)\"", $1)
    }
    let vocabulary = pieces.vocabulary(cutting.alphabet)
    let index = try PieceIndex(vocabulary, file: file.file)
    try pieces.checkAdded(index, vocabulary) { file.error("added_tokens", $0) }
    let merges = try ModelReader.merges(model, vocabulary, index)
    let fallback = try ModelReader.fallback(model, vocabulary, index)
    try template.check(vocabulary, file)
    func id(_ key: String) -> Int? { beside.id(key, among: added, vocabulary) }
    let begin = BeginRule(
      says: try beside.config?.bool("add_bos_token"), template: template.before, named: id("bos_token"))
    return TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(merges, file: file.file), added: added,
      normalization: normalization, stages: cutting.stages, fallback: fallback, decoding: decoding,
      ignoresMerges: try model.bool("ignore_merges") ?? false,
      bosID: begin.id, eosID: id("eos_token"), addsBOS: begin.adds, beginsBy: begin.source)
  }
}

/// Whether a token begins a text, and which: `add_bos_token` of `tokenizer_config.json` decides where it is there, else
/// the template of `post_processor` in `tokenizer.json`. The token is the template's where that puts one, else `bos_token`.
///
/// transformers 5 follows the template alone and transformers 4 and llama.cpp's converter follow the key, so the key is
/// what the model's makers have said last.
private struct BeginRule {
  let id: Int?
  let adds: Bool
  let source: String

  init(says: Bool?, template: Int?, named: Int?) {
    adds = says ?? (template != nil)
    id = adds ? template ?? named : named ?? template
    source = says != nil ? "tokenizer_config.json: add_bos_token" : "tokenizer.json: post_processor"
  }
}
