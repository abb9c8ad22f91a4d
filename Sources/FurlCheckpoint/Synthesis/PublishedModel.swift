/// A model whose shape is known well enough to make a checkpoint of it.
package struct PublishedModel: Sendable {
  /// What the command line calls it.
  package let name: String
  /// Where it was published.
  package let repository: String
  /// `config.json` as published, but for `torch_dtype`, which is that of the weights written.
  let config: [UInt8]
  /// Ids of the published tokenizer; the model may know more.
  let tokenizerCount: Int
  /// The special tokens of the synthetic tokenizer, by id.
  let special: [Int: String]
  /// The tokens before and behind a text.
  let begin: String
  let end: String
  /// Files that the weights are published in.
  let shards: Int

  /// The published model of a name.
  package init?(name: String) {
    guard let model = PublishedModel.all.first(where: { $0.name == name }) else { return nil }
    self = model
  }

  init(
    _ name: String, _ repository: String, tokenizerCount: Int, special: [Int: String], begin: String, end: String,
    shards: Int, config: [UInt8]
  ) {
    self.name = name
    self.repository = repository
    self.tokenizerCount = tokenizerCount
    self.special = special
    self.begin = begin
    self.end = end
    self.shards = shards
    self.config = config
  }

  private static let endOfText = "<|endoftext|>"

  package static let all = [
    starcoder2Small, starcoder2Medium, phi2, codeGPT, smolLM2, qwen3Coder, qwen25Coder, gptOSS, gemma3, granite, phi4,
  ]

  private static let starcoder2Small = PublishedModel(
    "starcoder2-3b", "bigcode/starcoder2-3b", tokenizerCount: 49152, special: [0: endOfText], begin: endOfText,
    end: endOfText, shards: 1,
    config: PackageResources.starcoder2_3b_json)

  private static let starcoder2Medium = PublishedModel(
    "starcoder2-7b", "bigcode/starcoder2-7b", tokenizerCount: 49152, special: [0: endOfText], begin: endOfText,
    end: endOfText, shards: 3,
    config: PackageResources.starcoder2_7b_json)

  private static let phi2 = PublishedModel(
    "phi-2", "microsoft/phi-2", tokenizerCount: 50295, special: [50256: endOfText], begin: endOfText, end: endOfText,
    shards: 2,
    config: PackageResources.phi_2_json)

  /// The configuration is GPT-2's with the vocabulary that the published number of parameters (124.24 million) means.
  private static let codeGPT = PublishedModel(
    "codegpt", "microsoft/CodeGPT-small-py", tokenizerCount: 50001,
    special: [0: "<s>", 1: "<pad>", 2: "</s>", 3: "<unk>"], begin: "<s>", end: "</s>", shards: 1,
    config: PackageResources.codegpt_json)

  private static let smolLM2 = PublishedModel(
    "smollm2", "HuggingFaceTB/SmolLM2-135M", tokenizerCount: 49152, special: [0: endOfText], begin: endOfText,
    end: endOfText, shards: 1,
    config: PackageResources.smollm2_json)

  // Tokenizers are larger than what is known of them here: of the ids beyond the special tokens only their number counts.

  private static let qwen3Coder = PublishedModel(
    "qwen3-coder-30b-a3b", "Qwen/Qwen3-Coder-30B-A3B-Instruct", tokenizerCount: 151_669,
    special: [151_643: endOfText, 151_645: "<|im_end|>"], begin: endOfText, end: "<|im_end|>", shards: 16,
    config: PackageResources.qwen3_coder_30b_a3b_json)

  private static let qwen25Coder = PublishedModel(
    "qwen2.5-coder-7b", "Qwen/Qwen2.5-Coder-7B", tokenizerCount: 151_665, special: [151_643: endOfText],
    begin: endOfText, end: endOfText, shards: 4, config: PackageResources.qwen2_5_coder_7b_json)

  /// Published with experts in MXFP4; here all numbers are of one type.
  private static let gptOSS = PublishedModel(
    "gpt-oss-20b", "openai/gpt-oss-20b", tokenizerCount: 200_019,
    special: [199_998: "<|startoftext|>", 199_999: endOfText, 200_002: "<|return|>"], begin: "<|startoftext|>",
    end: "<|return|>", shards: 3, config: PackageResources.gpt_oss_20b_json)

  /// The text part.
  private static let gemma3 = PublishedModel(
    "gemma3-4b", "google/gemma-3-4b-pt", tokenizerCount: 262_145, special: [0: "<pad>", 1: "<eos>", 2: "<bos>"],
    begin: "<bos>", end: "<eos>", shards: 2, config: PackageResources.gemma3_4b_json)

  private static let granite = PublishedModel(
    "granite-8b", "ibm-granite/granite-3.3-8b-base", tokenizerCount: 49_152, special: [0: endOfText],
    begin: endOfText, end: endOfText, shards: 4, config: PackageResources.granite_8b_json)

  private static let phi4 = PublishedModel(
    "phi-4", "microsoft/phi-4", tokenizerCount: 100_352, special: [100_257: endOfText, 100_265: "<|im_end|>"],
    begin: endOfText, end: "<|im_end|>", shards: 6, config: PackageResources.phi_4_json)
}
