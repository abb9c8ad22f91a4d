/// Sizes as people write them: `60MB`, `1.5 GB`, `4096`.
package enum ByteSize {
  private static let units: KeyValuePairs = ["KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "B": 1.0]

  /// The same as an expression, for schemas.
  package static let pattern = "^[0-9.]+( *[kKmMgGtT]?[bB])?$"

  /// The bytes of a size: a number, and a decimal unit where it does not count bytes, in letters of any case.
  ///
  /// - Returns: more than 0 and finite; nil for what is no size.
  package static func bytes(_ text: String) -> Double? {
    let unit = units.first { text.uppercased().hasSuffix($0.key) }
    var digits = text.dropLast(unit?.key.count ?? 0)
    while unit != nil, digits.last == " " { digits.removeLast() }
    // No exponent, no sign, no hexadecimal number, and no space that makes one number of two.
    guard digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 || $0 == UInt8(ascii: ".") }) else { return nil }
    guard let number = Double(digits), number > 0, number.isFinite else { return nil }
    return number * (unit?.value ?? 1)
  }
}

extension ValueCodec {
  /// A number of bytes, or a text that is a size with its unit.
  ///
  /// - Parameters:
  ///   - number: how a number is read and written.
  ///   - problem: what is said of a text that is no size.
  package static func size(
    _ number: ValueCodec, _ problem: String, remedy: String, bytes: @escaping @Sendable (Double) -> Value?
  ) -> ValueCodec {
    ValueCodec(
      .any(of: [number.outline, ValueOutline(schema: ["type": "string", "pattern": .string(ByteSize.pattern)])]),
      read: { reader, key in
        guard let text = reader.optional(key)?.string else { return try number.read(reader, key) }
        guard let value = ByteSize.bytes(text).flatMap(bytes) else {
          throw reader.error(key, "\"\(text)\" \(problem)", remedy: remedy)
        }
        return value
      }, write: number.write)
  }
}
