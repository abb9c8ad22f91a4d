import FurlBase
import Foundation
import FurlArtifact
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Subprocess
import SystemPackage
import Testing

/// What a pipeline relies on: the same bytes every time, a whole file or none, and damage that is found.
@Suite struct ArtifactTests {
  @Test func sameBytesForAnyThreads() async throws {
    try await TestData.withTemporaryFolder { folder in
      var files: Set<[UInt8]> = []
      for (index, threads) in ["1", "2", "1", "2"].enumerated() {
        let path = "\(folder)/\(index).furl"
        let result = try await Tool.run(
          "compress", TestData.minipy, "--recipe", "recipes/minipy-int4.yaml", "--output", path, "--threads", threads)
        #expect(result.status == 0, "\(result.errors)")
        files.insert(try TestData.bytes(path))
      }
      #expect(files.count == 1)
    }
  }

  @Test func killedCompressLeavesNothing() async throws {
    try await TestData.withTemporaryFolder { folder in
      let output = folder + "/x.furl"
      for delay in [5, 20, 40, 80, 120, 160, 220] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Tool.path)
        process.arguments = [
          "compress", TestData.minipy, "--recipe", TestData.root + "/recipes/minipy-int8.yaml", "--output", output,
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        try await Task.sleep(for: .milliseconds(delay))
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        // A run that was quicker than the signal has written a whole artifact.
        if FileManager.default.fileExists(atPath: output) {
          #expect(try await Tool.run("inspect", output, "--check").status == 0)
          try FileManager.default.removeItem(atPath: output)
        }
      }
      // The next run clears what the killed ones left under other names.
      _ = try await Tool.run(
        "compress", TestData.minipy, "--recipe", "recipes/minipy-int8.yaml", "--output", output)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["x.furl"])
    }
  }

  @Test func damageIsFound() async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("minipy-int4", into: folder)
      let whole = try TestData.bytes(artifact)
      let damaged = folder + "/damaged.furl"
      var generator = SplitMix64(seed: 1)
      #expect(try await Tool.run("inspect", artifact, "--check").status == 0)
      for _ in 0..<200 {
        var bytes = whole
        let position = Int(generator.next() % UInt64(bytes.count))
        bytes[position] ^= 1 << UInt8(generator.next() % 8)
        try TestData.write(bytes, to: damaged)
        #expect(throws: FurlError.self, "byte \(position)") { try Artifact(path: damaged).check() }
      }
      for _ in 0..<20 {
        try TestData.write(Array(whole.prefix(Int(generator.next() % UInt64(whole.count)))), to: damaged)
        expectOneLine(try await Tool.run("inspect", damaged), status: 65, containing: damaged)
      }
    }
  }

  @Test func planSaysWhatIsWritten() async throws {
    try await TestData.withTemporaryFolder { folder in
      let plan = try await Tool.run(
        "compress", TestData.minipy, "--recipe", "recipes/minipy-int4.yaml", "--plan", "--json"
      ).json
      let artifact = try await Tool.compress("minipy-int4", into: folder)
      let seen = try await Tool.run("inspect", artifact, "--json").json
      #expect(plan["weight_bytes"]?.integer == seen["weight_bytes"]?.integer)
      #expect(try #require(plan["disk_bytes_at_most"]?.integer) >= #require(seen["disk_bytes"]?.integer))
      let shown = try await Tool.run("compress", TestData.minipy, "--recipe", "recipes/minipy-int4.yaml", "--plan")
      #expect(shown.output.contains("blocks.0.mlp.down"))
      let sampled = try await Tool.run(
        "compress", TestData.minipy, "--recipe", "recipes/minipy-int4.yaml", "--plan", "--sample", "--json"
      ).json
      let (predicted, real) = (sampled["disk_bytes_predicted"]?.integer ?? 0, seen["disk_bytes"]?.integer ?? 0)
      #expect(abs(predicted - real) * 100 <= real && plan["disk_bytes_predicted"] == nil)
      expectOneLine(
        try await Tool.run(
          "compress", TestData.minipy, "--recipe", "recipes/minipy-int4.yaml", "--sample", "--output", folder + "/x"),
        status: 64, containing: "--plan")
    }
  }
}
