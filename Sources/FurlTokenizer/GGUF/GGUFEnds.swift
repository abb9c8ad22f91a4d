import FurlSpec

/// Where llama.cpp ends a text: at the ids under some keys, and at tokens of well-known names, whatever their types.
///
/// Source: llama.cpp, `src/llama-vocab.cpp`, `special_eog_ids`.
struct GGUFEnds {
  /// Keys beside `eos_token_id`. Tokens of fill-in-the-middle are ends, too: a model that writes one has left its text.
  static let keys = ["eot_token_id", "eom_token_id", "fim_pad_token_id", "fim_rep_token_id", "fim_sep_token_id"]

  /// Names that are looked for where a key is missing; one of them is enough.
  private static let named: KeyValuePairs = [
    "fim_pad_token_id": ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    "fim_rep_token_id": ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    "fim_sep_token_id": ["<|file_sep|>"],
  ]

  /// Names that are ends wherever they are.
  static let names: Set<String> = [
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
    "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<\u{FF5C}end\u{2581}of\u{2581}sentence\u{FF5C}>", "[e~[",
  ]

  /// The ends of a vocabulary beside the one under `eos_token_id`.
  ///
  /// - Parameter text: of an id; nil where it has none.
  static func ends(count: Int, given: [String: Int], text: (Int) -> String?) -> EndTokens {
    var ids: [String: Int] = [:]
    let wanted = Set(named.flatMap(\.value)).union(names)
    for id in 0..<count {
      guard let text = text(id), wanted.contains(text), ids[text] == nil else { continue }
      ids[text] = id
    }
    var ends = EndTokens()
    for key in keys {
      // As llama.cpp, which passes over an id that is none.
      if let id = given[key], (0..<count).contains(id), text(id) != nil {
        ends.add(id, from: "tokenizer.ggml." + key)
      } else if let names = named.first(where: { $0.key == key })?.value, let id = names.compactMap({ ids[$0] }).min() {
        ends.add(id, from: "name")
      }
    }
    for (name, id) in ids where names.contains(name) { ends.add(id, from: "name") }
    // Its own exceptions for models that write these within a text.
    func has(_ name: String) -> Bool { ids[name].map(ends.contains) ?? false }
    let hasCall = has("<|call|>") || has("<|calls|>")
    if let id = ids["<|end|>"], hasCall && (has("<|return|>") || has("<|flush|>")) { ends.remove(id) }
    if let id = ids["</s>"], has("<|tool_response>") { ends.remove(id) }
    return ends
  }
}
