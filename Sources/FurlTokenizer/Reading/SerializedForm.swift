/// Furl's own form of a tokenizer. All integers are little-endian; a "short" integer is LEB128.
///
/// | part | content |
/// |---|---|
/// | header | `FURLBPE`, the version as a byte, then eight 32-bit words, see below |
/// | kinds | runs: a kind (``PieceKind``, and bit 7 when the piece is stored), a short count |
/// | merges | by rank, in planes: low bytes of all left ids, their next bytes, …, then those of the right ids |
/// | results | for every merge a short: the id it makes less the one after the previous, zigzag |
/// | places | only of a model by scores: for every piece of the model its place as the results |
/// | pieces | short lengths of the stored pieces, then their bytes |
/// | added tokens | a 32-bit id and a byte of flags each |
/// | stages | rule, behavior, inversion: a byte each; a short length and the text of the pattern |
///
/// The words: flags, count of ids, count of merges, bytes of all pieces, BOS + 1, EOS + 1, count of added tokens,
/// count of stages. Version 2 has a ninth: the unknown piece + 1. It is written for models of whole texts and
/// what else version 1 has no flag for; everything else is written as version 1, so that its bytes never change.
///
/// A piece that a merge makes is not stored: it is the pieces of its two parts, put together in the order of
/// the merges. Planes are there because the section is compressed: they take 13 % less than pairs.
enum SerializedForm {
  static let magic = Array("FURLBPE".utf8)
  static let versions: ClosedRange<UInt8> = 1...2
  static let storedBit: UInt8 = 0x80
  static let mostStages = 32
  static let longestPattern = 1 << 16

  struct SerializedFlags: OptionSet {
    var rawValue: UInt32
    static let composes = SerializedFlags(rawValue: 1)
    static let ignoresMerges = SerializedFlags(rawValue: 2)
    static let addsBOS = SerializedFlags(rawValue: 4)
    /// Those of version 1.
    static let first: SerializedFlags = [.composes, .ignoresMerges, .addsBOS]
    /// Pieces are text with marks, not bytes.
    static let isMarked = SerializedFlags(rawValue: 8)
    /// Pieces have places instead of merges.
    static let hasPlaces = SerializedFlags(rawValue: 16)
    static let prependsSpace = SerializedFlags(rawValue: 32)
    static let marksSpaces = SerializedFlags(rawValue: 64)
    static let usesBytes = SerializedFlags(rawValue: 128)
    static let fusesUnknown = SerializedFlags(rawValue: 256)
    static let separates = SerializedFlags(rawValue: 512)
    static let joinsBytes = SerializedFlags(rawValue: 1024)
    static let stripsSpace = SerializedFlags(rawValue: 2048)
    static let all = SerializedFlags(rawValue: 4095)

    init(rawValue: UInt32) { self.rawValue = rawValue }

    init(_ parts: TokenizerParts) {
      let values: [(Bool, SerializedFlags)] = [
        (parts.normalization.composes, .composes), (parts.ignoresMerges, .ignoresMerges), (parts.addsBOS, .addsBOS),
        (parts.vocabulary.alphabet == .marked, .isMarked), (!parts.places.isEmpty, .hasPlaces),
        (parts.normalization.prependsSpace, .prependsSpace), (parts.normalization.marksSpaces, .marksSpaces),
        (parts.fallback.usesBytes, .usesBytes), (parts.fallback.fusesUnknown, .fusesUnknown),
        (parts.fallback.separates, .separates), (parts.decoding.joinsBytes, .joinsBytes),
        (parts.decoding.stripsSpace, .stripsSpace),
      ]
      rawValue = values.reduce(0) { $1.0 ? $0 | $1.1.rawValue : $0 }
    }
  }

  /// How many bytes an id takes in the planes.
  static func idWidth(_ vocabularySize: Int) -> Int { vocabularySize <= 1 << 8 ? 1 : vocabularySize <= 1 << 16 ? 2 : 3 }

  /// Which pieces have to be stored: all but those that the merges make, in their order, from known ones.
  static func storedPieces(_ vocabulary: Vocabulary, _ merges: [MergeTable.Merge]) -> [Bool] {
    var isStored = vocabulary.kinds.map { $0.contains(.present) }
    for merge in merges { isStored[Int(merge.result)] = false }
    var isKnown = isStored
    for merge in merges {
      // Merges need not come in an order in which every part is made before it is used.
      for part in [Int(merge.left), Int(merge.right)] where !isKnown[part] {
        isStored[part] = true
        isKnown[part] = true
      }
      isKnown[Int(merge.result)] = true
    }
    return isStored
  }
}

extension Stage.Rule {
  /// The number of the rule in the serialized form, and its text.
  var stored: (code: UInt8, text: String) {
    switch self {
    case .pattern(let text): (0, text)
    case .literal(let text): (1, text)
    case .digits: (2, "")
    case .prefixSpace: (3, "")
    case .marks(let prefix): (4 + prefix.rawValue, "")
    }
  }

  init?(code: UInt8, text: String) {
    switch code {
    case 0: self = .pattern(text)
    case 1 where !text.isEmpty: self = .literal(text)
    case 2 where text.isEmpty: self = .digits
    case 3 where text.isEmpty: self = .prefixSpace
    case 4...6 where text.isEmpty:
      guard let prefix = Stage.Prefix(rawValue: code - 4) else { return nil }
      self = .marks(prefix)
    default: return nil
    }
  }
}
