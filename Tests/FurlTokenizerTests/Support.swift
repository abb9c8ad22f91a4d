import FurlSpec
import FurlBase
import FurlTensor
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Tokenizers that the tests build.
enum Sample {
  /// The folders of the three published tokenizers that are at hand.
  static var folders: [String] {
    [TestData.minipy]
      + ["gpt-2", "starcoder"].compactMap { name in
        TestData.shared.map { $0 + "/fixtures/tokenizers/" + name }
      }
  }

  static let fixtures = TestData.root + "/Tests/Fixtures/tokenizer/"

  /// A document of the fixtures.
  static func fixture(_ name: String) throws -> JSON {
    try JSON.parse(try TestData.bytes(fixtures + name), file: name)
  }

  /// Reads a tokenizer.json, and a tokenizer_config.json if there is one, from a folder of their own.
  static func tokenizer(_ document: JSON, config: JSON? = nil) throws -> Tokenizer {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(document.compactText.utf8), to: folder + "/tokenizer.json")
      if let config { try TestData.write(Array(config.compactText.utf8), to: folder + "/tokenizer_config.json") }
      return try Tokenizer(checkpoint: folder)
    }
  }

  static let byteLevel: JSON = [
    "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
  ]

  /// A tokenizer.json with a few letters; `changes` replace members, of the model if they belong to it.
  static func document(_ changes: KeyValuePairs<String, JSON> = [:]) -> JSON {
    var model: [JSON.Member] = [
      .init("type", "BPE"), .init("dropout", nil), .init("unk_token", nil), .init("ignore_merges", false),
      .init("byte_fallback", false), .init("continuing_subword_prefix", nil), .init("end_of_word_suffix", nil),
      .init("vocab", ["a": 0, "b": 1, "c": 2, "Ġ": 3, "ab": 4, "abc": 5]), .init("merges", ["a b", ["ab", "c"]]),
    ]
    var members: [JSON.Member] = [
      .init("version", "1.0"), .init("added_tokens", []), .init("normalizer", nil), .init("pre_tokenizer", byteLevel),
      .init("post_processor", nil), .init("decoder", byteLevel),
    ]
    for (key, value) in changes {
      if let index = model.firstIndex(where: { $0.key == key }) {
        model[index].value = value
      } else if let index = members.firstIndex(where: { $0.key == key }) {
        members[index].value = value
      }
    }
    return .object(members + [.init("model", .object(model))])
  }

  /// How pieces with marks for spaces become text.
  static let markedDecoder: JSON = [
    "type": "Sequence",
    "decoders": [
      ["type": "Replace", "pattern": ["String": "\u{2581}"], "content": " "], ["type": "ByteFallback"],
      ["type": "Fuse"], ["type": "Strip", "content": " ", "start": 1, "stop": 0],
    ],
  ]

  /// A small tokenizer of whole texts, with every part of its form in it.
  static func marked() throws -> Tokenizer {
    let mark = "\u{2581}"
    let document: JSON = [
      "added_tokens": [added(1, "<s>"), ["id": 12, "content": "c<a>", "normalized": true], added(13, "x y")],
      "normalizer": [
        "type": "Sequence",
        "normalizers": [
          ["type": "NFC"], ["type": "Prepend", "prepend": .string(mark)],
          ["type": "Replace", "pattern": ["String": " "], "content": .string(mark)],
        ],
      ],
      "pre_tokenizer": [
        "type": "Sequence",
        "pretokenizers": [
          ["type": "Digits", "individual_digits": true],
          ["type": "Metaspace", "replacement": .string(mark), "prepend_scheme": "first", "split": true],
        ],
      ],
      "decoder": markedDecoder,
      "model": [
        "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
        "vocab": [
          "<unk>": 0, "<s>": 1, "\u{2581}": 2, "\u{2581}ab": 10, "a": 3, "b": 4, "c": 5, "ab": 6, "<0xC3>": 7,
          "<0xA9>": 8, "<0x0A>": 9, "c c": 11,
        ],
        "merges": ["a b", .string("\(mark) ab")],
      ],
    ]
    return try tokenizer(document, config: ["bos_token": "<s>", "add_bos_token": true])
  }

  /// A small vocabulary of whole texts with scores.
  static func scored() -> GGUFTokenizer {
    let pieces = ["<unk>", "<s>", "</s>", "<0x0A>", "<0xC3>", "\u{2581}", "a", "b", "c", "ab", "bc", "\u{2581}ab", "日"]
    return GGUFTokenizer(
      model: "llama", tokens: pieces.map { Array($0.utf8) },
      types: [2, 3, 3, 6, 6] + pieces.dropFirst(5).map { _ in 1 },
      scores: [0, 0, 0, 0, 0, -8, -7, -6, -5, -1, -1, -2, -9])
  }

  static func added(_ id: JSON, _ content: JSON, special: Bool = true) -> JSON {
    ["id": id, "content": content, "special": .bool(special)]
  }

  /// A tokenizer through the keys of a GGUF file.
  static func throughGGUF(_ tokenizer: Tokenizer, architecture: String = "gpt2") throws -> Tokenizer {
    let vocabulary = try tokenizer.ggufVocabulary(architecture: architecture)
    return try Tokenizer(
      GGUFTokenizer(
        model: vocabulary.model, pre: vocabulary.preTokenizer, tokens: vocabulary.tokens.map { Array($0.utf8) },
        types: vocabulary.kinds.map { Int($0.rawValue) }, scores: vocabulary.scores ?? [],
        merges: vocabulary.merges.map { Array($0.utf8) }, bosID: vocabulary.bosID, eosID: vocabulary.eosID,
        unknownID: vocabulary.unknownID, addsBOS: vocabulary.addsBOS, addsSpacePrefix: vocabulary.addsSpace),
      file: nil)
  }

  /// The error that reading gives, as its one line.
  static func refusal(_ document: JSON, config: JSON? = nil) -> String? {
    do {
      _ = try tokenizer(document, config: config)
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// A text from all of Unicode: plain letters, marks, controls, every plane.
  static func text(_ random: inout SplitMix64) -> String {
    let tops: [UInt32] = [0x20, 0x80, 0x80, 0x100, 0x370, 0x800, 0x3000, 0x1_0000, 0x2_0000, 0x11_0000]
    var text = ""
    for _ in 0..<Int.random(in: 0...24, using: &random) {
      let top = tops[Int.random(in: 0..<tops.count, using: &random)]
      if let scalar = Unicode.Scalar(UInt32.random(in: 0..<top, using: &random)) { text.unicodeScalars.append(scalar) }
      if Int.random(in: 0..<4, using: &random) == 0 { text.unicodeScalars.append("\u{301}") }
    }
    return text
  }
}
