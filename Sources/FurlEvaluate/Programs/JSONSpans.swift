import FurlBase

/// Finds values in a JSON text that is known to be well-formed, without reading them: their bytes can be copied as they
/// lie.
struct JSONSpans {
  let bytes: [UInt8]
  private var place = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// Where the value of a key of the outermost mapping lies.
  mutating func value(of key: String) -> Range<Int>? {
    place = 0
    guard enter(UInt8(ascii: "{")) else { return nil }
    while next() != UInt8(ascii: "}"), let name = skip() {
      guard next() == UInt8(ascii: ":") else { return nil }
      place += 1
      guard let value = skip() else { return nil }
      if isKey(name, key) { return value }
      if next() == UInt8(ascii: ",") { place += 1 }
    }
    return nil
  }

  private func isKey(_ name: Range<Int>, _ key: String) -> Bool {
    let isEscaped = bytes[name].contains(UInt8(ascii: "\\"))
    guard isEscaped else { return bytes[name].dropFirst().dropLast().elementsEqual(key.utf8) }
    return (try? JSON.parse(Array(bytes[name]), file: nil))?.string == key
  }

  /// Where an element of a list lies.
  mutating func element(_ index: Int, of list: Range<Int>) -> Range<Int>? {
    place = list.lowerBound
    guard enter(UInt8(ascii: "[")) else { return nil }
    var count = 0
    while next() != UInt8(ascii: "]"), let value = skip() {
      if count == index { return value }
      count += 1
      if next() == UInt8(ascii: ",") { place += 1 }
    }
    return nil
  }

  private mutating func enter(_ byte: UInt8) -> Bool {
    guard next() == byte else { return false }
    place += 1
    return true
  }

  /// The next byte that is no white space; nil at the end.
  private mutating func next() -> UInt8? {
    while place < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[place]) { place += 1 }
    return place < bytes.count ? bytes[place] : nil
  }

  /// Goes past a value.
  private mutating func skip() -> Range<Int>? {
    guard next() != nil else { return nil }
    let start = place
    var depth = 0
    while place < bytes.count {
      switch bytes[place] {
      case UInt8(ascii: "\""):
        place += 1
        while place < bytes.count, bytes[place] != UInt8(ascii: "\"") {
          place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1
        }
      case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
      case UInt8(ascii: "]"), UInt8(ascii: "}"):
        // The end of what a number stands in.
        if depth == 0 { return start..<place }
        depth -= 1
      default: break
      }
      place += 1
      guard depth == 0, place < bytes.count else { continue }
      // Numbers and words end where something else begins.
      if [UInt8(ascii: "\""), UInt8(ascii: "]"), UInt8(ascii: "}")].contains(bytes[place - 1]) { return start..<place }
      if [0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: ":")].contains(bytes[place]) { return start..<place }
    }
    return depth == 0 && place <= bytes.count ? start..<place : nil
  }
}
