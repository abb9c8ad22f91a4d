package import FurlBase

/// How suites are called: in cards, gates and reports.
package enum SuiteName {
  /// Letters, digits, dots, dashes and underscores, at most 64, not beginning with a dot: a name is also a
  /// part of file names.
  package static func isValid(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count) && !text.hasPrefix(".") && text.utf8.allSatisfy(isByte)
  }

  /// Whether a byte may be part of a name, of other documents' too.
  package static func isByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains(byte)
    }
  }
}

extension ValueCodec<String> {
  /// The name of a suite.
  package static var suiteName: ValueCodec {
    text(matching: "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$").checked(
      { "\"\($0)\" is no name of a suite" }, "use letters, digits, dots, dashes, underscores", if: SuiteName.isValid)
  }
}
