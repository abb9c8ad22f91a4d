/// White space as Python's `str.strip` and `str.split` see it, which the published protocols are written in.
enum PythonSpace {
  /// Unicode's spaces and separators, and the four ASCII information separators.
  static func contains(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }

  static func trimmingEnd(_ text: String) -> String {
    var scalars = text.unicodeScalars[...]
    while let last = scalars.last, contains(last) { scalars.removeLast() }
    return String(scalars)
  }

  static func trimming(_ text: String) -> String {
    String(trimmingEnd(text).unicodeScalars.drop(while: contains))
  }
}
