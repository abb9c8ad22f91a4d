import FurlSpec
import FurlTensor

extension Tokenizer {
  /// The tokenizer as Hugging Face's `tokenizers` reads it: a `tokenizer.json` that gives the same ids.
  ///
  /// Texts get a token before them where ``addsBOS`` says so.
  ///
  /// - Throws: ``FurlError`` of kind `input` for steps in an order that no `tokenizer.json` has.
  public func tokenizerJSON() throws -> JSON {
    let writer = TokenizerFileWriter(parts: parts)
    return [
      "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": writer.addedTokens,
      "normalizer": parts.isNormalizing ? ["type": "NFC"] : nil, "pre_tokenizer": try writer.preTokenizer(),
      "post_processor": writer.postProcessor,
      "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      "model": writer.model,
    ]
  }

  /// What goes with it as `tokenizer_config.json`.
  ///
  /// - Parameter contextLength: the most positions of the model.
  public func configurationJSON(contextLength: Int) -> JSON {
    var members = [
      JSON.Member("tokenizer_class", "PreTrainedTokenizerFast"),
      JSON.Member("clean_up_tokenization_spaces", false),
      JSON.Member("model_max_length", .integer(contextLength)),
      JSON.Member("add_bos_token", .bool(addsBOS && bosID != nil)),
    ]
    for (key, id) in [("bos_token", bosID), ("eos_token", eosID)] {
      if let id { members.append(JSON.Member(key, .string(piece(id)))) }
    }
    return .object(members)
  }
}

/// Writes the components of a `tokenizer.json`.
struct TokenizerFileWriter {
  let parts: TokenizerParts

  /// By id: the reference gives new ids in the order of the list.
  var addedTokens: JSON {
    .array(
      parts.added.sorted { $0.id < $1.id }.map { token in
        [
          "id": .integer(token.id), "content": .string(parts.vocabulary.spelling(token.id)),
          "single_word": .bool(token.flags.contains(.singleWord)),
          "lstrip": .bool(token.flags.contains(.stripsLeft)), "rstrip": .bool(token.flags.contains(.stripsRight)),
          "normalized": .bool(token.flags.contains(.normalized)),
          "special": .bool(parts.vocabulary.kinds[token.id].contains(.special)),
        ]
      })
  }

  var model: JSON {
    let vocabulary = parts.vocabulary
    let pieces = (0..<vocabulary.count).filter { vocabulary.kinds[$0].contains([.present, .model]) }
    return [
      "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
      "fuse_unk": false, "byte_fallback": false, "ignore_merges": .bool(parts.ignoresMerges),
      "vocab": .object(pieces.map { JSON.Member(vocabulary.spelling($0), .integer($0)) }),
      "merges": .array(mergeTexts.map(JSON.string)),
    ]
  }

  /// `left right`, by rank. The byte alphabet has no space.
  var mergeTexts: [String] {
    parts.merges.list.map {
      parts.vocabulary.spelling(Int($0.left)) + " " + parts.vocabulary.spelling(Int($0.right))
    }
  }

  var postProcessor: JSON {
    guard parts.addsBOS, let id = parts.bosID else { return nil }
    let token = JSON.string(parts.vocabulary.spelling(id))
    let text: JSON = ["Sequence": ["id": "A", "type_id": 0]]
    let begin: JSON = ["SpecialToken": ["id": token, "type_id": 0]]
    return [
      "type": "TemplateProcessing", "single": [begin, text],
      "pair": [begin, text, ["Sequence": ["id": "B", "type_id": 1]]],
      "special_tokens": .object([
        JSON.Member(
          parts.vocabulary.spelling(id), ["id": token, "ids": [.integer(id)], "tokens": [token]])
      ]),
    ]
  }

  /// The stages in front of ByteLevel, and ByteLevel with what it does itself.
  func preTokenizer() throws -> JSON {
    var stages = parts.stages
    let cuts = stages.last.map { $0.rule == .pattern(Pattern.gpt2) && $0.behavior == .isolated && !$0.inverts } ?? false
    if cuts { stages.removeLast() }
    let prefixes = stages.last?.rule == .prefixSpace
    if prefixes { stages.removeLast() }
    var steps = try stages.map(step)
    steps.append([
      "type": "ByteLevel", "add_prefix_space": .bool(prefixes), "trim_offsets": true, "use_regex": .bool(cuts),
    ])
    return steps.count == 1 ? steps[0] : ["type": "Sequence", "pretokenizers": .array(steps)]
  }

  private func step(_ stage: Stage) throws -> JSON {
    func split(_ pattern: JSON) -> JSON {
      [
        "type": "Split", "pattern": pattern, "behavior": .string(stage.behavior.name), "invert": .bool(stage.inverts),
      ]
    }
    switch stage.rule {
    case .pattern(let text): return split(["Regex": .string(text)])
    case .literal(let text): return split(["String": .string(text)])
    case .digits where [.isolated, .contiguous].contains(stage.behavior) && !stage.inverts:
      return ["type": "Digits", "individual_digits": .bool(stage.behavior == .isolated)]
    case .digits, .prefixSpace:
      throw FurlError.input(nil, "tokenizer", "has steps in an order that tokenizer.json cannot say")
    }
  }
}
