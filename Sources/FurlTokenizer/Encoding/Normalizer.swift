// The standard library holds normalization behind this interface; Foundation's costs an ICU in memory.
@_spi(_Unicode) import Swift

/// What happens to a text before it is cut into words.
struct Normalization: Sendable, Hashable {
  /// It is brought into Normalization Form C.
  var composes = false
  /// A space goes before it.
  var prependsSpace = false
  /// Its spaces become marks (``SpaceMark``); here, its marks become spaces.
  var marksSpaces = false

  var isIdentity: Bool { self == Normalization() }

  func apply(_ text: [UInt8], _ range: Range<Int>) -> [UInt8] {
    guard !range.isEmpty else { return [] }
    var result = composes ? Normalizer.nfc(text, range) : Array(text[range])
    if marksSpaces { result = SpaceMark.toSpaces(result, 0..<result.count) }
    if prependsSpace { result.insert(0x20, at: 0) }
    return result
  }
}

/// Canonical composition (Unicode Standard Annex #15), as the reference tokenizers do it.
enum Normalizer {
  /// The text in Normalization Form C.
  static func nfc(_ bytes: [UInt8], _ range: Range<Int>) -> [UInt8] {
    // Every character below U+0300 is in this form already and composes with nothing before it.
    guard range.contains(where: { bytes[$0] >= 0xCC }) else { return Array(bytes[range]) }
    var result = String.UnicodeScalarView()
    var run = String.UnicodeScalarView()
    for scalar in String(decoding: bytes[range], as: UTF8.self).unicodeScalars {
      // Newer characters are unknown to the reference: they neither compose nor change places.
      if UnicodeCategory.isAssigned(scalar, by: UnicodeCategory.normalizerVersion) {
        append(scalar, to: &run)
      } else {
        result.append(contentsOf: String(run)._nfc)
        run.removeAll()
        result.append(scalar)
      }
    }
    result.append(contentsOf: String(run)._nfc)
    return Array(String(result).utf8)
  }

  // Swift starts a new run of marks at these, although they are made of marks themselves.
  private static func append(_ scalar: Unicode.Scalar, to run: inout String.UnicodeScalarView) {
    switch scalar {
    case "\u{F73}": run.append(contentsOf: ["\u{F71}", "\u{F72}"])
    case "\u{F75}": run.append(contentsOf: ["\u{F71}", "\u{F74}"])
    case "\u{F81}": run.append(contentsOf: ["\u{F71}", "\u{F80}"])
    default: run.append(scalar)
    }
  }
}
