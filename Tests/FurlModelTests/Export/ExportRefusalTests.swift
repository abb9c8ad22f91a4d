import FurlTensor
import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTestSupport
import Foundation
import Testing

/// What cannot be written is refused before anything is there, with what to do.
@Suite struct ExportRefusalTests {
  private func refused(
    _ source: any ExportSource, _ numbers: ExportNumbers? = nil, _ words: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try TestData.withTemporaryFolder { folder in
      let error = #expect(throws: FurlError.self, sourceLocation: sourceLocation) {
        try GGUFExport(numbers: numbers).write(source, to: folder + "/x.gguf", pool: ExportFixtures.pool)
      }
      for word in words { #expect("\(error!)".contains(word), "\(error!)", sourceLocation: sourceLocation) }
      #expect(error?.kind == .input, sourceLocation: sourceLocation)
      let left = try ExportFixtures.content(folder)
      #expect(left.isEmpty, sourceLocation: sourceLocation)
    }
  }

  private func changed(_ path: String, _ body: (inout ModelSpec) -> Void) throws -> SampleSource {
    var source = try SampleSource(path)
    body(&source.spec)
    return source
  }

  @Test func modelsThatLlamaDoesNotRun() throws {
    let gpt2 = Fixtures.gpt2
    let phi = ExportFixtures.converted[3]
    try refused(try changed(gpt2) { $0.uniform?.activation = .quickGelu }, nil, "quick_gelu", "run it with furl")
    try refused(try changed(gpt2) { $0.uniform?.activation = .gelu }, nil, "gelu_tanh")
    try refused(try changed(gpt2) { $0.blocks[1].widths.mlpSize += 32 }, nil, "different widths")
    try refused(try changed(gpt2) { $0.blocks[2].widths.heads = 1 }, nil, "different widths")
    try refused(try changed(gpt2) { $0.blocks = [] }, nil, "no blocks")
    try refused(try changed(gpt2) { _ = $0.uniform?.biases.remove(.up) }, nil, "bias of mlp.up")
    try refused(try changed(gpt2) { $0.architecture = "t5" }, nil, "t5")
    try refused(
      try changed(gpt2) { $0.uniform?.positions = .rotary(.init(theta: 10_000, dimensions: 16)) }, nil, "rotary")
    try refused(
      try changed(gpt2) { for block in $0.blocks.indices { $0.blocks[block].widths.headSize = 8 } }, nil, "3 heads of 8"
    )
    try refused(
      try changed(phi) {
        $0.tiedEmbeddings = true; _ = $0.uniform?.biases.remove(.head)
      }, nil, "phi2")
    let llama = ExportFixtures.families.first { $0.hasSuffix("llama-scaled") }
    try refused(
      try changed(try #require(llama)) { $0.architecture = "qwen2" }, nil, "no llama3 scaling of frequencies")
    try refused(
      try changed(try #require(llama)) {
        $0.architecture = "qwen2"
        guard case .rotary(var rotary)? = $0.uniform?.positions else { return }
        rotary.scaling = .none
        $0.uniform?.positions = .rotary(rotary)
      }, nil, "are not the hidden size")
    let plain = ExportFixtures.families.first { $0.hasSuffix("starcoder2-plain") }
    try refused(try SampleSource(try #require(plain)), nil, "and no gelu")
  }

  @Test func weightsThatBlocksDoNotHold() throws {
    try TestData.withTemporaryFolder { folder in
      // Rows of 48: one and a half blocks.
      let path = folder + "/m.furl"
      try Fixtures.writeArtifact(Fixtures.gpt2, to: path, .init(scheme: .int8(.columns(32))))
      let source = try SampleSource(path)
      try refused(source, nil, "embedding", "48", "--dtype f16")
      try refused(source, .q8_0, "embedding", "48", "--dtype f16")
      let (file, result) = try ExportFixtures.gguf(source, .f16, in: folder)
      #expect(result.encodedAnew == ["int8:32": 13])
      #expect(file.tensors["token_embd.weight"]?.type == 1)
    }
  }

  @Test func partsOfAFusedTensorThatDiffer() throws {
    var source = try SampleSource(TestData.minipy)
    source.stored = { .packed($0.role == .value ? .int8(.columns(32)) : .int4(.columns(32))) }
    try refused(source, nil, "blocks.0.attention.query", "attn_qkv", "q8_0", "--dtype")
  }

  @Test func numbersThatDoNotFit() throws {
    var source = try SampleSource(Fixtures.gpt2)
    source.change = { name, values in if name == "blocks.1.mlp.up" { values[50] = 70_000 } }
    try refused(source, .f16, "blocks.1.mlp.up", "[1, 2]", "70000", "--dtype f32")
    source.change = { name, values in if name == "blocks.1.mlp.norm.bias" { values[3] = .nan } }
    try refused(source, nil, "blocks.1.mlp.norm.bias", "[3]", "not a finite number")

    var wide = try SampleSource(TestData.minipy)
    wide.change = { name, values in if name == "blocks.0.mlp.up" { values[0] = 1e30 } }
    try refused(wide, .q4_0, "blocks.0.mlp.up", "q4_0", "too large")
  }

  @Test func tokensThatCannotBeToldApart() throws {
    var source = try SampleSource(Fixtures.gpt2)
    source.tokens = ["a", "b", "a"]
    try refused(source, nil, "tokenizer", "\"a\"")
    source.tokens = ["a", "[PAD9]"]
    try refused(source, nil, "tokenizer", "9")
  }

  @Test func filesOfTheModelItself() throws {
    try TestData.withTemporaryFolder { folder in
      let source = folder + "/m.gguf"
      try TestData.write(TestData.bytes(ExportFixtures.converted[1]), to: source)
      let before = try TestData.bytes(source)
      try FileManager.default.createSymbolicLink(atPath: folder + "/link.gguf", withDestinationPath: source)
      for path in [source, folder + "/link.gguf"] {
        expectError(.cannotCreate, path, "a file of the model itself") {
          _ = try GGUFExport(numbers: nil).write(SampleSource(source), to: path, pool: ExportFixtures.pool)
        }
      }
      #expect(try TestData.bytes(source) == before)
    }
  }

  @Test func filesThatChangeMeanwhile() throws {
    try TestData.withTemporaryFolder { folder in
      let source = folder + "/m.gguf"
      let bytes = try TestData.bytes(ExportFixtures.converted[1])
      try TestData.write(bytes, to: source)
      let model = try SampleSource(source)
      let file = try FileHandle(forUpdating: URL(fileURLWithPath: source))
      try file.truncate(atOffset: UInt64(bytes.count - 64))
      expectError(.input, source, "shorter") {
        _ = try GGUFExport(numbers: nil).write(model, to: folder + "/x.gguf", pool: ExportFixtures.pool)
      }
      #expect(try ExportFixtures.content(folder) == ["m.gguf"])
    }
  }
}
