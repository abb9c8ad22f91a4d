import Foundation
import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlTestSupport
import Testing

/// Tokens as a person meets them: tokenizers without a model, what ends a text, tokens without a row.
@Suite struct TokenCommandTests {
  private static func write(_ chain: ChainCheckpoint, to folder: String) throws -> String {
    try chain.write(to: folder)
    return folder
  }

  @Test func tokenizersNeedNoModel() async throws {
    try await TestData.withTemporaryFolder { folder in
      let model = try Self.write(ChainCheckpoint(), to: folder + "/m")
      let alone = folder + "/alone"
      try FileManager.default.createDirectory(atPath: alone, withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: model + "/tokenizer.json", toPath: alone + "/tokenizer.json")
      let pieces = ChainCheckpoint.pieces + ChainCheckpoint.special
      let file = GGUFText([
        ("general.architecture", .string("llama")), ("tokenizer.ggml.model", .string("gpt2")),
        ("tokenizer.ggml.pre", .string("gpt-2")), ("tokenizer.ggml.tokens", .strings(pieces)),
        (
          "tokenizer.ggml.token_type",
          .list(
            type: 5, count: 14,
            [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3].flatMap {
              GGUFText.bytes(Int32($0))
            })
        ), ("tokenizer.ggml.merges", .strings(["a b"])),
      ])
      try TestData.write(file.bytes, to: folder + "/vocabulary.gguf")
      for path in [model, alone, alone + "/tokenizer.json", folder + "/vocabulary.gguf"] {
        let result = try await Tool.run("tokenize", path, "--text", "abc<|im_end|>a", "--json")
        #expect(result.status == 0 && result.errors.isEmpty)
        #expect(try result.json["ids"] == [9, 2, 13, 0])
      }
      // An index of weights is no tokenizer, though both end in .json.
      let map = try StoredTensors(folder: model).tensors.keys.map { JSON.Member($0, "model.safetensors") }
      let index: JSON = ["weight_map": .object(map)]
      try TestData.write(Array(index.compactText.utf8), to: model + "/model.safetensors.index.json")
      for name in ["model.safetensors", "model.safetensors.index.json"] {
        let result = try await Tool.run("tokenize", model + "/" + name, "--text", "abc", "--json")
        #expect(try result.status == 0 && result.json["ids"] == [9, 2])
      }
      expectOneLine(try await Tool.run("tokenize", folder, "--text", "a"), status: 65, containing: folder)
      expectOneLine(
        try await Tool.run("tokenize", folder + "/no.json", "--text", "a"), status: 65, containing: "no.json")
    }
  }

  @Test func inspectShowsWhatBeginsAndEnds() async throws {
    try await TestData.withTemporaryFolder { folder in
      var chain = ChainCheckpoint()
      chain.files["generation_config.json"] = ["eos_token_id": [11, 13]]
      let model = try Self.write(chain, to: folder + "/m")
      let seen = try await Tool.run("inspect", model, "--json").json
      #expect(try JSONSchema("inspect").problems(seen).isEmpty)
      #expect(
        seen["end_tokens"] == [
          ["id": 11, "text": "</s>", "sources": ["generation_config.json", "tokenizer"]],
          ["id": 13, "text": "<|im_end|>", "sources": ["generation_config.json"]],
        ])
      #expect(
        seen["begin_token"] == [
          "id": 10, "text": "<s>", "added": false, "by": "tokenizer_config.json: add_bos_token",
        ])
      let text = try await Tool.run("inspect", model).output
      #expect(text.contains("<|im_end|>, 13 (generation_config.json)"))
      let run = try await Tool.run("run", model, "--prompt", "a", "--max-tokens", "14", "--json").json
      #expect(run["text"] == "bc" && run["stop_reason"] == "eos")
    }
  }

  @Test func tokensWithoutARowAreNamed() async throws {
    try await TestData.withTemporaryFolder { folder in
      var chain = ChainCheckpoint()
      chain.rows = 12
      let model = try Self.write(chain, to: folder + "/m")
      #expect(try await Tool.run("run", model, "--prompt", "d", "--max-tokens", "2").status == 0)
      for arguments in [["run", model, "--prompt", "d<|im_end|>"], ["logits", model, "--ids", "0,13"]] {
        expectOneLine(try await Tool.run(arguments), status: 65, containing: "13", "im_end")
      }
      try TestData.write(
        Array(String(repeating: "abcd<|im_end|>", count: 40).utf8), to: folder + "/text.txt")
      expectOneLine(
        try await Tool.run("eval", model, "--suite", folder + "/text.txt", "--context", "16"), status: 65,
        containing: "13", "im_end")
      let seen = try await Tool.run("inspect", model, "--json").json
      #expect(seen["tokens"] == ["count": 14, "without_row": 2, "problem": nil])
    }
  }
}
