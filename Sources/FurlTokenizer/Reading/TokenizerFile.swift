import FurlSpec
import FurlTensor

/// Reads Hugging Face's `tokenizer.json` and `tokenizer_config.json`.
///
/// Every component that would change the ids and that cannot be run exactly is refused by its key.
enum TokenizerFile {
  static let largest = 256 << 20

  static func read(folder: String) throws -> TokenizerParts {
    let path = folder + "/tokenizer.json"
    let json = try JSON.parse(try MappedFile(path: path).readAll(limit: largest), file: path, python: true)
    let file = try DocumentReader(json, file: path)
    var config = TokenizerConfig()
    let configPath = folder + "/tokenizer_config.json"
    if access(configPath, F_OK) == 0 { config = try TokenizerConfig(path: configPath) }
    return try read(file, config)
  }

  private static func read(_ file: DocumentReader, _ config: TokenizerConfig) throws -> TokenizerParts {
    let normalization = try NormalizerReader.read(file)
    let cutting = try PreTokenizerReader.read(file, normalization)
    let decoding = try DecoderReader.read(file, cutting.alphabet)
    let template = try TemplateReader.read(file)

    guard let model = try file.reader("model") else { throw file.error("model", "is missing") }
    try ModelReader.checkOptions(model, cutting.alphabet)
    var pieces = try PieceTable(ModelReader.vocabulary(model)) { model.error($0, $1) }
    var added = try pieces.add(AddedTokenReader.read(file)) { file.error("added_tokens\($0)", $1) }
    // transformers makes the configuration's tokens special ones, found in the text, if they are not yet.
    let named = try [config.bos, config.eos].map { try $0.map { try pieces.special($0, &added, config) } }
    let vocabulary = pieces.vocabulary(cutting.alphabet)
    let index = try PieceIndex(vocabulary, file: file.file)
    try pieces.checkAdded(index, vocabulary) { file.error("added_tokens", $0) }
    let merges = try ModelReader.merges(model, vocabulary, index)
    let fallback = try ModelReader.fallback(model, vocabulary, index)
    try template.check(vocabulary, file)
    return TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(merges, file: file.file), added: added,
      normalization: normalization, stages: cutting.stages, fallback: fallback, decoding: decoding,
      ignoresMerges: try model.bool("ignore_merges") ?? false,
      bosID: named[0] ?? template.before, eosID: named[1], addsBOS: config.addsBOS ?? (template.before != nil))
  }
}
