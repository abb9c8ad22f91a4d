import Foundation
import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

@testable import FurlTransform

/// Calibrated compressions that are stopped and go on.
@Suite struct CodesStateTests {
  private static let calibration =
    "calibration: {text: train.txt, samples: 8, length: 24}"

  private static func recipe(_ quantize: String, in folder: String) throws -> Recipe {
    let text = "furl: 1\nrecipe: r\nsteps:\n  - quantize: {\(quantize)}\n\(calibration)\n"
    return try Recipe(YAML.read(Array(text.utf8), file: folder + "/r.yaml"))
  }

  /// Compresses, and keeps a copy of the state as it is after each tensor.
  private static func write(
    _ quantize: String, in folder: String, state: String? = nil, copies: String? = nil
  ) throws -> [UInt8] {
    let compressor = try Compressor(Checkpoint(folder: folder + "/model"), recipe: recipe(quantize, in: folder))
    var count = 0
    _ = try compressor.write(to: folder + "/a.furl", pool: WorkerPool(threads: 2), stateFolder: state) { _ in
      guard let copies, let state else { return }
      count += 1
      try? FileManager.default.copyItem(atPath: state, toPath: copies + "/\(count)")
    }
    return try TestData.bytes(folder + "/a.furl")
  }

  private static func files(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  /// From wherever it is gone on: the bytes of a run that was never stopped, and nothing is left behind.
  @Test(arguments: [
    "weights: int4, method: gptq", "weights: int4, method: awq", "weights: int8, method: gptq, outliers: {share: 0.05}",
    "weights: int3, zero: minimum, scales: u8, method: two-sided", "goal: disk, bits: 3, method: gptq",
  ])
  func stoppedRunsGoOn(_ quantize: String) throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let whole = try Self.write(quantize, in: folder)
      let (state, copies) = (folder + "/state", folder + "/copies")
      try FileManager.default.createDirectory(atPath: copies, withIntermediateDirectories: true)
      #expect(try Self.write(quantize, in: folder, state: state, copies: copies) == whole)
      #expect(try Self.files(state).isEmpty)
      var seen: Set<[String]> = []
      for copy in try Self.files(copies) {
        let kept = try Self.files(copies + "/" + copy)
        guard seen.insert(kept).inserted else { continue }
        #expect(try Self.write(quantize, in: folder, state: copies + "/" + copy) == whole, "\(kept)")
        #expect(try Self.files(copies + "/" + copy).isEmpty)
      }
      // A block and another.
      #expect(seen.count > 2, "\(seen)")
    }
  }

  /// What is kept is used: a block of zeros comes out as such. Of another text, recipe or model nothing is used, and a file that is
  /// cut or changed is refused.
  @Test func onlyTheSameRunGoesOn() throws {
    try TestData.withTemporaryFolder { folder in
      try TrainingFixtures.write(to: folder)
      let (state, copies) = (folder + "/state", folder + "/copies")
      try FileManager.default.createDirectory(atPath: copies, withIntermediateDirectories: true)
      let quantize = "weights: int4, method: gptq"
      let whole = try Self.write(quantize, in: folder, state: state, copies: copies)
      let last = try #require(try Self.files(copies).compactMap(Int.init).max())
      let kept = copies + "/\(last)"
      let names = try Self.files(kept)
      #expect(names.count > 1)
      let other = "weights: int4, method: gptq, damping: 0.02"
      let bytes = try Self.write(other, in: folder)
      #expect(try Self.write(other, in: folder, state: kept) == bytes)
      #expect(try Self.files(kept) == names)
      let path = kept + "/" + names[0]
      let good = try TestData.bytes(path)
      for bad in [Array(good.dropLast()), good + [0], Array(good.prefix(40)), [UInt8](repeating: 7, count: 100), []] {
        try TestData.write(bad, to: path)
        let error = #expect(throws: FurlError.self) { try Self.write(quantize, in: folder, state: kept) }
        #expect(error?.kind == .input && error?.file == path, "\(String(describing: error))")
      }
      var changed = good
      changed[good.count - 5] ^= 1
      try TestData.write(changed, to: path)
      #expect(throws: FurlError.self) { try Self.write(quantize, in: folder, state: kept) }
      try TestData.write(good, to: path)
      #expect(try Self.write(quantize, in: folder, state: kept) == whole)
    }
  }

  /// What experts have seen is part of an artifact, and comes back.
  @Test func coverageComesBack() throws {
    var coverage = ExpertCoverage()
    coverage.note("blocks.0.mlp.experts.1.up", tokens: 3, others: 9, positions: 40)
    coverage.note("blocks.0.mlp.experts.0.up", tokens: 30, others: 0, positions: 40)
    coverage.note("blocks.0.mlp.experts.1.down", tokens: 3, others: 21, positions: 40)
    let back = ExpertCoverage(coverage.json)
    #expect(back.json == coverage.json && back.notes == coverage.notes && back.least == 3)
    #expect(ExpertCoverage(nil).json == nil)
  }
}
