import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTokenizer
@testable import FurlTransform
import Testing

/// What comes with the weights, on its way through artifacts.
@Suite struct PaperArtifactTests {
  private static let template = "{{ bos_token }}{% for m in messages %}{{ m.content }}\n{% endfor %}\n"
  private static let generation = "{\"eos_token_id\": [11, 13],\n\"temperature\": 0.5}"

  /// Compresses a model with papers and gives its artifact's path.
  private static func compress(_ change: (String) throws -> Void = { _ in }, in folder: String) throws -> Artifact {
    try ChainCheckpoint().write(to: folder + "/m")
    try TestData.write(Array(template.utf8), to: folder + "/m/chat_template.jinja")
    try TestData.write(Array(generation.utf8), to: folder + "/m/generation_config.json")
    try TestData.write(Array("---\nlicense: mit\nbase_model: a/b\n---\n".utf8), to: folder + "/m/README.md")
    try TestData.write(Array("As you like.".utf8), to: folder + "/m/LICENSE.txt")
    try change(folder + "/m")
    let recipe = try Fixtures.recipe("  - quantize: {weights: int8, block: 32}")
    _ = try Compressor(Checkpoint(path: folder + "/m"), recipe: recipe)
      .write(to: folder + "/a.furl", pool: WorkerPool(threads: 1))
    return try Artifact(path: folder + "/a.furl")
  }

  @Test func surviveArtifactsAndTheirExports() throws {
    let pool = WorkerPool(threads: 1)
    try TestData.withTemporaryFolder { folder in
      let artifact = try Self.compress(in: folder)
      let own = try Checkpoint(path: folder + "/m").papers()
      #expect(artifact.description.papers == own && own.template("default") == Self.template && own.card.count == 2)
      let model = ExportedModel(try ModelFile(path: folder + "/a.furl"))
      _ = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30).write(model, to: folder + "/s", pool: pool)
      var exported = try Checkpoint(path: folder + "/s").papers()
      #expect(exported == own)
      _ = try GGUFExport(numbers: nil).write(model, to: folder + "/g.gguf", pool: pool)
      exported = try Checkpoint(path: folder + "/g.gguf").papers()
      #expect(exported.templates == own.templates && exported.generation == own.generation)
      #expect(exported.card.first { $0.key == "license" }?.value == "mit")
      #expect(try ModelFile(path: folder + "/g.gguf").tokenizer().endIDs == [11, 13])
    }
  }

  @Test func theTemplateIsInTheIdAndThePadTokenIsNot() throws {
    func id(_ change: (String) throws -> Void) throws -> Digest {
      try TestData.withTemporaryFolder { try Self.compress(change, in: $0).id }
    }
    let plain = try id { _ in }
    #expect(try id { try TestData.write(Array("{{ 1 }}".utf8), to: $0 + "/chat_template.jinja") } != plain)
    #expect(try id { try TestData.write(Array("---\nlicense: x\n---\n".utf8), to: $0 + "/README.md") } != plain)
    let config = #"{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false, "pad_token": "</s>"}"#
    #expect(try id { try TestData.write(Array(config.utf8), to: $0 + "/tokenizer_config.json") } == plain)
  }
}
