import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlModel
@testable import FurlReport
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTransform
import Foundation
import Testing

@Suite struct InspectionTests {
  private let pool = WorkerPool(threads: 2)
  private let checkpoint: ModelFile

  init() throws { checkpoint = try ModelFile(path: TestData.minipy) }

  private func withArtifact(_ steps: String, _ body: (String, ModelFile) throws -> Void) throws {
    try TestData.withTemporaryFolder { folder in
      let recipe = try Recipe(YAML.read(Array("furl: 1\nrecipe: r\nsteps:\n\(steps)\n".utf8), file: "r.yaml"))
      let path = folder + "/a.furl"
      _ = try Compressor(Checkpoint(folder: TestData.minipy), recipe: recipe).write(to: path, pool: pool)
      try body(folder, try ModelFile(path: path))
    }
  }

  /// Counted by the tests' own reader of the checkpoint.
  @Test func parametersAreCounted() throws {
    let sample = try SampleCheckpoint(folder: TestData.minipy)
    let count = try ParameterCount(checkpoint, pool: pool)
    #expect(count.total == 6_967_296 && count.total == sample.tensors.values.reduce(0) { $0 + $1.values.count })
    #expect(count.nonzero == sample.tensors.values.reduce(0) { $0 + $1.values.count { $0 != 0 } })
    #expect(count.embedding == (8192 + 512) * 256)
  }

  /// Six of eight experts of each of six blocks stand idle.
  @Test func activeParametersAreWhatATokenGoesThrough() throws {
    let inspection = try Inspection(ModelFile(path: TestData.minimoe), listingTensors: false, pool: pool)
    #expect(inspection.parameters.total == 12_730_368)
    #expect(inspection.parameters.active == 12_730_368 - 6 * 6 * 3 * 256 * 256)
    let json = try inspection.json
    #expect(json["parameters"]?["active"]?.integer == inspection.parameters.active)
    let blocks = json["experts"]?["blocks"]?.array ?? []
    #expect(blocks.count == 6 && blocks.allSatisfy { $0["count"]?.integer == 8 && $0["active"]?.integer == 2 })
    #expect(inspection.expertTexts == ["8 in each of 6 blocks, of which a token goes through 2"])
    // Without experts all are active.
    let plain = try Inspection(checkpoint, listingTensors: false, pool: pool)
    #expect(plain.parameters.active == plain.parameters.total && plain.expertTexts.isEmpty)
    #expect(try plain.json["experts"] == nil)
  }

  @Test func zerosAreNotCounted() throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(1)
      sample.tensors = sample.tensors.mapValues { .init(shape: $0.shape, values: $0.values.map { _ in 0 }) }
      for (name, places) in [
        ("wte.weight", [0, 256 * 8192 - 1, 70]), ("h.0.attn.c_attn.weight", [3, 767, 768 * 255]), ("ln_f.bias", [255]),
      ] {
        for place in places { sample.tensors["transformer." + name]?.values[place] = -1e-30 }
      }
      sample.tensors["transformer.wpe.weight"]?.values[9] = -0.0
      try sample.write(to: folder + "/c")
      for threads in [1, 2] {
        let count = try ParameterCount(ModelFile(path: folder + "/c"), pool: WorkerPool(threads: threads))
        #expect(count.nonzero == 7)
      }
    }
  }

  @Test func theCheckpointsDocument() throws {
    let inspection = try Inspection(checkpoint, listingTensors: true, pool: pool)
    let json = try inspection.json
    #expect(json["architecture"]?.string == "gpt2" && json["layers"]?.integer == 6 && json["artifact_id"] == .null)
    #expect(
      json["hidden_size"]?.integer == 256 && json["vocabulary_size"]?.integer == 8192
        && json["context_length"]?.integer == 512)
    #expect(json["bits_per_weight"]?.number == 8 * 27_876_672 / 6_967_296 && json["recipe"] == .null)
    let files = [
      "model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    ]
    let sizes = try files.map { try TestData.bytes(TestData.minipy + "/" + $0).count }
    #expect(json["disk_bytes"]?.integer == sizes.reduce(0, +))
    #expect(json["source"]?["files"]?.array?.compactMap { $0["name"]?.string } == files)
    let tensors = try #require(json["tensors"]?.array)
    #expect(tensors.count == 100)
    // The digest of a tensor that is split and transposed: of its numbers, row by row.
    let fused = try #require(SampleCheckpoint(folder: TestData.minipy).tensors["transformer.h.3.attn.c_attn.weight"])
    var bytes: [UInt8] = []
    for output in 256..<512 {
      for input in 0..<256 {
        withUnsafeBytes(of: fused.values[input * 768 + output].bitPattern.littleEndian) { bytes += $0 }
      }
    }
    let key = tensors.first { $0["name"]?.string == "blocks.3.attention.key" }
    #expect(
      key?["sha256"]?.string == Digest(of: bytes).hex && key?["scheme"]?.string == "F32" && key?["shape"] == [256, 256])
  }

  @Test func theArtifactsDocument() throws {
    try withArtifact("  - truncate: {blocks: 2}\n  - quantize: {weights: int4, embeddings: int8}") { folder, file in
      let json = try Inspection(file, listingTensors: true, pool: pool).json
      let size = try TestData.bytes(file.path).count
      #expect(
        json["format_version"]?.integer == 1 && json["layers"]?.integer == 4 && json["storage"]?.string == "compact")
      #expect(json["disk_bytes"]?.integer == size && json["recipe"]?["name"]?.string == "r")
      #expect(json["recipe"]?["canonical"]?["steps"]?[0]?["truncate"]?["blocks"]?.integer == 2)
      let total = 6_967_296 - 2 * (12 * 256 * 256 + 13 * 256)
      #expect(
        json["parameters"]?["total"]?.integer == total
          && json["bits_per_weight"]?.number == 8 * Double(size) / Double(total))
      #expect(try json["source"]?["digest"]?.string == checkpoint.sourceDigest().hex)
      #expect(try file.sourceDigest() == checkpoint.digest())
      let tensors = try #require(json["tensors"]?.array)
      #expect(tensors.count == 4 + 4 * 16)
      let stored = tensors.reduce(0) { $0 + ($1["disk_bytes"]?.integer ?? 0) }
      #expect(stored < size && stored > size * 9 / 10)
      #expect(tensors.first { $0["name"]?.string == "blocks.3.mlp.down" }?["scheme"]?.string == "int4:32")
      #expect(try Inspection(file, listingTensors: false, pool: pool).json["tensors"] == nil)
      // 4 bits and a half for 32 weights, 8 bits and a half; what the file takes is less.
      let schemes = try #require(json["schemes"]?.array)
      #expect(schemes.compactMap { $0["scheme"]?.string } == ["float32", "int4:32", "int8:32"])
      #expect(schemes[1...].compactMap { $0["memory_bits_per_weight"]?.number } == [4.5, 8.5])
      #expect(schemes.allSatisfy { $0["bits_per_weight"]!.number! <= $0["memory_bits_per_weight"]!.number! })
      #expect(schemes.reduce(0) { $0 + ($1["weights"]?.integer ?? 0) } == total)
      #expect(schemes.reduce(0) { $0 + ($1["weight_bytes"]?.integer ?? 0) } == json["weight_bytes"]?.integer)
    }
  }

  // MARK: Differences

  @Test func aModelEqualsItself() throws {
    #expect(try ModelDifference(checkpoint, checkpoint, pool: pool).isEqual)
    try withArtifact("  - quantize: {weights: int4}") { folder, file in
      let difference = try ModelDifference(file, file, pool: pool)
      #expect(difference.isEqual && difference.tensors.count == 100)
      #expect(difference.tensors.allSatisfy { $0.relativeError == 0 && $0.largestDifference == 0 })
      #expect(difference.json["equal"]?.bool == true)
    }
  }

  @Test(arguments: [("int8", 0.01), ("int4", 0.12)])
  func quantizationCostsLittle(_ sample: (weights: String, most: Double)) throws {
    try withArtifact("  - quantize: {weights: \(sample.weights)}") { folder, file in
      let difference = try ModelDifference(checkpoint, file, pool: pool)
      #expect(!difference.isEqual && difference.onlyInFirst.isEmpty && difference.onlyInSecond.isEmpty)
      for tensor in difference.tensors {
        let isVector = tensor.name.hasSuffix("norm") || tensor.name.hasSuffix(".bias")
        #expect(tensor.isEqual == isVector, "\(tensor.name)")
        #expect(tensor.relativeError < sample.most, "\(tensor.name)")
        if !isVector { #expect(tensor.relativeError > sample.most / 5, "\(tensor.name)") }
      }
      // The figure does not depend on the threads.
      let alone = try ModelDifference(checkpoint, file, pool: WorkerPool(threads: 1))
      #expect(alone.tensors.map(\.relativeError) == difference.tensors.map(\.relativeError))
    }
  }

  @Test func oneNumberIsFound() throws {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      let name = "transformer.h.5.mlp.c_proj.weight"
      let values = try #require(sample.tensors[name]?.values)
      sample.tensors[name]?.values[256 * 1023 + 255] += 0.5
      try sample.write(to: folder + "/c")
      let difference = try ModelDifference(checkpoint, ModelFile(path: folder + "/c"), pool: pool)
      #expect(difference.tensors.filter { !$0.isEqual }.map(\.name) == ["blocks.5.mlp.down"])
      let changed = try #require(difference.tensors.first { !$0.isEqual })
      let norm = values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
      #expect(abs(changed.largestDifference - 0.5) < 1e-6 && abs(changed.relativeError - 0.5 / norm) < 1e-6)
    }
  }

  @Test func blocksThatAreMissing() throws {
    try withArtifact("  - truncate: {blocks: 1}") { folder, file in
      let difference = try ModelDifference(checkpoint, file, pool: pool)
      #expect(difference.onlyInFirst.count == 16 && difference.onlyInFirst.allSatisfy { $0.hasPrefix("blocks.5.") })
      #expect(difference.onlyInSecond.isEmpty && !difference.isEqual && difference.tensors.allSatisfy(\.isEqual))
      #expect(try ModelDifference(file, checkpoint, pool: pool).onlyInSecond == difference.onlyInFirst)
    }
  }

  /// An artifact that was damaged where no checksum guards what is loaded: NaN is no number that equals another.
  @Test func whatIsNoNumberDiffers() throws {
    try withArtifact("  - truncate: {blocks: 5}") { folder, file in
      guard case .artifact(let weights) = file else { throw FurlError(.defect, "not an artifact") }
      let tensor = try #require(weights.artifact.tensor(named: "blocks.0.attention.query.bias"))
      let stream = try #require(tensor.streams.first)
      guard stream.codec == .raw else { return }
      var bytes = try TestData.bytes(file.path)
      for (index, byte) in [0xFF, 0xFF, 0xFF, 0x7F].enumerated() { bytes[stream.offset + 8 + index] = UInt8(byte) }
      try TestData.write(bytes, to: folder + "/b.furl")
      let difference = try ModelDifference(file, ModelFile(path: folder + "/b.furl"), pool: pool)
      #expect(!difference.isEqual)
      #expect(difference.tensors.filter { !$0.isEqual }.map(\.name) == ["blocks.0.attention.query.bias"])
    }
  }
}
