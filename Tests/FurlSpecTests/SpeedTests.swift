import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

@Suite(.serialized) struct SpeedTests {
  @Test(.enabled(if: TestData.shared != nil, "needs the shared fixtures"), arguments: 0..<5)
  func tokenizersAreReadQuickly(_ n: Int) throws {
    let path = try #require(TestData.shared) + "/fixtures/tokenizers/starcoder/tokenizer.json"
    let bytes = try TestData.bytes(path)
    let time = try ContinuousClock().measure { _ = try JSON.parse(bytes, file: path) }
    print("parsed \(bytes.count) bytes in \(time)")
  }
}
