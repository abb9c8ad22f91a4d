import Foundation
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

/// What commands say of folders as people have them.
@Suite struct CheckpointFolderTests {
  /// A small llama with its prefix doubled, a mask, and its weights in two files.
  static func write(to folder: String) throws {
    var sample = try SampleCheckpoint(folder: TestData.root + "/Tests/Fixtures/families/llama-linear")
    sample.tensors = Dictionary(uniqueKeysWithValues: sample.tensors.map { ("module." + $0.key, $0.value) })
    sample.tensors["module.model.layers.0.self_attn.rotary_emb.inv_freq"] = .init(shape: [4], values: [1, 2, 3, 4])
    try sample.write(to: folder)
    try FileManager.default.moveItem(atPath: folder + "/model.safetensors", toPath: folder + "/a.safetensors")
    try FileManager.default.copyItem(atPath: folder + "/a.safetensors", toPath: folder + "/b.safetensors")
  }

  @Test func theFileOfWeightsIsAChoice() async throws {
    try await TestData.withTemporaryFolder { folder in
      let path = folder + "/m"
      try Self.write(to: path)
      expectOneLine(
        try await Tool.run("logits", path, "--ids", "1"), status: 65, containing: "a.safetensors", "b.safetensors",
        "--weights")
      let expected = try await Tool.run("logits", "Tests/Fixtures/families/llama-linear", "--ids", "1,2", "--json")
      for arguments in [
        [path, "--weights", "b.safetensors"], [path + "/", "--weights", "a.safetensors"], [path + "/b.safetensors"],
      ] {
        let result = try await Tool.run(["logits"] + arguments + ["--ids", "1,2", "--json"])
        #expect(result.status == 0 && result.output == expected.output, "\(result.errors)")
      }
      for (name, status) in [("c.safetensors", Int32(65)), ("config.json", 65), ("", 64), ("../m/a.safetensors", 64)] {
        expectOneLine(
          try await Tool.run("inspect", path, "--weights", name), status: status,
          containing: name.isEmpty ? "--weights" : name)
      }
      expectOneLine(
        try await Tool.run("inspect", "Tests/Fixtures/gguf/llama.gguf", "--weights", "a.safetensors"), status: 64,
        containing: "--weights")
    }
  }

  @Test func notesAreShown() async throws {
    try await TestData.withTemporaryFolder { folder in
      let path = folder + "/m"
      try Self.write(to: path)
      let result = try await Tool.run("inspect", path, "--weights", "a.safetensors", "--json")
      let json = try result.json
      #expect(json["notes"]?[0]?.string?.contains("module.") == true, "\(result.errors)")
      #expect(json["left_out"] == ["model.layers.0.self_attn.rotary_emb.inv_freq"])
      #expect(json["path"]?.string == path + "/a.safetensors")
      let text = try await Tool.run("inspect", path, "--weights", "a.safetensors").output
      #expect(text.contains("note         \"module.\"") && text.contains("left out     "))
      let recipe = folder + "/r.yaml"
      try TestData.write(
        Array("furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: int8, block: 32}\n".utf8), to: recipe)
      let plan = try await Tool.run("compress", path, "--weights", "a.safetensors", "--recipe", recipe, "--plan")
      #expect(plan.errors.contains("\"module.\""), "\(plan.errors)")
    }
  }

  /// Swift's texts are UTF-8: what is not would name another file.
  @Test func argumentsThatAreNotUTF8AreRefused() async throws {
    for arguments in [#"inspect "$(printf 'a\377b')""#, #"run checkpoints/minipy --prompt "$(printf '\303\050')""#] {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = ["-c", "exec \"$0\" " + arguments, Tool.path]
      process.currentDirectoryURL = URL(fileURLWithPath: TestData.root)
      let (output, errors) = (Pipe(), Pipe())
      process.standardOutput = output
      process.standardError = errors
      try process.run()
      let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(
        process.terminationStatus == 64 && text.contains("is not UTF-8") && text.count { $0 == "\n" } == 1, "\(text)")
    }
  }

  @Test func pointersOfGitLFSAreNamedByEveryCommand() async throws {
    let pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:\(String(repeating: "0", count: 64))\nsize 98\n"
    try await TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.configure("n_layer", .integer(0))
      sample.keepBlocks(0)
      for name in ["tokenizer.json", "tokenizer_config.json"] {
        let path = folder + "/" + name
        try sample.write(to: path, files: [name: pointer])
        for command in [["tokenize", path, "--text", "a"], ["run", path, "--prompt", "a"]] {
          expectOneLine(try await Tool.run(command), status: 65, containing: name, "git lfs pull")
        }
      }
    }
  }
}
