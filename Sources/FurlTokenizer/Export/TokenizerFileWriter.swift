package import FurlBase

extension Tokenizer {
  /// The tokenizer as Hugging Face's `tokenizers` reads it: a `tokenizer.json` that gives the same ids.
  ///
  /// Texts get a token before them where ``addsBOS`` says so.
  ///
  /// - Throws: ``FurlError`` of kind `input` for what no `tokenizer.json` says.
  package func tokenizerJSON() throws -> JSON {
    let writer = TokenizerFileWriter(parts: parts)
    return [
      "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": writer.addedTokens,
      "normalizer": writer.normalizer, "pre_tokenizer": try writer.preTokenizer(),
      "post_processor": writer.postProcessor, "decoder": writer.decoder, "model": try writer.model(),
    ]
  }

  /// What goes with it as `tokenizer_config.json`.
  ///
  /// - Parameter contextLength: the most positions of the model.
  package func configurationJSON(contextLength: Int) -> JSON {
    var members = [
      JSON.Member("tokenizer_class", "PreTrainedTokenizerFast"),
      JSON.Member("clean_up_tokenization_spaces", false),
      JSON.Member("model_max_length", .integer(contextLength)),
      JSON.Member("add_bos_token", .bool(addsBOS && bosID != nil)),
    ]
    for (key, id) in [("bos_token", bosID), ("eos_token", eosID), ("unk_token", parts.fallback.unknownID)] {
      if let id { members.append(JSON.Member(key, .string(piece(id)))) }
    }
    return .object(members)
  }
}

/// Writes the components of a `tokenizer.json`.
struct TokenizerFileWriter {
  let parts: TokenizerParts

  private var isMarked: Bool { parts.vocabulary.alphabet == .marked }

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

  func model() throws -> JSON {
    let vocabulary = parts.vocabulary
    let pieces = (0..<vocabulary.count).filter { vocabulary.kinds[$0].contains([.present, .model]) }
    return [
      "type": "BPE", "dropout": nil,
      "unk_token": parts.fallback.unknownID.map { .string(vocabulary.spelling($0)) } ?? nil,
      "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
      "fuse_unk": .bool(parts.fallback.fusesUnknown), "byte_fallback": .bool(parts.fallback.usesBytes),
      "ignore_merges": .bool(parts.ignoresMerges),
      "vocab": .object(pieces.map { JSON.Member(vocabulary.spelling($0), .integer($0)) }),
      "merges": .array(try merges().map { .string(text(of: $0)) }),
    ]
  }

  /// `left right`. Neither alphabet has a space.
  func text(of merge: MergeTable.Merge) -> String {
    parts.vocabulary.spelling(Int(merge.left)) + " " + parts.vocabulary.spelling(Int(merge.right))
  }

  private func merges() throws -> [MergeTable.Merge] {
    try parts.places.isEmpty ? parts.merges.list : ScoredPieces(parts).merges()
  }

  // MARK: Text

  var normalizer: JSON {
    var steps: [JSON] = []
    if parts.normalization.composes { steps.append(["type": "NFC"]) }
    if parts.normalization.prependsSpace { steps.append(["type": "Prepend", "prepend": .string(SpaceMark.text)]) }
    if parts.normalization.marksSpaces {
      steps.append(["type": "Replace", "pattern": ["String": " "], "content": .string(SpaceMark.text)])
    }
    return steps.count > 1 ? ["type": "Sequence", "normalizers": .array(steps)] : steps.first ?? nil
  }

  var decoder: JSON {
    guard isMarked else {
      return ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]
    }
    var steps: [JSON] = [
      ["type": "Replace", "pattern": ["String": .string(SpaceMark.text)], "content": " "]
    ]
    if parts.decoding.joinsBytes { steps.append(["type": "ByteFallback"]) }
    steps.append(["type": "Fuse"])
    if parts.decoding.stripsSpace { steps.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
    return ["type": "Sequence", "decoders": .array(steps)]
  }

  var postProcessor: JSON {
    guard parts.addsBOS, let id = parts.bosID else { return nil }
    let name = parts.vocabulary.spelling(id)
    let token = JSON.string(name)
    let text: JSON = ["Sequence": ["id": "A", "type_id": 0]]
    let begin: JSON = ["SpecialToken": ["id": token, "type_id": 0]]
    return [
      "type": "TemplateProcessing", "single": [begin, text],
      "pair": [begin, text, ["Sequence": ["id": "B", "type_id": 1]]],
      "special_tokens": .object([JSON.Member(name, ["id": token, "ids": [.integer(id)], "tokens": [token]])]),
    ]
  }

  // MARK: Words

  func preTokenizer() throws -> JSON {
    let steps = try isMarked ? markedSteps() : byteSteps()
    return steps.count > 1 ? ["type": "Sequence", "pretokenizers": .array(steps)] : steps.first ?? nil
  }

  /// The stages in front of ByteLevel, and ByteLevel with what it does itself.
  private func byteSteps() throws -> [JSON] {
    var stages = parts.stages
    let cuts = stages.last.map { $0.rule == .pattern(Pattern.gpt2) && $0.behavior == .isolated && !$0.inverts } ?? false
    if cuts { stages.removeLast() }
    let prefixes = stages.last?.rule == .prefixSpace
    if prefixes { stages.removeLast() }
    return try stages.map(step) + [
      ["type": "ByteLevel", "add_prefix_space": .bool(prefixes), "trim_offsets": true, "use_regex": .bool(cuts)]
    ]
  }

  /// Metaspace takes the cut before spaces that follows it with it.
  private func markedSteps() throws -> [JSON] {
    var steps: [JSON] = []
    var index = 0
    while index < parts.stages.count {
      let stage = parts.stages[index]
      index += 1
      guard case .marks(let prefix) = stage.rule else {
        steps.append(try step(stage))
        continue
      }
      let next = index < parts.stages.count ? parts.stages[index] : nil
      let cuts = next.map { $0.rule == .literal(" ") && $0.behavior == .mergedWithNext && !$0.inverts } ?? false
      if cuts { index += 1 }
      steps.append([
        "type": "Metaspace", "replacement": .string(SpaceMark.text), "prepend_scheme": .string(prefix.name),
        "split": .bool(cuts),
      ])
    }
    return steps
  }

  private func step(_ stage: Stage) throws -> JSON {
    func split(_ pattern: JSON) -> JSON {
      [
        "type": "Split", "pattern": pattern, "behavior": .string(stage.behavior.name), "invert": .bool(stage.inverts),
      ]
    }
    switch stage.rule {
    case .pattern(let text): return split(["Regex": .string(text)])
    case .literal(let text):
      let spelled = isMarked ? Alphabet.marked.spelling(of: Array(text.utf8)[...]) : text
      return split(["String": .string(spelled)])
    case .digits where [.isolated, .contiguous].contains(stage.behavior) && !stage.inverts:
      return ["type": "Digits", "individual_digits": .bool(stage.behavior == .isolated)]
    case .digits, .prefixSpace, .marks:
      throw FurlError.input(nil, "tokenizer", "has steps in an order that tokenizer.json cannot say")
    }
  }
}
