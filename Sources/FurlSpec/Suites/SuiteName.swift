import FurlBase

/// How suites are called: in cards, gates and reports.
package enum SuiteName {
  /// Letters, digits, dots, dashes and underscores, at most 64, not beginning with a dot: a name is also a
  /// part of file names.
  package static func isValid(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count) && !text.hasPrefix(".")
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains(byte)
        }
      }
  }
}

extension DocumentReader {
  /// The name of a suite under a key that must be there.
  package func suiteName(_ key: String) throws -> String {
    guard let name = try string(key) else { throw error(key, "is missing") }
    guard SuiteName.isValid(name) else {
      throw error(key, "\"\(name)\" is no name of a suite", remedy: "use letters, digits, dots, dashes, underscores")
    }
    return name
  }
}
