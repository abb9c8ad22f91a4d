import Foundation
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

/// `furl export` as a pipeline uses it.
@Suite struct ExportCommandTests {
  @Test func writesBothFormats() async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("minipy-int4", into: folder)
      let gguf = try await Tool.run("export", artifact, "--format", "gguf", "--output", folder + "/x.gguf", "--json")
      #expect(gguf.status == 0 && gguf.errors.isEmpty, "\(gguf.errors)")
      let seen = try gguf.json
      #expect(seen["disk_bytes"]?.integer == (try TestData.bytes(folder + "/x.gguf")).count)
      #expect(seen["forms"] == ["f32": 50, "q4_0": 24, "q8_0": 2])
      #expect(seen["encoded_anew"] == [:])
      let again = try await Tool.run(
        "export", artifact, "--format", "gguf", "--output", folder + "/y.gguf", "--threads", "1")
      #expect(again.output.contains("24 q4_0"))
      // The same bytes, whatever the threads and the name of the output.
      #expect(try TestData.bytes(folder + "/x.gguf") == TestData.bytes(folder + "/y.gguf"))

      let checkpoint = try await Tool.run(
        "export", artifact, "--format", "safetensors", "--output", folder + "/x", "--shard-size", "10MB", "--json")
      #expect(checkpoint.status == 0, "\(checkpoint.errors)")
      #expect(try checkpoint.json["forms"] == ["f32": 76])
      // What was exported runs, and computes what the artifact computes.
      let ids = "1,397,909,159,1127"
      let ours = try await Tool.run("logits", artifact, "--ids", ids, "--json", "--activations", "fp32", "--kv", "f32")
      let theirs = try await Tool.run("logits", folder + "/x", "--ids", ids, "--json")
      let (first, second) = (
        try #require(try ours.json["logits"]?.array), try #require(try theirs.json["logits"]?.array)
      )
      #expect(first.count == 8192 && second.count == 8192)
      for (a, b) in zip(first, second) { #expect(abs((a.number ?? .nan) - (b.number ?? .nan)) < 1e-3) }
    }
  }

  @Test func saysWhatIsEncodedAnew() async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("minipy-int4", into: folder)
      let result = try await Tool.run(
        "export", artifact, "--format", "gguf", "--dtype", "q8_0", "--output", folder + "/x.gguf")
      #expect(result.status == 0)
      #expect(result.output.contains("encoded anew: 24 tensors that were int4:32"))
    }
  }

  @Test func refusesInOneLine() async throws {
    try await TestData.withTemporaryFolder { folder in
      func export(_ words: String...) async throws -> Tool.Result {
        try await Tool.run(["export", TestData.minipy] + words)
      }
      expectOneLine(try await export("--format", "onnx", "--output", folder + "/x"), status: 64, containing: "onnx")
      expectOneLine(
        try await export("--format", "safetensors", "--dtype", "q8_0", "--output", folder + "/x"), status: 64,
        containing: "--dtype", "bf16")
      expectOneLine(
        try await export("--format", "safetensors", "--shard-size", "5 boxes", "--output", folder + "/x"), status: 64,
        containing: "--shard-size")
      expectOneLine(
        try await export("--format", "safetensors", "--output", TestData.minipy), status: 73, containing: "has files")
      expectOneLine(
        try await export("--format", "gguf", "--output", folder), status: 73, containing: "is a folder")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  /// A limit on files is met as a full disk is.
  @Test(arguments: ["gguf", "safetensors"])
  func fullDiskLeavesNothing(_ format: String) throws {
    try TestData.withTemporaryFolder { folder in
      let process = Process()
      let errors = Pipe()
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = [
        "-c", "ulimit -f 2000; exec \"$0\" \"$@\"", Tool.path, "export", TestData.minipy, "--format", format,
        "--output", folder + "/x",
      ]
      process.standardError = errors
      try process.run()
      let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 74, "\(words)")
      #expect(words.contains(folder + "/x") && words.count { $0 == "\n" } == 1, "\(words)")
      #expect(!words.contains(".furl-"), "\(words)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
