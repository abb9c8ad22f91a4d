import FurlBase
import FurlTestSupport
import Foundation
import Testing

/// What is written, is read back; by Foundation's reader too.
@Suite struct JSONWriterTests {
  /// Any value, of any depth up to a bound.
  static func value(_ draws: inout SplitMix64, depth: Int) -> JSON {
    switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &draws) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &draws))
    case 2: return .integer(Int(truncatingIfNeeded: draws.next() >> UInt64.random(in: 0..<64, using: &draws)))
    case 3: return .number(Double(Int.random(in: -1000...1000, using: &draws)) / 8)
    case 4:
      let number = Double(bitPattern: draws.next())
      return .number(number.isFinite ? number : 0.5)
    case 5: return .string(text(&draws))
    case 6, 7: return .array((0..<Int.random(in: 0...4, using: &draws)).map { _ in value(&draws, depth: depth - 1) })
    default:
      return .object(
        (0..<Int.random(in: 0...4, using: &draws)).map {
          .init("\($0)" + text(&draws), value(&draws, depth: depth - 1))
        })
    }
  }

  static func text(_ draws: inout SplitMix64) -> String {
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...6, using: &draws) {
      let limit: UInt32 = [0x20, 0x80, 0x800, 0x3000, 0x11_0000].randomElement(using: &draws) ?? 0x80
      text.append(Unicode.Scalar(UInt32.random(in: 0..<limit, using: &draws)) ?? "\"")
    }
    return String(text)
  }

  @Test func whatIsWrittenIsReadBack() throws {
    var draws = SplitMix64(seed: 1)
    for _ in 0..<3000 {
      let value = Self.value(&draws, depth: 5)
      for text in [value.compactText, value.prettyText] {
        let read = try JSON.parse(Array(text.utf8), file: nil)
        // Texts are equal for Swift when they look alike; here their bytes have to be.
        guard read == value, read.compactText.utf8.elementsEqual(value.compactText.utf8) else {
          Issue.record("\(text)")
          return
        }
      }
      let canonical = try JSON.parse(Array(value.canonicalText.utf8), file: nil)
      guard canonical.canonicalText == value.canonicalText else {
        Issue.record("\(value.canonicalText)")
        return
      }
    }
  }

  @Test func foundationReadsTheSame() throws {
    var draws = SplitMix64(seed: 2)
    for _ in 0..<500 {
      let text = Self.text(&draws)
      let data = Data(JSON.array([.string(text), .string("x")]).compactText.utf8)
      let read = try #require(try JSONSerialization.jsonObject(with: data) as? [String])
      #expect(read[0].utf8.elementsEqual(text.utf8))
    }
  }

  @Test func canonicalKeysAreSortedByTheirBytes() {
    let value: JSON = ["b": [["z": 1, "a": 2]], "a": nil, "é": 1, "Z": 1.0, "": true, "😀": "x", "\u{FFFD}": 1]
    #expect(
      value.canonicalText
        == "{\"\":true,\"Z\":1.0,\"a\":null,\"b\":[{\"a\":2,\"z\":1}],\"é\":1,\"\u{FFFD}\":1,\"😀\":\"x\"}")
  }

  @Test func theFormsAreThese() {
    let value: JSON = ["a": [1, "x", nil], "b": [["c": true], []], "d": .object([]), "e": [], "f": 0.1]
    #expect(value.compactText == #"{"a":[1,"x",null],"b":[{"c":true},[]],"d":{},"e":[],"f":0.1}"#)
    #expect(
      value.prettyText == """
        {
          "a": [1,"x",null],
          "b": [
            {
              "c": true
            },
            []
          ],
          "d": {},
          "e": [],
          "f": 0.1
        }
        """)
  }

  @Test func numbersThatJSONHasNotAreNull() {
    let value: JSON = [
      .number(.nan), .number(.infinity), .optional(Double?.none), .optional(1.5), .optional(Int?.none),
    ]
    #expect(value.compactText == "[null,null,null,1.5,null]")
  }

  @Test func charactersThatHurtAreEscaped() {
    #expect(
      JSON.string("\u{0}\u{1F}\u{7F}\u{2028}\u{2029}\"\\\n").compactText == #""\u0000\u001f\u007f\u2028\u2029\"\\\n""#)
  }
}
