@testable import FurlBase
import FurlTestSupport
import Foundation
import Testing

/// SHA-256 held to NIST's CAVP vectors, with the CPU's instructions and in plain C: see
/// Tests/Fixtures/digests/make_digests.py.
@Suite struct DigestTests {
  private struct Fixture: Decodable {
    struct Example: Decodable {
      let message: Data
      let digest: String
    }
    struct Monte: Decodable {
      let seed: String
      let digests: [String]
    }
    let sha256: [Example]
    let monte: Monte
  }

  private func fixture() throws -> Fixture {
    let file = TestData.root + "/Tests/Fixtures/digests/digests.json"
    return try JSONDecoder().decode(Fixture.self, from: Data(try TestData.bytes(file)))
  }

  @Test(arguments: [false, true]) func shortAndLongMessages(isPlain: Bool) throws {
    let examples = try fixture().sha256
    #expect(examples.count == 81 && examples.map(\.message.count).max() == 6400)
    for isGuarded in [false, true] {
      for example in examples {
        var hasher = Digest.Hasher(isGuarded: isGuarded, isPlain: isPlain)
        hasher.update(Array(example.message))
        #expect(hasher.finish().hex == example.digest, "\(example.message.count) bytes")
      }
    }
  }

  /// SHAVS, section 6.4: a hundred times a thousand digests, each of the three before it.
  @Test(arguments: [false, true]) func monteCarlo(isPlain: Bool) throws {
    let monte = try fixture().monte
    #expect(monte.digests.count == 100)
    var last = try #require(Digest(hex: monte.seed)).bytes
    for expected in monte.digests {
      var three = [last, last, last]
      for _ in 0..<1000 {
        var hasher = Digest.Hasher(isGuarded: false, isPlain: isPlain)
        hasher.update(three[0] + three[1] + three[2])
        three = [three[1], three[2], hasher.finish().bytes]
      }
      last = three[2]
      #expect(Digest(bytes: last).hex == expected)
    }
  }

  /// Two messages at once, of which one or both are hashed in plain C.
  @Test func pairs() throws {
    let examples = try fixture().sha256
    for (first, second) in zip(examples, examples.reversed()) {
      for (one, two) in [(false, true), (true, false), (true, true), (false, false)] {
        var hashers = (
          Digest.Hasher(isGuarded: one, isPlain: one), Digest.Hasher(isGuarded: one, isPlain: two)
        )
        first.message.withUnsafeBytes { a in
          second.message.withUnsafeBytes { b in Digest.Hasher.update(&hashers.0, a, &hashers.1, b) }
        }
        #expect(hashers.0.finish().hex == first.digest && hashers.1.finish().hex == second.digest)
      }
    }
  }
}

extension Digest {
  fileprivate init(bytes: [UInt8]) {
    var hex = ""
    for byte in bytes { hex += (byte < 16 ? "0" : "") + String(byte, radix: 16) }
    self.init(hex: hex)!
  }
}
