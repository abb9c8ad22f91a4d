import Foundation
import FurlBase
import FurlEvaluate
import FurlTensor
import FurlTestSupport
import Testing

/// What other programs read: JSON documents with keys that stay.
@Suite struct OutputTests {
  @Test func inspectHasItsKeys() async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("minipy-int4", into: folder)
      for path in [artifact, TestData.minipy] {
        let json = try await Tool.run("inspect", path, "--tensors", "--json").json
        for key in [
          "format_version", "artifact_id", "architecture", "layers", "parameters", "disk_bytes", "weight_bytes",
          "bits_per_weight", "recipe", "source", "tensors",
        ] { #expect(json.members?.contains { $0.key == key } == true, "\(path) \(key)") }
        let tensor = try #require(json["tensors"]?[0])
        for key in ["name", "role", "shape", "scheme", "bits_per_weight", "disk_bytes", "sha256"] {
          #expect(tensor[key] != nil, "\(path) \(key)")
        }
      }
      let file = try FileManager.default.attributesOfItem(atPath: artifact)[.size] as? NSNumber
      #expect(try await Tool.run("inspect", artifact, "--json").json["disk_bytes"]?.integer == file?.intValue)
    }
  }

  @Test func benchHasItsKeys() async throws {
    let result = try await Tool.run(
      "bench", TestData.minipy, "--rounds", "1", "--repeats", "2", "--prompt-tokens", "16", "--decode-tokens", "8",
      "--suite", "checkpoints/minipy/lines.yaml", "--limit", "5", "--json")
    #expect(result.status == 0, "\(result.errors)")
    let row = try #require(try result.json["results"]?[0])
    for key in [
      "path", "disk_bytes", "bits_per_weight", "peak_rss_bytes", "parameters", "load_seconds",
      "prefill_tokens_per_second", "decode_tokens_per_second", "samples_per_second", "energy", "threads", "quality",
    ] { #expect(row[key] != nil && row[key] != .null, "\(key)") }
    #expect(row["samples"]?["decode_tokens_per_second"]?["samples"]?.array?.count == 2)
    // Either joules were measured, or it is said why not.
    #expect(row["energy"]?["joules_per_token"] != nil || row["energy"]?["reason"]?.string?.isEmpty == false)
    #expect(row["quality"]?[0]?["exact_match"]?.number != nil)
  }

  @Test func evalKeepsAndScoresSamples() async throws {
    try await TestData.withTemporaryFolder { folder in
      let samples = folder + "/samples.jsonl"
      let first = try await Tool.run(
        "eval", TestData.minipy, "--suite", "checkpoints/minipy/lines.yaml", "--limit", "20", "--samples", samples,
        "--json")
      #expect(first.status == 0, "\(first.errors)")
      let again = try await Tool.run(
        "eval", TestData.minipy, "--suite", "checkpoints/minipy/lines.yaml", "--limit", "20", "--completions", samples,
        "--json")
      #expect(again.status == 0, "\(again.errors)")
      for key in ["exact_match", "edit_similarity"] {
        #expect(try first.json[key]?.number != nil)
        #expect(try first.json[key]?.number == again.json[key]?.number)
      }
      for key in ["suite", "protocol", "interval_95", "seconds", "results"] { #expect(try first.json[key] != nil) }
    }
  }

  @Test func evalResultsAreOfEvalPlussSuitesOnly() async throws {
    try await TestData.withTemporaryFolder { folder in
      let output = folder + "/eval_results.json"
      let refused = try await Tool.run(
        "eval", TestData.minipy, "--suite", "checkpoints/minipy/lines.yaml", "--eval-results", output)
      #expect(refused.status == 64 && refused.errors.contains("--eval-results"), "\(refused.errors)")
      #expect(!FileManager.default.fileExists(atPath: output))
    }
  }

  @Test func evalResultsJudgeBaseAndFurtherInputsApart() async throws {
    try await TestData.withTemporaryFolder { folder in
      let (problems, output) = (folder + "/problems.jsonl", folder + "/eval_results.json")
      let problem = """
        {"task_id": "HumanEval/7", "prompt": "def f(x):\\n    \\"\\"\\"Twice x plus 5.\\"\\"\\"\\n", "entry_point": "f", \
        "canonical_solution": "    return 2 * x + 5\\n", "base_input": [[1]], "plus\\u005finput": [[2]], "atol": 0}\n
        """
      try TestData.write(Array(problem.utf8), to: problems)
      let done = try await Tool.run(
        "eval", TestData.minipy, "--suite", problems, "--max-tokens", "8", "--eval-results", output)
      // Without a sandbox nothing is executed.
      guard done.status != 69 else { return }
      #expect(done.status == 0, "\(done.errors)")
      let document = try JSON.parse(TestData.bytes(output), file: output)
      let row = try #require(document["eval"]?["HumanEval/7"]?[0])
      // The model does not know it, and both have a verdict all the same.
      #expect(row["base_status"] == "fail" && row["plus_status"] == "fail", "\(row)")
      #expect(row["plus_fail_tests"] == [[2]] || row["plus_fail_tests"] == [])
      let refused = try await Tool.run(
        "eval", TestData.minipy, "--suite", problems, "--samples", output, "--eval-results", output)
      #expect(refused.status == 64 && refused.errors.contains("a file each"), "\(refused.errors)")
    }
  }

  @Test func logitsAreThoseOfTransformers() async throws {
    let path = TestData.root + "/Tests/Fixtures/minipy/expected-logits.json"
    let expected = try #require(try JSON.parse(TestData.bytes(path), file: path)["cases"]?[0])
    let ids = try #require(expected["input_ids"]?.array).compactMap(\.integer)
    let list = ids.map(String.init).joined(separator: ",")
    let wanted = try #require(expected["last_logits"]?.array).compactMap(\.number)
    for isa in Kernels.supported {
      let json = try await Tool.run("logits", TestData.minipy, "--ids", list, "--json", environment: ["FURL_ISA": isa])
        .json
      let logits = try #require(json["logits"]?.array).compactMap(\.number)
      #expect(logits.count == wanted.count)
      #expect(zip(logits, wanted).allSatisfy { abs($0 - $1) <= 1e-3 }, "\(isa)")
    }
    let all = try await Tool.run("logits", TestData.minipy, "--ids", list, "--all", "--json").json
    #expect(all["logits"]?.array?.count == ids.count)
    let text = try #require(expected["text"]?.string)
    let tokens = try await Tool.run("tokenize", TestData.minipy, "--json", input: text).json
    #expect(tokens["ids"]?.array?.compactMap(\.integer) == ids)
    #expect(tokens["pieces"]?.array?.count == ids.count)
  }

  @Test(.enabled(if: TestData.shared != nil, "needs the shared fixtures (FURL_SHARED)"))
  func logitsNeedNoTokenizer() async throws {
    let folder = try #require(TestData.shared) + "/fixtures/starcoder2"
    let cases = try #require(try JSON.parse(TestData.bytes(folder + "/expected.json"), file: nil)["cases"]?.array)
    let ids = try #require(cases[1]["input_ids"]?.array).compactMap(\.integer).map(String.init)
    let wanted = try #require(cases[1]["last_logits"]?.array).compactMap(\.number)
    let result = try await Tool.run("logits", folder, "--ids", ids.joined(separator: ","), "--json")
    let logits = try #require(try result.json["logits"]?.array).compactMap(\.number)
    #expect(logits.count == wanted.count && !wanted.isEmpty)
    #expect(zip(logits, wanted).allSatisfy { abs($0 - $1) <= 1e-3 })
  }

  @Test func runStopsAndRepeatsItself() async throws {
    let prompt = "def add_all(values):\n    \"\"\"Return the sum of the values.\"\"\""
    let piped = try await Tool.run("run", TestData.minipy, "--prompt", "-", "--max-tokens", "24", input: prompt)
    #expect(piped.status == 0)
    let given = try await Tool.run("run", TestData.minipy, "--prompt", prompt, "--max-tokens", "24")
    #expect(piped.output == given.output)
    #expect(given.output.contains("return"))
    let stopped = try await Tool.run("run", TestData.minipy, "--prompt", prompt, "--stop", "return", "--json")
    #expect(try stopped.json["stop_reason"]?.string == "stop_string")
    #expect(try stopped.json["text"]?.string?.contains("return") == false)
    func draw(_ seed: String) async throws -> String {
      try await Tool.run(
        "run", TestData.minipy, "--prompt", "def ", "--max-tokens", "24", "--temperature", "1.5", "--seed", seed
      ).output
    }
    #expect(try await draw("1") == draw("1"))
    #expect(try await draw("1") != draw("2"))
  }
}
