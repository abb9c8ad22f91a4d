import FurlBase
@testable import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Foundation
import Testing

/// Mixes against what `llama-quantize` says it would do (`Fixtures/kquants/make_kquants.py`).
@Suite struct GGUFMixTests {
  struct Sample: Decodable, Sendable, CustomTestStringConvertible {
    let model: String
    let mix: String
    let calibrated: Bool
    /// llama.cpp's types by llama.cpp's names.
    let types: [String: String]
    var testDescription: String { "\(model) \(mix)" }
  }

  static func samples() throws -> [Sample] {
    try JSONDecoder().decode(
      [Sample].self, from: Data(TestData.bytes(TestData.root + "/Tests/Fixtures/kquants/mixes.json")))
  }

  private static func spec(_ model: String) throws -> ModelSpec {
    if model == "minipy" { return try Checkpoint(folder: TestData.minipy).spec }
    let published = try #require(PublishedModel(name: model))
    return try Llama.spec(DocumentReader(JSON.parse(published.config, file: model), file: model))
  }

  @Test(arguments: try samples())
  func typesAreThoseOfLlama(_ sample: Sample) throws {
    let spec = try Self.spec(sample.model)
    var quantize: [JSON.Member] = [.init("mix", .string(sample.mix))]
    if sample.calibrated { quantize.append(.init("method", "gptq")) }
    var members: [JSON.Member] = [
      .init("furl", 1), .init("recipe", "r"), .init("steps", [["quantize": .object(quantize)]]),
    ]
    if sample.calibrated { members.append(.init("calibration", ["text": "bundled"])) }
    let recipe = try Recipe(DocumentReader(.object(members), file: "r"))
    let plan = try Plan(recipe, for: spec)
    var found: [String: Set<String>] = [:]
    for tensor in plan.tensors where tensor.spec.shape.count == 2 {
      let name = try #require(tensor.spec.ggufName(in: spec)).replacing(".weight", with: "")
      let type = tensor.scheme.blockType(columns: tensor.spec.shape[1])
      found[name, default: []].insert(tensor.scheme == .float32 ? "F32" : try #require(type).rawValue)
    }
    #expect(found.keys.sorted() == sample.types.keys.sorted())
    for (name, types) in found { #expect(types.map { $0 } == [sample.types[name]], "\(name)") }
  }

  /// Rows that no blocks are whole in are named before anything is read.
  @Test func rowsWithoutWholeBlocksAreNamed() throws {
    let spec = try Checkpoint(folder: Fixtures.gpt2).spec
    let recipe = try Recipe(
      DocumentReader(["furl": 1, "recipe": "r", "steps": [["quantize": ["mix": "q4_k_m"]]]], file: "r"))
    let error = #expect(throws: FurlError.self) { try Plan(recipe, for: spec) }
    #expect(error?.description.contains("rows of 48 weights") == true, "\(String(describing: error))")
  }
}
