import FurlArtifact
@testable import FurlCheckpoint
import FurlModel
import FurlTensor
import FurlTestSupport
import FurlTransform
import Testing

/// `method: awq`: what is scaled up in a layer is scaled down in what goes before it.
@Suite struct ScaledChannelTests {
  private static func logits(_ path: String, _ ids: [Int]) throws -> [Float] {
    let context = ComputeContext(pool: WorkerPool(threads: 2), kernels: try Kernels(), activations: .fp32)
    let session = try LoadedModel(path: path, context: context, format: .float32).session()
    return try session.forward([.init(slot: 0, ids: ids, logits: .all)])[0].flatMap { session.logits[$0] }
  }

  private static func distance(_ a: [Float], _ b: [Float]) -> Double {
    let (error, size) = zip(a, b).reduce((0.0, 0.0)) {
      ($0.0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)), $0.1 + Double($1.0 * $1.0))
    }
    return (error / size).squareRoot()
  }

  /// In 8 bits the model computes what it did, though its norms, values and biases are others; in 4 bits it is no
  /// worse than with scales searched for alone.
  @Test(arguments: ["minipy", "llama"])
  func theModelStaysTheSame(_ name: String) throws {
    guard let source = name == "minipy" ? TestData.minipy : TestData.shared.map({ $0 + "/fixtures/" + name }) else {
      print("no FURL_SHARED: not run with \(name)")
      return
    }
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: source)
      sample.repeatBlocks(2)
      sample.keepBlocks(2)
      let texts = SyntheticTokenizer.files(count: 400, special: [0: "<s>"], begin: "<s>", end: "<s>", contextLength: 64)
      let files = name == "minipy" ? [:] : ["tokenizer.json": texts.tokenizer, "tokenizer_config.json": texts.config]
      try sample.write(to: folder + "/source", files: files)
      func write(_ keys: String) throws -> [String: [[Float]]] {
        let recipe = try Fixtures.recipe(
          "  - quantize: {\(keys), block: 32, embeddings: int8}", more: "calibration: {samples: 48, length: 32}")
        _ = try Compressor(Checkpoint(folder: folder + "/source"), recipe: recipe)
          .write(to: folder + "/a.furl", pool: WorkerPool(threads: 2))
        return try Fixtures.decoded(folder + "/a.furl")
      }
      let ids = (0..<48).map { 7 + 5 * $0 }
      let expected = try Self.logits(folder + "/source", ids)
      func error(_ keys: String) throws -> Double {
        _ = try write(keys)
        return Self.distance(expected, try Self.logits(folder + "/a.furl", ids))
      }
      let (fine, coarse) = (try error("weights: int8, method: awq"), try error("weights: int4, method: awq"))
      let searched = try error("weights: int4, method: imatrix")
      print("\(name): error of logits with awq \(fine) in 8 bits, \(coarse) in 4; \(searched) with a search alone")
      #expect(fine < 0.02 && coarse < 1.2 * searched)
      let (plain, scaled) = (try write("weights: int4, method: imatrix"), try write("weights: int4, method: awq"))
      #expect(plain["blocks.0.attention.norm"] != scaled["blocks.0.attention.norm"])
    }
  }
}
