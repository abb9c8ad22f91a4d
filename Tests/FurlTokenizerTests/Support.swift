import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

@testable import FurlTokenizer

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

  static func added(_ id: JSON, _ content: JSON, special: Bool = true) -> JSON {
    ["id": id, "content": content, "special": .bool(special)]
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
