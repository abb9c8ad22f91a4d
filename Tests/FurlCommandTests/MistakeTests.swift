import Foundation
import FurlTestSupport
import Testing

/// What people type and mean otherwise. Each is refused by one line that names what is wrong and the cure.
@Suite struct MistakeTests {
  /// A mistake: what is typed (`M` is minipy, `F` a folder), the status, and words of the cure.
  struct Mistake: Sendable, CustomTestStringConvertible {
    let line: String
    let status: Int32
    let cure: [String]

    init(_ line: String, _ status: Int32, _ cure: String...) {
      (self.line, self.status, self.cure) = (line, status, cure)
    }

    var testDescription: String { line }
  }

  static let mistakes: [Mistake] = [
    // Commands.
    Mistake("comprss M", 64, "did you mean compress?"),
    Mistake("frobnicate M", 64, "there are: compress, inspect"),
    Mistake("quantize M", 64, "did you mean furl compress?"),
    Mistake("chat M", 64, "furl run --chat"),
    Mistake("version", 64, "furl --version"),
    Mistake("verfiy a.furl", 64, "did you mean verify?"),
    Mistake("compress M --recipe int8 --ouput F/a.furl", 64, "did you mean --output?"),
    // Options.
    Mistake("compress M --recipe int8", 64, "--output is missing"),
    Mistake("compress M --recip int8 --output F/a.furl", 64, "--recipe"),
    Mistake("compress M --recipe int8 --output F/a.furl --threads 0", 64, "1 to 1024"),
    Mistake("compress M --recipe int8 --output F/a.furl --threads -4", 64, "1 to 1024"),
    Mistake("compress M --recipe int8 --output F/a.furl --sample", 64, "--plan"),
    Mistake("run M --prompt x --temperature -1", 64, "0 or more"),
    Mistake("run M --prompt x --seed -1", 64, "--seed"),
    Mistake("run M --prompt x --top-p 1.5", 64, "at most 1"),
    Mistake("run M --prompt x --max-tokens -5", 64, "must not be negative"),
    Mistake("run M --prompt x --kv fp16", 64, "f16"),
    Mistake("run M", 64, "--prompt <prompt> is missing", "as in: furl run"),
    Mistake("run M def", 64, "as in: furl run"),
    Mistake("tokenize M def", 64, "as in: furl tokenize"),
    Mistake("cache clear", 64, "did you mean --clear?"),
    Mistake("run M --prompt x --seed abc", 64, "--seed: "),
    Mistake("compress M --recipe int8 --output F/a.furl --threads max", 64, "--threads: "),
    Mistake("data lines", 64, "as in: furl data lines --source"),
    Mistake("logits M --ids 1,-2", 65, "-2"),
    Mistake("export M --format onnx --output F/a", 64, "gguf"),
    Mistake("synth --model starcoder2 --output F/s", 64, "starcoder2-3b"),
    Mistake("recipes int9", 64, "did you mean"),
    Mistake("init M --output F/there", 73, "--force"),
    // Paths.
    Mistake("inspect F/none", 65, "does not exist"),
    Mistake("inspect recipes", 65, "config.json"),
    Mistake("inspect M/model.safetensors --check", 64, "artifact"),
    Mistake("compress M --recipe int44 --output F/a.furl", 65, "did you mean int4?"),
    Mistake("compress M --recipe F/none.yaml --output F/a.furl", 65, "furl recipes"),
    Mistake("compress M --recipe int8 --output F/none/a.furl", 73, "F/none"),
    Mistake("compress M --recipe int8 --output M/config.json", 64, "another name"),
    Mistake("compress meta-llama/Llama-3.2-1B --recipe int8 --output F/a.furl", 65, "download"),
    Mistake("compress https://huggingface.co/a/b --recipe int8 --output F/a.furl", 65, "hf download a/b --local-dir"),
    Mistake("compress M --recipe 4bit --output F/a.furl", 65, "did you mean int4?"),
    Mistake("compress M --recipe Q4_K_M --output F/a.furl", 65, "did you mean gguf-q4_k_m?"),
    Mistake("eval M --suite minieval", 65, "did you mean", "minieval.yaml?"),
    Mistake("eval M --suite M/minival.yaml", 65, "minieval.yaml?"),
    Mistake("check int8", 65, "furl recipes int8"),
    // What is there, and is something else.
    Mistake("compress M --recipe gates/minipy.yaml --output F/a.furl", 65, "this is a gate file", "furl recipes"),
    Mistake("sweep recipes/int8.yaml", 65, "this is a recipe", "sweeps/"),
    Mistake("sweep gates/minipy.yaml", 65, "this is a gate file", "sweeps/"),
    Mistake("sweep F/slip.yaml", 65, "line 3: recipe: unknown key", "did you mean recipes?"),
    Mistake("eval M --suite recipes/int8.yaml", 65, "this is a recipe, and a suite card is expected"),
    Mistake("report gates/minipy.yaml", 65, "write reports"),
    Mistake("report M/model.safetensors", 65, "is a safetensors file", "write reports"),
    Mistake("sweep M", 65, "is a folder"),
    // Documents.
    Mistake("check F/key.yaml", 65, "line 5", "did you mean block?"),
    Mistake("check F/word.yaml", 65, "line 4", "did you mean int4?"),
    Mistake("check F/later.yaml", 65, "not supported yet", "allowed: int8, "),
    Mistake("check F/role.yaml", 65, "did you mean mlp.down?"),
    Mistake("check F/tab.yaml", 65, "line 4", "tab"),
    Mistake("check F/order.yaml", 65, "quantize what is left"),
    Mistake("check F/loose.yaml", 65, "loose"),
    Mistake("check README.md", 65, "README.md"),
    Mistake("compress M --recipe F/match.yaml --output F/a.furl", 65, "matches no tensor", "did you mean mlp.down?"),
    Mistake("compress M --recipe F/blocks.yaml --output F/a.furl", 65, "6 blocks"),
    Mistake("compress M --recipe F/method.yaml --output F/a.furl", 65, "add calibration"),
    // Verdicts.
    Mistake("verify M", 64, "not an artifact"),
    Mistake("eval M --suite F/none.jsonl", 65, "does not exist"),
    Mistake("eval M --suite checkpoints/minipy/lines.yaml --limit 0", 64, "1 or more"),
  ]

  private static let documents = [
    "key": "furl: 1\nrecipe: x\nsteps:\n  - quantize:\n      blok: 32\n      weights: int8\n",
    "word": "furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: in4}\n",
    "slip": "furl: 1\nsweep: x\nrecipe: [int8]\n",
    "later": "furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: fp8}\n",
    "role": "furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: int8, keep: [norm, bias, mlp.dwn]}\n",
    "tab": "furl: 1\nrecipe: x\nsteps:\n\t- quantize: {weights: int8}\n",
    "order": "furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: int8}\n  - prune: {sparsity: 0.5}\n"
      + "calibration: {text: bundled}\n",
    "loose": "furl: 1\ngates:\n  - {suite: a, metric: pass_at_1, max_drop: 0.9}\n",
    "match": "furl: 1\nrecipe: x\nsteps:\n  - quantize:\n      weights: int8\n      overrides:\n"
      + "        - {match: blocks.0.mlp.dwon, weights: int4}\n",
    "blocks": "furl: 1\nrecipe: x\nsteps:\n  - quantize:\n      weights: int8\n      overrides:\n"
      + "        - {match: blocks.7.mlp.down, weights: int4}\n",
    "method": "furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: int4, method: gptq}\n",
  ]

  @Test(arguments: mistakes)
  func namesTheCure(_ mistake: Mistake) async throws {
    try await TestData.withTemporaryFolder { folder in
      for (name, text) in Self.documents { try TestData.write(Array(text.utf8), to: "\(folder)/\(name).yaml") }
      try FileManager.default.createDirectory(atPath: folder + "/there", withIntermediateDirectories: true)
      try TestData.write([], to: folder + "/there/recipe.yaml")
      let words = mistake.line.split(separator: " ").map { word -> String in
        if word == "M" || word.hasPrefix("M/") { return TestData.minipy + word.dropFirst() }
        return word.hasPrefix("F/") ? folder + word.dropFirst() : String(word)
      }
      let result = try await Tool.run(words)
      #expect(result.status == mistake.status && result.output.isEmpty, "\(result.status) \(result.errors)")
      #expect(result.errors.hasPrefix("furl: ") && result.errors.count { $0 == "\n" } == 1, "\(result.errors)")
      for word in mistake.cure {
        let wanted = word.hasPrefix("F/") ? folder + word.dropFirst() : word
        #expect(result.errors.contains(wanted), "\(result.errors)")
      }
      #expect(!FileManager.default.fileExists(atPath: folder + "/a.furl"))
    }
  }
}
