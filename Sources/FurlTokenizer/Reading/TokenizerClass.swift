import FurlBase

/// The classes of transformers 5 that build a tokenizer themselves: of a file they take vocabulary and merges, and they
/// have tokens of their own where no file names one. Any other class does what `tokenizer.json` says.
///
/// Source: transformers 5.24, `models/*/tokenization_*.py` and `TokenizersBackend.convert_to_native_format`.
enum TokenizerClass: String {
  case gpt2 = "GPT2Tokenizer"
  case codegen = "CodeGenTokenizer"
  case qwen2 = "Qwen2Tokenizer"
  case llama = "LlamaTokenizer"
  case codeLlama = "CodeLlamaTokenizer"

  init?(name: String) { self.init(rawValue: name.hasSuffix("Fast") ? String(name.dropLast(4)) : name) }

  /// The classes that `vocab.json` and `merges.txt` are read for.
  var hasVocabularyFiles: Bool { ![.llama, .codeLlama].contains(self) }

  /// Whether the vocabulary is one of bytes; of llama's, `tokenizer.json` says it.
  var isOfBytes: Bool { hasVocabularyFiles }

  /// The tokens that a class has when no file says otherwise.
  var defaults: [(key: String, text: String)] {
    let end = "<|endoftext|>"
    switch self {
    case .gpt2, .codegen: return [("bos_token", end), ("eos_token", end), ("unk_token", end)]
    case .qwen2: return [("eos_token", end), ("unk_token", end), ("pad_token", end)]
    case .llama: return [("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")]
    case .codeLlama:
      let mark = "\u{2581}"
      return TokenizerClass.llama.defaults + [
        ("prefix_token", mark + "<PRE>"), ("middle_token", mark + "<MID>"), ("suffix_token", mark + "<SUF>"),
        ("eot_token", mark + "<EOT>"), ("fill_token", "<FILL_ME>"),
      ]
    }
  }

  /// Whether tokens with a role, and special ones, lose the flags that files give them.
  var dropsFlags: Bool { self == .qwen2 }

  /// Whether a space goes before a text where `add_prefix_space` is missing.
  var addsSpace: Bool { !isOfBytes }

  var normalization: Normalization { Normalization(composes: self == .qwen2) }

  /// How a class over bytes cuts a text.
  func stages(addsSpace: Bool) throws -> [Stage] {
    var stages = [try Stage(.pattern(self == .qwen2 ? Pattern.qwen2 : Pattern.gpt2))]
    if addsSpace { stages.insert(try Stage(.prefixSpace), at: self == .qwen2 ? 1 : 0) }
    return stages
  }
}

/// The class that reads a folder's tokenizer, and what names it.
struct NamedTokenizerClass {
  let form: TokenizerClass
  /// A file and its key.
  let source: String
  /// `model_type` of `config.json`.
  let model: String?

  /// - Parameter config: `tokenizer_config.json`.
  /// - Returns: nil for a class that does what `tokenizer.json` says, and where nothing names one.
  init?(folder: String, config: DocumentReader?) throws {
    let key = "tokenizer_class"
    let configuration = try VocabularyFiles.document("config.json", folder)
    model = configuration?.optional("model_type")?.string
    if let name = try config?.string(key) {
      guard let form = TokenizerClass(name: name) else { return nil }
      (self.form, source) = (form, "tokenizer_config.json: \(key)")
    } else if let name = configuration?.optional(key)?.string {
      guard let form = TokenizerClass(name: name) else { return nil }
      (self.form, source) = (form, "config.json: \(key)")
    } else {
      let forms: [String: TokenizerClass] = [
        "gpt2": .gpt2, "phi": .gpt2, "starcoder2": .gpt2, "codegen": .gpt2, "qwen2": .qwen2,
      ]
      guard let form = model.flatMap({ forms[$0] }) else { return nil }
      (self.form, source) = (form, "config.json: model_type")
    }
  }

  /// Refuses a `tokenizer.json` that its class would run otherwise than it says.
  ///
  /// Two differences are taken as the file has them, as they are those of published models, which were trained so: digits
  /// one by one under GPT2Tokenizer, for families other than the two that are older than such files, and llama's space
  /// before every part of a text instead of the first one.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the key.
  func check(
    _ file: DocumentReader, _ model: DocumentReader, _ config: DocumentReader?, _ normalization: Normalization,
    _ stages: [Stage], _ alphabet: Alphabet
  ) throws {
    func differs(_ reader: DocumentReader, _ key: String) -> FurlError {
      reader.error(
        key, "is not what \(form.rawValue) does, which \(source) names",
        remedy: "if the file is right, set tokenizer_class in tokenizer_config.json to PreTrainedTokenizerFast")
    }
    let key = "add_prefix_space"
    let says = try config?.bool(key)
    let addsSpace = stages.contains { stage in
      switch stage.rule {
      case .prefixSpace: true
      case .marks(let prefix): prefix != .never
      default: false
      }
    }
    guard (alphabet == .bytes) == form.isOfBytes else { throw differs(file, "pre_tokenizer") }
    guard (says ?? form.addsSpace) == (addsSpace || normalization.prependsSpace) else {
      guard let says, let config else { throw differs(file, "pre_tokenizer") }
      throw config.error(
        key, "\(says) is not what tokenizer.json says",
        remedy: "leave the right one: the class \(form.rawValue) goes by the key, and programs before it by the file")
    }
    guard form.isOfBytes else {
      let isPlain = normalization.marksSpaces ? stages.isEmpty : stages.count == 1
      guard !normalization.composes else { throw differs(file, "normalizer") }
      guard isPlain else { throw differs(file, "pre_tokenizer") }
      guard try model.bool("byte_fallback") == true else { throw differs(model, "byte_fallback") }
      return
    }
    guard normalization == form.normalization else { throw differs(file, "normalizer") }
    var cuts = stages[...]
    if form == .gpt2, !["gpt2", "phi"].contains(self.model), cuts.first?.rule == .digits,
      cuts.first?.behavior == .isolated
    {
      cuts = cuts.dropFirst()
    }
    let own = try form.stages(addsSpace: addsSpace)
    let isSame = cuts.elementsEqual(own) {
      $0.rule == $1.rule && ($0.rule == .prefixSpace || $0.behavior == $1.behavior && $0.inverts == $1.inverts)
    }
    guard isSame else { throw differs(file, "pre_tokenizer") }
    guard try model.bool("ignore_merges") != true else { throw differs(model, "ignore_merges") }
  }
}
