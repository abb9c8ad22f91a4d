import FurlBase

/// A byte-level BPE that fits any vocabulary: the 256 bytes, then pairs of them as merges, those of frequent letters
/// first, and then pairs with a third. Any text has ids in it, about one for every two letters.
package enum SyntheticTokenizer {
  /// Bytes by how often code has them, roughly; the rest follows by value.
  private static let frequent = Array(" etanrsiolcdumpfghyb_vw\n.,()=:'\"xkq0123456789-jz[]#{}/*+<>!@%&|^~\\;?$`".utf8)

  /// Every byte once, the frequent ones first.
  private static let bytes: [UInt8] = frequent + (0...255).filter { !frequent.contains($0) }

  /// A letter for each byte, as GPT-2 writes them: what can be seen stands for itself, the rest for letters from
  /// U+0100 on.
  private static let letters: [String] = {
    var next: UInt32 = 0x100
    return (UInt8.min...UInt8.max).map { byte in
      let isVisible = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
      defer { if !isVisible { next += 1 } }
      return Unicode.Scalar(isVisible ? UInt32(byte) : next).map { String($0) } ?? ""
    }
  }()

  /// The most ids that a vocabulary may have.
  package static let largest = 256 + 256 * 256 + 256 * 256 * 256

  /// The texts of `tokenizer.json` and `tokenizer_config.json`.
  ///
  /// - Parameters:
  ///   - count: ids in all, special tokens included: up to ``largest``.
  ///   - special: tokens that stand for no text, by id.
  ///   - begin: the special token before a text, and `end` the one behind it, for the configuration.
  static func files(
    count: Int, special: [Int: String], begin: String, end: String, contextLength: Int
  ) -> (tokenizer: String, config: String) {
    var vocabulary: [JSON.Member] = []
    vocabulary.reserveCapacity(count)
    var merges: [JSON] = []
    var single = letters.makeIterator()
    var merged = Merges()
    for id in 0..<count {
      if let text = special[id] {
        vocabulary.append(.init(text, .integer(id)))
      } else if let letter = single.next() {
        vocabulary.append(.init(letter, .integer(id)))
      } else {
        let bytes = merged.next()
        let parts = [bytes.left.map { letters[Int($0)] }.joined(), letters[Int(bytes.right)]]
        vocabulary.append(.init(parts.joined(), .integer(id)))
        merges.append(.string(parts.joined(separator: " ")))
      }
    }
    let added: [JSON] = special.filter { $0.key < count }.sorted { $0.key < $1.key }.map { id, text in
      [
        "id": .integer(id), "content": .string(text), "single_word": .bool(false), "lstrip": .bool(false),
        "rstrip": .bool(false), "normalized": .bool(false), "special": .bool(true),
      ]
    }
    let byteLevel: JSON = [
      "type": "ByteLevel", "add_prefix_space": .bool(false), "trim_offsets": .bool(true), "use_regex": .bool(true),
    ]
    let tokenizer: JSON = [
      "version": "1.0", "truncation": .null, "padding": .null, "added_tokens": .array(added), "normalizer": .null,
      "pre_tokenizer": byteLevel, "post_processor": .null, "decoder": byteLevel,
      "model": [
        "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
        "end_of_word_suffix": .null, "fuse_unk": .bool(false), "byte_fallback": .bool(false),
        "vocab": .object(vocabulary), "merges": .array(merges),
      ],
    ]
    let config: JSON = [
      "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": .string(begin), "eos_token": .string(end),
      "add_bos_token": .bool(false), "model_max_length": .integer(contextLength),
    ]
    return (tokenizer.prettyText, config.prettyText)
  }

  /// What is merged, one after the other: every pair of bytes once, and then every pair of these and a byte.
  private struct Merges {
    private var pairs = Pairs()
    /// The pairs so far, which the third bytes follow.
    private var made: [[UInt8]] = []
    private var triples = Pairs()

    mutating func next() -> (left: [UInt8], right: UInt8) {
      if made.count < bytes.count * bytes.count {
        let (left, right) = pairs.next()
        made.append([bytes[left], bytes[right]])
        return ([bytes[left]], bytes[right])
      }
      // Frequent pairs and frequent third bytes first, as far as there are third bytes.
      var (pair, third) = triples.next()
      while third >= bytes.count { (pair, third) = triples.next() }
      return (made[pair], bytes[third])
    }
  }

  /// Pairs (left, right) of whole numbers in order of the larger one, each pair once.
  private struct Pairs {
    private var larger = 0
    private var step = 0

    mutating func next() -> (Int, Int) {
      let pair = step <= larger ? (step, larger) : (larger, 2 * larger - step)
      step += 1
      if step > 2 * larger {
        larger += 1
        step = 0
      }
      return pair
    }
  }
}
