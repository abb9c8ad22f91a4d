import FurlSpec
import FurlTensor
import FurlTokenizer
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTestSupport
import Foundation
import Testing

/// Checkpoints, read by the tests' own reader.
@Suite struct SafetensorsExportTests {
  private func export(
    _ source: any ExportSource, _ numbers: ExportNumbers = .f32, shards: Int = .max, to folder: String
  ) throws -> ExportResult {
    try SafetensorsExport(numbers: numbers, shardBytes: shards).write(source, to: folder, pool: ExportFixtures.pool)
  }

  /// The names, shapes and bytes of the tensors of a file.
  private func tensors(_ path: String) throws -> [String: (type: String?, shape: [Int], bytes: ArraySlice<UInt8>)] {
    let bytes = try TestData.bytes(path)
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect(length % 8 == 0)
    let header = try JSON.parse(Array(bytes[8..<8 + length]), file: nil)
    #expect(header["__metadata__"] == ["format": "pt"])
    var result: [String: (type: String?, shape: [Int], bytes: ArraySlice<UInt8>)] = [:]
    for member in header.members ?? [] where member.key != "__metadata__" {
      let range = try #require(member.value["data_offsets"]?.array).compactMap(\.integer)
      result[member.key] = (
        member.value["dtype"]?.string, member.value["shape"]?.array?.compactMap(\.integer) ?? [],
        bytes[(8 + length + range[0])..<(8 + length + range[1])]
      )
    }
    return result
  }

  private func floats(_ bytes: ArraySlice<UInt8>) -> [Float] {
    let bytes = Array(bytes)
    return (0..<bytes.count / 4).map { index in
      Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[4 * index + $1]) << (8 * UInt32($1)) })
    }
  }

  @Test(arguments: ExportFixtures.families)
  func isTheSourceByteForByte(_ folder: String) throws {
    try TestData.withTemporaryFolder { output in
      let result = try export(ExportedModel(ModelFile(path: folder)), to: output + "/x")
      let before = try Checkpoint(folder: folder)
      let ours = try tensors(output + "/x/model.safetensors")
      // Blocks that predict further tokens lie behind the others.
      let further = (before.spec.blocks.count..<before.spec.blocks.count + 4).map { "model.layers.\($0)." }
      let theirs = try tensors(folder + "/model.safetensors").filter { tensor in
        !further.contains(where: tensor.key.hasPrefix) && !before.leftOut.contains(tensor.key)
      }
      #expect(result.tensors == ours.count)
      #expect(ours.keys.sorted() == theirs.keys.sorted())
      for (name, tensor) in theirs {
        let own = try #require(ours[name])
        #expect(own.type == "F32" && own.shape == tensor.shape, "\(name)")
        // Gemma adds one to norms, and both multiply what models compute with: what is undone may be rounded twice.
        guard ["gemma", "granite"].contains(where: folder.lastName.hasPrefix), own.bytes != tensor.bytes else {
          #expect(own.bytes == tensor.bytes, "\(name)")
          continue
        }
        let isClose = zip(floats(own.bytes), floats(tensor.bytes)).allSatisfy {
          abs($0 - $1) <= 1.2e-7 * max(1, abs($1))
        }
        #expect(isClose, "\(name)")
      }
      let after = try Checkpoint(folder: output + "/x")
      #expect(before.spec == after.spec)
      #expect(after.config["dtype"] ?? after.config["torch_dtype"] == "float32")
    }
  }

  @Test func hasTheArtifactsWeightsAndTokenizer() throws {
    try TestData.withTemporaryFolder { folder in
      let path = folder + "/m.furl"
      try Fixtures.writeArtifact(TestData.minipy, to: path, .init(scheme: .int4(.columns(32))))
      let model = try ModelFile(path: path)
      var source = try SampleSource(path)
      source.tokens = nil
      // The artifact of a test says nothing in its own.
      source.config = try Checkpoint(folder: TestData.minipy).config
      _ = try export(source, to: folder + "/x")
      guard case .artifact(let artifact) = model else { return }
      let copy = try Checkpoint(folder: folder + "/x")
      #expect(copy.spec == model.spec)
      for tensor in copy.spec.tensors where tensor.shape.count == 2 {
        let matrix = try artifact.matrix(tensor, pool: ExportFixtures.pool)
        #expect(try copy.source(tensor.name).readAll() == (0..<matrix.rows).flatMap { matrix.row($0) })
      }
      #expect(
        try ModelFile(path: folder + "/x").tokenizer().serialized()
          == ModelFile(path: TestData.minipy).tokenizer().serialized())
      #expect(
        try ExportFixtures.content(folder + "/x")
          == [
            "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
          ])
    }
  }

  @Test(arguments: [(ExportNumbers.f16, "F16", "float16"), (.bf16, "BF16", "bfloat16")])
  func roundsToNearest(_ numbers: ExportNumbers, _ type: String, _ name: String) throws {
    try TestData.withTemporaryFolder { folder in
      _ = try export(ExportedModel(ModelFile(path: Fixtures.gpt2)), numbers, to: folder + "/x")
      let (theirs, ours) = (
        try tensors(Fixtures.gpt2 + "/model.safetensors"), try tensors(folder + "/x/model.safetensors")
      )
      for (name, tensor) in theirs {
        let bytes = Array(tensor.bytes)
        let values = (0..<bytes.count / 4).map { index in
          Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[4 * index + $1]) << (8 * UInt32($1)) })
        }
        let expected = values.map { value -> UInt16 in
          if type == "F16" { return Float16(value).bitPattern }
          // The two neighbours in BF16; the nearer one, of equally near ones the even one.
          let low = value.bitPattern >> 16
          let (below, above) = (Float(bitPattern: low << 16), Float(bitPattern: (low + 1) << 16))
          let (down, up) = (abs(Double(value) - Double(below)), abs(Double(above) - Double(value)))
          return UInt16(down < up || (down == up && low % 2 == 0) ? low : low + 1)
        }
        #expect(ours[name]?.type == type)
        #expect(try Array(#require(ours[name]).bytes) == TestData.littleEndian(expected), "\(name)")
      }
      #expect(try Checkpoint(folder: folder + "/x").config["dtype"]?.string == name)
    }
  }

  @Test func cutsIntoShards() throws {
    try TestData.withTemporaryFolder { folder in
      let source = ExportedModel(try ModelFile(path: Fixtures.gpt2))
      _ = try export(source, shards: 40_000, to: folder + "/x")
      let index = try JSON.parse(TestData.bytes(folder + "/x/model.safetensors.index.json"), file: nil)
      let map = try #require(index["weight_map"]?.members)
      let files = Set(map.compactMap(\.value.string))
      #expect(files.count > 3)
      #expect(files.contains("model-00001-of-\(String("0000\(files.count)".suffix(5))).safetensors"))
      let whole = try tensors(Fixtures.gpt2 + "/model.safetensors")
      var total = 0
      for file in files {
        let part = try tensors(folder + "/x/" + file)
        let bytes = part.values.reduce(0) { $0 + $1.bytes.count }
        #expect(bytes <= 40_000 || part.count == 1)
        total += bytes
        for (name, tensor) in part {
          #expect(map.first { $0.key == name }?.value.string == file)
          #expect(whole[name]?.bytes == tensor.bytes, "\(name)")
        }
      }
      #expect(index["metadata"]?["total_size"]?.integer == total)
      #expect(map.count == whole.count)
      #expect(try Checkpoint(folder: folder + "/x").spec == source.spec)
    }
  }

  @Test func leavesNothingBehind() throws {
    try TestData.withTemporaryFolder { folder in
      var source = try SampleSource(Fixtures.gpt2)
      source.change = { name, values in if name == "blocks.2.attention.value" { values[49] = -65_505 } }
      let error = #expect(throws: FurlError.self) { try export(source, .f16, to: folder + "/x") }
      #expect("\(error!)".contains("blocks.2.attention.value") && "\(error!)".contains("[1, 1]"), "\(error!)")
      #expect(try ExportFixtures.content(folder).isEmpty)
      // In BF16 there is room for it.
      _ = try export(source, .bf16, to: folder + "/x")
    }
  }

  @Test func refusesPlacesThatAreTaken() throws {
    try TestData.withTemporaryFolder { folder in
      let source = ExportedModel(try ModelFile(path: Fixtures.gpt2))
      let place = folder + "/x"
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
      _ = try export(source, to: place + "/")
      #expect(try ExportFixtures.content(place).contains("config.json"))
      expectError(.cannotCreate, place, "has files in it") { _ = try export(source, to: place) }
      expectError(.cannotCreate, "is not a folder") { _ = try export(source, to: place + "/config.json") }
      expectError(.cannotCreate, "cannot be created") { _ = try export(source, to: folder + "/no/x") }
      expectError(.usage, "q4_0") { _ = try export(source, .q4_0, to: folder + "/y") }
      #expect(try ExportFixtures.content(folder) == ["x"])
    }
  }

  @Test func removesWhatAKilledExportLeft() throws {
    try TestData.withTemporaryFolder { folder in
      for name in [".x.furl-abc123", ".x.furl-abc1234", ".y.furl-abc123"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(name)/in", withIntermediateDirectories: true)
      }
      _ = try export(ExportedModel(ModelFile(path: Fixtures.gpt2)), to: folder + "/x")
      #expect(try ExportFixtures.content(folder) == [".x.furl-abc1234", ".y.furl-abc123", "x"])
    }
  }
}
