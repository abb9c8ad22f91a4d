import FurlBase
import FurlTensor
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Laws that hold for every text.
@Suite struct TextTests {
  @Test("Decoding what was encoded gives the text", arguments: Sample.folders)
  func roundTrip(folder: String) throws {
    let tokenizer = try Tokenizer(checkpoint: folder)
    var random = SplitMix64(seed: 7)
    for _ in 0..<10_000 {
      let text = Sample.text(&random)
      let ids = tokenizer.encode(text)
      // StarCoder's vocabulary lacks 0xF1, the first byte of some planes without characters.
      guard text.utf8.allSatisfy({ tokenizer.byteIDs[Int($0)] != MergeTable.none }) else { continue }
      #expect(Array(tokenizer.decode(ids).utf8) == Array(text.utf8), "\(text.debugDescription)")
      #expect(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
    }
  }

  @Test("A stream gives what decoding at once gives, wherever it is cut", arguments: Sample.folders)
  func streaming(folder: String) throws {
    let tokenizer = try Tokenizer(checkpoint: folder)
    var random = SplitMix64(seed: 8)
    for round in 0..<2_000 {
      // Half of them texts, half of them ids that make no text.
      let ids =
        round % 2 == 0
        ? tokenizer.encode(Sample.text(&random))
        : (0..<12).map { _ in Int.random(in: -1...tokenizer.vocabularySize, using: &random) % 400 }
      for skipping in [false, true] {
        var stream = Tokenizer.StreamDecoder(tokenizer, skippingSpecial: skipping)
        var streamed: [UInt8] = []
        for (count, id) in ids.enumerated() {
          streamed += Array(stream.push(id).utf8)
          // What was given out never has to be taken back.
          var copy = stream
          let whole = tokenizer.decode(Array(ids[...count]), skippingSpecial: skipping)
          #expect(streamed + Array(copy.finish().utf8) == Array(whole.utf8))
        }
        streamed += Array(stream.finish().utf8)
        #expect(streamed == Array(tokenizer.decode(ids, skippingSpecial: skipping).utf8))
        #expect(stream.finish() == "")
      }
    }
  }

  @Test("A character of several ids comes whole")
  func wholeCharacters() throws {
    let tokenizer = try Tokenizer(checkpoint: TestData.minipy)
    let ids = tokenizer.encode("\u{1F600}")
    #expect(ids.count > 1)
    var stream = Tokenizer.StreamDecoder(tokenizer, skippingSpecial: false)
    for id in ids.dropLast() { #expect(stream.push(id) == "") }
    #expect(stream.push(try #require(ids.last)) == "\u{1F600}")
  }

  /// The expected texts are Python's `bytes.decode("utf-8", "replace")`, which replaces as Rust does.
  @Test("Bytes that are no UTF-8 become replacement characters, one for every maximal part")
  func malformed() throws {
    let tokenizer = try Tokenizer(checkpoint: TestData.minipy)
    let cases: [([UInt8], String)] = [
      ([0xF0, 0x9F, 0x98], "\u{FFFD}"), ([0xF0, 0x9F, 0x41], "\u{FFFD}A"), ([0xE0, 0x80, 0x41], "\u{FFFD}\u{FFFD}A"),
      ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"),
      ([0x80, 0x42], "\u{FFFD}B"),
      ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
      ([0xE6, 0x97, 0xF0, 0x9F, 0x98, 0x80], "\u{FFFD}\u{1F600}"),
    ]
    for (bytes, expected) in cases {
      let ids = bytes.map { Int(tokenizer.byteIDs[Int($0)]) }
      #expect(Array(tokenizer.decode(ids).utf8) == Array(expected.utf8), "\(bytes)")
    }
  }

  @Test("A long word and a long text are quick", arguments: ["letters", "one letter", "spaces", "newlines", "marks"])
  func long(kind: String) throws {
    let tokenizer = try Tokenizer(checkpoint: TestData.minipy)
    var random = SplitMix64(seed: 9)
    let text =
      switch kind {
      case "letters":
        String(decoding: (0..<1_000_000).map { _ in UInt8.random(in: 0x61...0x7A, using: &random) }, as: UTF8.self)
      case "one letter": String(repeating: "a", count: 1_000_000)
      case "spaces": String(repeating: " ", count: 1_000_000)
      case "newlines": String(repeating: "\n", count: 1_000_000)
      default: String(repeating: "\u{301}", count: 500_000)
      }
    let start = ContinuousClock.now
    let ids = tokenizer.encode(text)
    #expect(ContinuousClock.now - start < .seconds(2))
    #expect(tokenizer.decode(ids) == text)
  }

  @Test("Long words merge as short ones do")
  func mergersAgree() throws {
    let tokenizer = try Tokenizer(checkpoint: TestData.minipy)
    var random = SplitMix64(seed: 10)
    for _ in 0..<300 {
      // A word of up to 48 symbols is merged by scanning, a longer one with a heap.
      let letters = Array("aeinorstlc_".utf8)
      let word = (0..<Int.random(in: 2...140, using: &random)).map { _ in
        letters[Int.random(in: 0..<letters.count, using: &random)]
      }
      var symbols = word.map { tokenizer.byteIDs[Int($0)] }
      while true {
        let ranks = zip(symbols, symbols.dropFirst()).map { tokenizer.parts.merges.rank($0, $1) }
        guard let lowest = ranks.min(), lowest != MergeTable.none, let index = ranks.firstIndex(of: lowest) else {
          break
        }
        symbols.replaceSubrange(index...index + 1, with: [tokenizer.parts.merges.result(lowest)])
      }
      var merger = WordMerger()
      merger.start()
      for byte in word { merger.append(tokenizer.byteIDs[Int(byte)]) }
      var ids: [Int] = []
      merger.finish(tokenizer.parts.merges, into: &ids)
      #expect(ids == symbols.map { Int($0) })
    }
  }
}
