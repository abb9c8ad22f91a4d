import FurlSpec
import FurlBase
import FurlTensor
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// What exports say of a tokenizer, read again.
@Suite struct ExportTests {
  /// A tokenizer through `tokenizer.json` and `tokenizer_config.json`.
  private func again(_ tokenizer: Tokenizer) throws -> Tokenizer {
    try Sample.tokenizer(tokenizer.tokenizerJSON(), config: tokenizer.configurationJSON(contextLength: 64))
  }

  @Test("Published vocabularies", arguments: Sample.folders)
  func published(folder: String) throws {
    let tokenizer = try Tokenizer(checkpoint: folder)
    #expect(try again(tokenizer).serialized() == tokenizer.serialized())
    let gguf = try Sample.throughGGUF(tokenizer)
    #expect(gguf.bosID == tokenizer.bosID && gguf.addsBOS == tokenizer.addsBOS)
    var random = SplitMix64(seed: 5)
    for _ in 0..<1000 {
      let text = Sample.text(&random)
      #expect(gguf.encode(text) == tokenizer.encode(text), "\(text.debugDescription)")
    }
  }

  /// The ids are those of the `tokenizers` package for the file that this one was made from.
  @Test("Configurations", arguments: try VectorTests.caseNames())
  func configurations(name: String) throws {
    let document = try Sample.fixture("cases.json")
    let texts = try #require(document["texts"]?.array).compactMap(\.string)
    let example = try #require(document["cases"]?.array?.first { $0["name"]?.string == name })
    let tokenizer = try Sample.tokenizer(VectorTests.document(of: example))
    let copy = try again(tokenizer)
    for (text, ids) in zip(texts, try #require(example["ids"]?.array)) {
      #expect(copy.encode(text) == ids.array?.compactMap(\.integer), "\(text.debugDescription)")
      #expect(copy.encode(text, bos: .auto) == tokenizer.encode(text, bos: .auto))
    }
    // Added tokens come in the order of their ids, which is no other tokenizer.
    #expect(try again(copy).serialized() == copy.serialized())
  }

  // MARK: Whole texts

  /// A small vocabulary of whole texts in the manner of Llama's: bytes, letters, and what merges make of them.
  private func text(
    normalizer: JSON = [
      "type": "Sequence",
      "normalizers": [
        ["type": "Prepend", "prepend": "▁"], ["type": "Replace", "pattern": ["String": " "], "content": "▁"],
      ],
    ], preTokenizer: JSON = nil, merges: JSON = ["a b", "▁ a", "▁ ab", "▁a b", "c d", "b cd"], bytes: Bool = true,
    strips: Bool = true
  ) throws -> Tokenizer {
    var pieces = ["<unk>", "<s>", "</s>"]
    if bytes { pieces += (0..<256).map { BytePiece.spelling(UInt8($0)) } }
    pieces += ["▁", "a", "b", "c", "d", "ab", "▁a", "▁ab", "cd", "bcd"]
    var decoders: [JSON] = [
      ["type": "Replace", "pattern": ["String": "▁"], "content": " "], ["type": "ByteFallback"], ["type": "Fuse"],
    ]
    if strips { decoders.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
    let model: JSON = [
      "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": .bool(bytes),
      "vocab": .object(pieces.enumerated().map { JSON.Member($1, .integer($0)) }), "merges": merges,
    ]
    let document: JSON = [
      "version": "1.0",
      "added_tokens": [Sample.added(0, "<unk>"), Sample.added(1, "<s>"), Sample.added(2, "</s>")],
      "normalizer": normalizer, "pre_tokenizer": preTokenizer, "post_processor": nil,
      "decoder": ["type": "Sequence", "decoders": .array(decoders)], "model": model,
    ]
    return try Sample.tokenizer(document, config: ["bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true])
  }

  private let texts = ["", "ab", " ab ab", "aab cd", "abcd  abcd", "é ab\n", "<s>ab</s> cd", "日本 a", "a b c d"]

  @Test func textsSurvive() throws {
    let metaspaces: [JSON] = ["always", "first", "never"].flatMap { scheme in
      [true, false].map { ["type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": .bool($0)] }
    }
    let tokenizers = try [text()] + metaspaces.map { try text(normalizer: nil, preTokenizer: $0, strips: false) }
    for tokenizer in tokenizers {
      let copy = try again(tokenizer)
      #expect(copy.serialized() == tokenizer.serialized())
      for text in texts {
        #expect(copy.encode(text, bos: .auto) == tokenizer.encode(text, bos: .auto))
        #expect(copy.decode(tokenizer.encode(text)) == tokenizer.decode(tokenizer.encode(text)))
      }
    }
  }

  @Test func mergesBecomeScoresAndScoresMerges() throws {
    let tokenizer = try text()
    let vocabulary = try tokenizer.ggufVocabulary(architecture: "llama")
    #expect(vocabulary.model == "llama" && vocabulary.addsSpace == true && vocabulary.unknownID == 0)
    #expect(vocabulary.merges.isEmpty)
    #expect(vocabulary.kinds[0...3] == [.unknown, .control, .control, .byte])
    let scores = try #require(vocabulary.scores)
    // Pieces in the order in which merges make them; the rest is not made.
    #expect(scores[264...268] == [-1, -2, -3, -4, -5])
    #expect(scores[..<264].allSatisfy { $0 == 0 })
    let scored = try Sample.throughGGUF(tokenizer)
    let merged = try again(scored)
    for text in texts {
      #expect(scored.encode(text) == tokenizer.encode(text), "\(text)")
      #expect(merged.encode(text) == tokenizer.encode(text), "\(text)")
    }
  }

  @Test func whatNoScoresSay() throws {
    func refusal(_ tokenizer: Tokenizer, _ words: String, sourceLocation: SourceLocation = #_sourceLocation) {
      let error = #expect(throws: FurlError.self, sourceLocation: sourceLocation) {
        try tokenizer.ggufVocabulary(architecture: "llama")
      }
      #expect("\(error!)".contains(words), "\(error!)", sourceLocation: sourceLocation)
      #expect("\(error!)".contains("safetensors"), sourceLocation: sourceLocation)
    }
    // "▁ab" is also "▁a" and "b".
    refusal(try text(merges: ["a b", "▁ a", "▁ ab", "c d", "b cd"]), "in an order that no scores have")
    refusal(try text(merges: ["a b", "▁ ab", "▁ a", "▁a b", "c d", "b cd"]), "in an order that no scores have")
    refusal(try text(bytes: false), "no pieces for all bytes")
    let split: JSON = ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true]
    refusal(try text(normalizer: nil, preTokenizer: split), "before it merges")
  }

  /// Gemma 4's of llama.cpp merges whole texts by merges, so that their order need not be one of scores.
  @Test func gemmaKeepsItsMerges() throws {
    let plain: JSON = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
    func own(_ merges: JSON, normalizer: JSON? = nil) throws -> Tokenizer {
      try text(normalizer: normalizer ?? plain, merges: merges, strips: false)
    }
    let unordered = try own(["a b", "▁ a", "▁ ab", "c d", "b cd"])
    let vocabulary = try unordered.ggufVocabulary(architecture: "gemma4_text")
    #expect(vocabulary.model == "gemma4" && vocabulary.scores == nil && vocabulary.unknownID == 0)
    #expect(vocabulary.merges == ["a b", "▁ a", "▁ ab", "c d", "b cd"] && vocabulary.addsSpace == false)
    #expect(vocabulary.kinds[0...3] == [.unknown, .control, .control, .byte] && vocabulary.kinds[264] == .normal)
    let copy = try Sample.throughGGUF(unordered, architecture: "gemma4_text")
    for text in texts {
      #expect(copy.encode(text, bos: .auto) == unordered.encode(text, bos: .auto), "\(text)")
      #expect(copy.decode(unordered.encode(text)) == unordered.decode(unordered.encode(text)))
    }
    #expect(copy.addsBOS && copy.eosID == 2)
    // What puts a space before texts is none of it.
    let ordered = try text()
    #expect(try ordered.ggufVocabulary(architecture: "gemma4_text").model == "llama")
    #expect(throws: FurlError.self) {
      try text(merges: ["a b", "▁ a", "▁ ab", "c d", "b cd"]).ggufVocabulary(architecture: "gemma4_text")
    }
  }

  @Test func cutsThatLlamaHasNoNameFor() throws {
    for steps in [
      [["type": "Split", "pattern": ["Regex": "a+"], "behavior": "Isolated", "invert": false], Sample.byteLevel],
      [["type": "Digits", "individual_digits": false], Sample.byteLevel],
      [["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]],
    ] as [[JSON]] {
      let tokenizer = try Sample.tokenizer(
        Sample.document(["pre_tokenizer": ["type": "Sequence", "pretokenizers": .array(steps)]]))
      let error = #expect(throws: FurlError.self) { try tokenizer.ggufVocabulary(architecture: "gpt2") }
      #expect("\(error!)".contains("no name for"), "\(error!)")
    }
    let digits = try Sample.tokenizer(
      Sample.document([
        "pre_tokenizer": [
          "type": "Sequence", "pretokenizers": [["type": "Digits", "individual_digits": true], Sample.byteLevel],
        ]
      ]))
    #expect(try digits.ggufVocabulary(architecture: "starcoder2").preTokenizer == "starcoder")
    #expect(try digits.ggufVocabulary(architecture: "llama").preTokenizer == "smollm")
  }
}
