/// A set of Unicode general categories.
struct CategorySet: OptionSet, Sendable, Hashable {
  var rawValue: UInt32

  static let everything = CategorySet(rawValue: 1 << 30 - 1)

  fileprivate static let names = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
    "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
  ]

  /// The categories of a property name such as `L` or `Lu`.
  init?(named name: String) {
    self.init(rawValue: 0)
    for (bit, known) in Self.names.enumerated() where known == name || (name.utf8.count == 1 && known.hasPrefix(name)) {
      rawValue |= 1 << UInt32(bit)
    }
    if isEmpty { return nil }
  }

  init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// Unicode properties as the reference tokenizers see them.
///
/// A token stream depends on the version of Unicode: what was not assigned yet is neither letter nor digit.
/// The `tokenizers` package's regular expressions know version 16, its digits (Rust's `char`) version 17, and
/// its normalizer version 9. Scalars that are newer than that are treated as not assigned.
enum UnicodeCategory {
  /// Of the package's regular expressions.
  static let patternVersion = 16
  /// Of the package's `Digits`.
  static let digitVersion = 17
  /// Of the package's `NFC`.
  static let normalizerVersion = 9

  /// The set that holds just the category of a scalar.
  static func set(of value: UInt32, version: Int) -> CategorySet {
    CategorySet(rawValue: 1 << UInt32(bit(of: value, version: version)))
  }

  private static func bit(of value: UInt32, version: Int) -> UInt8 {
    if value < 0x800 { return early[Int(value)] }
    // Whole blocks of letters without a gap: most of Chinese and Korean text.
    if (0x4E00...0x9FFF).contains(value) || (0xAC00...0xD7A3).contains(value) { return otherLetter }
    return slowBit(of: value, version: version)
  }

  private static let otherLetter: UInt8 = 4
  private static let unassigned: UInt8 = 29

  /// The scalars of two bytes, where most of the world's alphabets are.
  private static let early: [UInt8] = (0..<0x800).map { slowBit(of: $0, version: patternVersion) }

  private static func slowBit(of value: UInt32, version: Int) -> UInt8 {
    guard let scalar = Unicode.Scalar(value), isAssigned(scalar, by: version) else { return unassigned }
    // A lower-case letter until version 17.
    if value == 0x295 { return version < 17 ? 1 : otherLetter }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter: return 0
    case .lowercaseLetter: return 1
    case .titlecaseLetter: return 2
    case .modifierLetter: return 3
    case .otherLetter: return otherLetter
    case .nonspacingMark: return 5
    case .spacingMark: return 6
    case .enclosingMark: return 7
    case .decimalNumber: return 8
    case .letterNumber: return 9
    case .otherNumber: return 10
    case .connectorPunctuation: return 11
    case .dashPunctuation: return 12
    case .openPunctuation: return 13
    case .closePunctuation: return 14
    case .initialPunctuation: return 15
    case .finalPunctuation: return 16
    case .otherPunctuation: return 17
    case .mathSymbol: return 18
    case .currencySymbol: return 19
    case .modifierSymbol: return 20
    case .otherSymbol: return 21
    case .spaceSeparator: return 22
    case .lineSeparator: return 23
    case .paragraphSeparator: return 24
    case .control: return 25
    case .format: return 26
    case .surrogate: return 27
    case .privateUse: return 28
    case .unassigned: return unassigned
    @unknown default: return unassigned
    }
  }

  static func isAssigned(_ scalar: Unicode.Scalar, by version: Int) -> Bool {
    // Private use and surrogates have an age too; only what is not assigned has none.
    scalar.properties.age.map { $0.major <= version } ?? false
  }

  /// White_Space, which has not changed since Unicode 6.3.
  static func isSpace(_ value: UInt32) -> Bool {
    switch value {
    case 0x09...0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }

  /// A word character of Rust's regular expressions (UTS #18, annex C).
  static func isWord(_ value: UInt32) -> Bool {
    guard let scalar = Unicode.Scalar(value), isAssigned(scalar, by: patternVersion) else { return false }
    if value == 0x200C || value == 0x200D || scalar.properties.isAlphabetic { return true }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
    default: return false
    }
  }
}
