import FurlBase
import FurlTensor
import FurlTestSupport
@testable import FurlTokenizer
import Testing

/// Furl's own form of a tokenizer.
@Suite struct SerializedTests {
  /// A small tokenizer with every part of the form in it.
  private static func everything() throws -> Tokenizer {
    let pretokenizers: JSON = [
      ["type": "Digits", "individual_digits": true],
      ["type": "Split", "pattern": ["String": ";"], "behavior": "MergedWithPrevious", "invert": false],
      Sample.byteLevel,
    ]
    let document = Sample.document([
      "vocab": ["a": 0, "b": 1, "c": 2, "Ġ": 3, "ab": 4, "abc": 5, "bc": 8, "日": 13, "cab": 12],
      "merges": ["a b", "ab c", "b c", "a bc", "c ab"], "ignore_merges": true, "normalizer": ["type": "NFC"],
      "added_tokens": [Sample.added(9, "<s>"), Sample.added(10, "é", special: false)],
      "pre_tokenizer": ["type": "Sequence", "pretokenizers": pretokenizers],
    ])
    return try Sample.tokenizer(document, config: ["bos_token": "<s>", "eos_token": "abc", "add_bos_token": true])
  }

  /// Small tokenizers: of bytes, and of whole texts with merges and with places.
  enum Kind: String, CaseIterable {
    case bytes, merges, places

    func tokenizer() throws -> Tokenizer {
      switch self {
      case .bytes: return try SerializedTests.everything()
      case .merges: return try Sample.marked()
      case .places: return try Tokenizer(Sample.scored(), file: nil)
      }
    }
  }

  @Test("A tokenizer survives the form", arguments: Sample.folders)
  func roundTrip(folder: String) throws {
    let tokenizer = try Tokenizer(checkpoint: folder)
    let bytes = tokenizer.serialized()
    let again = try Tokenizer(serialized: bytes, file: nil)
    #expect(bytes == tokenizer.serialized() && bytes == again.serialized())
    #expect(again.vocabularySize == tokenizer.vocabularySize && again.addsBOS == tokenizer.addsBOS)
    #expect(again.bosID == tokenizer.bosID && again.eosID == tokenizer.eosID)
    var random = SplitMix64(seed: 11)
    for _ in 0..<1000 {
      let text = Sample.text(&random)
      #expect(again.encode(text, bos: .auto) == tokenizer.encode(text, bos: .auto))
    }
    for id in stride(from: 0, to: tokenizer.vocabularySize, by: 17) {
      #expect(again.piece(id) == tokenizer.piece(id) && again.isSpecial(id) == tokenizer.isSpecial(id))
    }
    // Five bytes for a merge, where the pieces and merges of tokenizer.json take seventy.
    #expect(bytes.count < 6 * tokenizer.parts.merges.count)
  }

  @Test func everyPartSurvives() throws {
    let tokenizer = try Self.everything()
    let again = try Tokenizer(serialized: tokenizer.serialized(), file: nil)
    #expect(again.serialized() == tokenizer.serialized())
    #expect(again.bosID == 9 && again.eosID == 5 && again.addsBOS && again.vocabularySize == 14)
    #expect(again.encode("ab e\u{301}cab<s>abc", bos: .auto) == tokenizer.encode("ab e\u{301}cab<s>abc", bos: .auto))
    #expect(again.piece(13) == "日" && again.piece(11) == "" && again.isSpecial(5) && !again.isSpecial(10))
  }

  @Test(arguments: Kind.allCases)
  func everyCutIsRefused(kind: Kind) throws {
    let bytes = try kind.tokenizer().serialized()
    for count in 0..<bytes.count {
      #expect(throws: FurlError.self) { try Tokenizer(serialized: Array(bytes[..<count]), file: "x.furl") }
    }
    #expect(throws: FurlError.self) { try Tokenizer(serialized: bytes + [0], file: "x.furl") }
  }

  /// Damaged bytes give an error or a tokenizer that works.
  @Test(arguments: Kind.allCases)
  func everyByteMayBeWrong(kind: Kind) throws {
    let bytes = try kind.tokenizer().serialized()
    for position in bytes.indices {
      for wrong in 0...255 where UInt8(wrong) != bytes[position] {
        var damaged = bytes
        damaged[position] = UInt8(wrong)
        Self.use(damaged)
      }
    }
  }

  @Test func manyBytesMayBeWrong() throws {
    let samples =
      try Kind.allCases.map { try $0.tokenizer().serialized() } + [Tokenizer(checkpoint: TestData.minipy).serialized()]
    var random = SplitMix64(seed: 12)
    for round in 0..<1500 {
      var damaged = samples[round % 8 == 0 ? 3 : round % 3]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        // Most of the structure is at the front.
        let end = Bool.random(using: &random) ? min(64, damaged.count) : damaged.count
        damaged[Int.random(in: 0..<end, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      Self.use(damaged)
    }
  }

  private static func use(_ bytes: [UInt8]) {
    do {
      let tokenizer = try Tokenizer(serialized: bytes, file: "x.furl")
      let ids = tokenizer.encode("abcab <s> é 12;3 日\u{301}", bos: .auto)
      _ = tokenizer.decode(ids + Array(0..<min(tokenizer.vocabularySize, 100)), skippingSpecial: true)
      for id in 0..<min(tokenizer.vocabularySize, 100) { _ = tokenizer.piece(id) }
      _ = tokenizer.id(of: "ab")
      _ = tokenizer.serialized()
    } catch let error as FurlError {
      #expect(error.kind == .input && error.file == "x.furl", "\(error)")
    } catch {
      Issue.record(error)
    }
  }

  /// The version says what a reader has to know; what version 1 can say stays as it was.
  @Test func theVersionIsTheLowestThatWillDo() throws {
    for kind in Kind.allCases {
      let tokenizer = try kind.tokenizer()
      let bytes = tokenizer.serialized()
      #expect(bytes[7] == (kind == .bytes ? 1 : 2))
      let again = try Tokenizer(serialized: bytes, file: nil)
      #expect(again.serialized() == bytes)
      for text in ["abcab", " ab  c", "é\n日<s>a", "\u{2581}ab <s> c", ""] {
        #expect(again.encode(text, bos: .auto) == tokenizer.encode(text, bos: .auto))
      }
      for id in -1...tokenizer.vocabularySize { #expect(again.piece(id) == tokenizer.piece(id)) }
    }
  }

  /// Merges need not come in an order in which every part is made before it is used (Llama 3 has such).
  @Test func mergesMayComeInAnyOrder() throws {
    let document = Sample.document([
      "vocab": ["a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "bc": 5], "merges": ["ab c", "b c", "a bc", "a b"],
    ])
    let tokenizer = try Sample.tokenizer(document)
    let again = try Tokenizer(serialized: tokenizer.serialized(), file: nil)
    #expect(again.encode("abcab") == tokenizer.encode("abcab") && again.encode("abc") == [4])
    #expect(again.serialized() == tokenizer.serialized())
  }

  @Test func errorsSayWhatIsWrong() throws {
    let bytes = try Self.everything().serialized()
    func problem(_ change: (inout [UInt8]) -> Void) -> String {
      var damaged = bytes
      change(&damaged)
      do {
        _ = try Tokenizer(serialized: damaged, file: "x.furl")
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    #expect(problem { $0 = [] }.contains("x.furl: tokenizer, header: ends after 0 bytes"))
    #expect(problem { $0[0] = 0 }.contains("header: is not that of a tokenizer"))
    #expect(problem { $0[7] = 3 }.contains("header: has the version 3"))
    #expect(problem { $0[8] = 0xFF }.contains("flags: 255 is more than 7"))
    #expect(problem { $0[15] = 0xFF }.contains("count of ids: 4278190094 is more than 1048574"))
    #expect(problem { $0[19] = 0x0F }.contains("count of merges: "))
    #expect(problem { $0[16] = 0xFF }.contains("merge"))
    #expect(problem { $0[20] = 0xFF }.contains("pieces: fewer bytes than the header says"))
    #expect(problem { $0[24] = 15 }.contains("BOS: 15 is more than 14"))
    #expect(problem { $0[24] = 12 }.contains("BOS and EOS: the id 11 has no piece"))
  }

  /// Merges that double a piece again and again must not take memory without end.
  @Test func piecesDoNotGrowWithoutEnd() throws {
    var vocabulary = Vocabulary(capacity: 40, bytes: 100)
    for _ in 0..<40 { vocabulary.append([0x61], [.present, .model]) }
    let merges = (0..<39).map { MergeTable.Merge(left: $0, right: $0, result: $0 + 1) }
    let parts = TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(merges, file: nil), added: [], stages: [try Stage(.digits)])
    var bytes = SerializedWriter.write(parts)
    bytes.replaceSubrange(20..<24, with: [0, 0, 0, 4])
    #expect(throws: FurlError.self) { try Tokenizer(serialized: bytes, file: nil) }
  }
}
