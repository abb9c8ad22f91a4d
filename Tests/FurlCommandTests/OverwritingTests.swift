import Foundation
import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlTestSupport
import Testing

/// No command writes over what it reads, whatever the name.
@Suite struct OverwritingTests {
  private func expectRefusal(_ arguments: [String], keeps file: String) async throws {
    let before = try TestData.bytes(file)
    let result = try await Tool.run(arguments)
    #expect(result.status == 64, "\(arguments): \(result)")
    #expect(
      result.errors.contains("which this command reads") && result.errors.split(separator: "\n").count == 1,
      "\(result.errors)")
    #expect(try TestData.bytes(file) == before)
  }

  @Test func outputsAreNoInputs() async throws {
    try await TestData.withTemporaryFolder { folder in
      let lines = folder + "/l.jsonl"
      let given = folder + "/c.jsonl"
      try TestData.write(Array("{\"id\": 0, \"input\": \"a\", \"gt\": \"b\"}\n".utf8), to: lines)
      try TestData.write(Array("{\"id\": 0, \"completion\": \"b\"}\n".utf8), to: given)
      let manager = FileManager.default
      try manager.createSymbolicLink(atPath: folder + "/soft", withDestinationPath: given)
      try manager.linkItem(atPath: lines, toPath: folder + "/hard")
      let eval = ["eval", "--suite", lines, "--completions", given, "--samples"]
      for output in [given, folder + "/./c.jsonl", folder + "/soft"] {
        try await expectRefusal(eval + [output], keeps: given)
      }
      for output in [lines, folder + "/hard"] { try await expectRefusal(eval + [output], keeps: lines) }
      #expect(try await Tool.run(eval + [folder + "/new"]).status == 0)
      #expect(try await Tool.run(eval + [folder + "/new"]).status == 0)
      let card = folder + "/card.yaml"
      let sha = try MappedFile(path: lines)
      try TestData.write(
        Array("furl: 1\nsuite: l\nfile: l.jsonl\nsha256: \(Digest(of: sha).hex)\nkind: lines\n".utf8), to: card)
      try await expectRefusal(["eval", "--suite", card, "--completions", given, "--samples", lines], keeps: lines)

      let report = folder + "/r.json"
      try TestData.write(
        Array(try await Tool.run(["eval", "--suite", lines, "--completions", given, "--json"]).output.utf8), to: report)
      try await expectRefusal(["report", report, "--html", report], keeps: report)
      try await expectRefusal(
        ["report", report, "--markdown", folder + "/../" + (folder as NSString).lastPathComponent + "/r.json"],
        keeps: report)

      let recipe = folder + "/int8.yaml"
      try TestData.write(
        Array("furl: 1\nrecipe: r\nsteps:\n  - quantize: {weights: int8, block: 32}\n".utf8), to: recipe)
      try await expectRefusal(["compress", TestData.minipy, "--recipe", recipe, "--output", recipe], keeps: recipe)
      let weights = TestData.minipy + "/config.json"
      try manager.createSymbolicLink(atPath: folder + "/config", withDestinationPath: weights)
      try await expectRefusal(
        ["compress", TestData.minipy, "--recipe", recipe, "--output", folder + "/config"], keeps: weights)
      try await expectRefusal(
        ["export", TestData.minipy, "--format", "gguf", "--output", folder + "/config"], keeps: weights)
      try await expectRefusal(["verify", recipe, "--gates", card, "--junit", card], keeps: card)
    }
  }

  /// A model of one block, a recipe, a few lines with completions, and reports on them.
  private func withModel(_ body: (_ folder: String) async throws -> Void) async throws {
    try await TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(1)
      try sample.write(to: folder + "/m")
      for (name, text) in [
        ("l.jsonl", "{\"id\": 0, \"input\": \"a\", \"gt\": \"b\"}\n"),
        ("c.jsonl", "{\"id\": 0, \"completion\": \"b\"}\n"),
        ("r.yaml", "furl: 1\nrecipe: r\nsteps:\n  - quantize: {weights: int8, block: 32}\n"),
        ("g.yaml", "furl: 1\ngates:\n  - {suite: l, metric: exact_match, min: 0.9}\n"),
      ] { try TestData.write(Array(text.utf8), to: folder + "/" + name) }
      try await body(folder)
    }
  }

  /// What a command leaves in its model's folder it may write again: none of it is read.
  @Test func commandsRunTwice() async throws {
    try await withModel { folder in
      let model = folder + "/m"
      let artifact = model + "/out.furl"
      let lines: [([String], Set<Int32>)] = [
        (["compress", model, "--recipe", folder + "/r.yaml", "-o", artifact], [0]),
        (["eval", model, "--suite", folder + "/l.jsonl", "--samples", model + "/samples.jsonl"], [0]),
        (
          [
            "bench", model, "--report", model + "/bench.json", "--rounds", "1", "--repeats", "1", "--prompt-tokens",
            "2",
            "--decode-tokens", "2", "--idle", "0",
          ], [0]
        ),
        (
          [
            "verify", artifact, "--baseline", model, "--gates", folder + "/g.yaml", "--suite", "l=\(folder)/l.jsonl",
            "--junit", model + "/gates.xml",
          ], [1]
        ),
        (["export", model, "--format", "gguf", "-o", model + "/m.gguf"], [0]),
      ]
      for (line, expected) in lines {
        for _ in 0..<2 {
          let result = try await Tool.run(line, environment: ["FURL_CACHE": "off", "GITHUB_ACTIONS": ""])
          #expect(expected.contains(result.status), "\(line): \(result.errors)")
        }
      }
    }
  }

  /// Of two outputs that are one file one would be lost, whether it is there already or not.
  @Test func outputsAreNoOutputs() async throws {
    try await withModel { folder in
      try FileManager.default.createSymbolicLink(atPath: folder + "/here", withDestinationPath: folder)
      try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "new")
      let report = folder + "/b.json"
      let evaluated = try await Tool.run(
        "eval", "--suite", folder + "/l.jsonl", "--completions", folder + "/c.jsonl", "--json")
      try TestData.write(Array(evaluated.output.utf8), to: report)
      for other in ["new", "./new", "here/new", "link", "here/../\((folder as NSString).lastPathComponent)/new"] {
        for line in [
          ["report", report, "--html", folder + "/new", "--markdown", folder + "/" + other],
          [
            "eval", "--suite", folder + "/l.jsonl", "--completions", folder + "/c.jsonl", "--samples", folder + "/new",
            "--eval-results", folder + "/" + other,
          ],
        ] {
          let result = try await Tool.run(line)
          #expect(result.status == 64, "\(other): \(result.errors)")
          #expect(!FileManager.default.fileExists(atPath: folder + "/new"))
        }
      }
      let apart = try await Tool.run(
        "report", report, "--html", folder + "/new", "--markdown", folder + "/here/other")
      #expect(apart.status == 0, "\(apart.errors)")
    }
  }

  /// What is read without being named: by a recipe, a card, an index, a part's name, a sweep.
  @Test func outputsAreNothingThatInputsName() async throws {
    try await withModel { folder in
      let model = folder + "/m"
      try TestData.write(Array("def f(): pass\n".utf8), to: folder + "/text.py")
      let named = "furl: 1\nrecipe: r\nsteps:\n  - quantize: {weights: int4, block: 32, method: gptq}\n"
      for text in ["text.py", folder, "checkpoint:text.py"] {
        try TestData.write(
          Array((named + "calibration: {text: \"\(text)\", samples: 1, length: 8}\n").utf8), to: folder + "/t.yaml")
        try TestData.write(Array("def f(): pass\n".utf8), to: model + "/text.py")
        let file = (text.hasPrefix("checkpoint") ? model : folder) + "/text.py"
        try await expectRefusal(["compress", model, "--recipe", folder + "/t.yaml", "-o", file], keeps: file)
      }
      let card = folder + "/card.yaml"
      let sha = Digest(of: try MappedFile(path: folder + "/l.jsonl")).hex
      try TestData.write(
        Array("furl: 1\nsuite: l\nfile: l.jsonl\nsha256: \(sha)\nkind: lines\n".utf8), to: card)
      for file in ["l.jsonl", "card.yaml", "m/model.safetensors", "m/tokenizer_config.json"] {
        try await expectRefusal(
          ["bench", model, "--suite", card, "--report", folder + "/" + file], keeps: folder + "/" + file)
      }
      // A text may begin as a JUnit file does; it stays all the same.
      let text = folder + "/x.txt"
      try TestData.write(Array("<?xml version=\"1.0\"?><testsuites/>".utf8), to: text)
      let digest = Digest(of: try MappedFile(path: text)).hex
      try TestData.write(
        Array("furl: 1\nsuite: x\nfile: x.txt\nsha256: \(digest)\nkind: text\n".utf8), to: folder + "/x.yaml")
      try await expectRefusal(
        ["verify", "none.furl", "--suite", "x=\(folder)/x.yaml", "--junit", text], keeps: text)

      let shards = folder + "/s"
      try FileManager.default.createDirectory(atPath: shards, withIntermediateDirectories: true)
      for name in try FileManager.default.contentsOfDirectory(atPath: model) where !name.hasSuffix(".safetensors") {
        try FileManager.default.copyItem(atPath: model + "/" + name, toPath: shards + "/" + name)
      }
      try FileManager.default.copyItem(
        atPath: model + "/model.safetensors", toPath: shards + "/model-00001-of-00001.safetensors")
      let map = try SafetensorsFile(path: model + "/model.safetensors").entries.map {
        "\"\($0.name)\": \"model-00001-of-00001.safetensors\""
      }
      let index = shards + "/model.safetensors.index.json"
      try TestData.write(Array("{\"weight_map\": {\(map.joined(separator: ","))}}".utf8), to: index)
      for name in [index, shards] {
        for file in ["model-00001-of-00001.safetensors", "config.json", "tokenizer.json"] {
          try await expectRefusal(
            ["export", name, "--format", "gguf", "-o", shards + "/" + file], keeps: shards + "/" + file)
        }
      }
      try await expectRefusal(
        ["export", shards, "--weights", "model.safetensors.index.json", "--format", "gguf", "-o", index], keeps: index)

      for part in 1...3 {
        let name = "starcoder2-0000\(part)-of-00003.gguf"
        try FileManager.default.copyItem(
          atPath: TestData.root + "/Tests/Fixtures/gguf/" + name, toPath: folder + "/" + name)
      }
      let second = folder + "/starcoder2-00002-of-00003.gguf"
      try await expectRefusal(
        ["export", folder + "/starcoder2-00001-of-00003.gguf", "--format", "gguf", "-o", second], keeps: second)
      let literals = folder + "/literals.jsonl"
      try TestData.write(Array("{\"str\": [], \"num\": []}".utf8), to: literals)
      try await expectRefusal(
        ["data", "lines", "--source", folder, "--literals", literals, "--output", literals], keeps: literals)
      try FileManager.default.createSymbolicLink(atPath: folder + "/link.jsonl", withDestinationPath: "text.py")
      try await expectRefusal(
        ["data", "lines", "--source", folder, "--output", folder + "/link.jsonl"], keeps: folder + "/text.py")
    }
  }

  @Test func sweepsKeepWhatTheyRead() async throws {
    try await withModel { folder in
      let sweep = folder + "/out/sweep.json"
      let text = """
        furl: 1
        sweep: s
        checkpoints: [{name: m, path: \(folder)/m}]
        recipes: [{recipe: original}]
        suites: [\(folder)/l.jsonl]
        measure: none
        """
      try FileManager.default.createDirectory(atPath: folder + "/out/work/m", withIntermediateDirectories: true)
      try TestData.write(Array(text.utf8), to: folder + "/s.yaml")
      try FileManager.default.createSymbolicLink(atPath: sweep, withDestinationPath: folder + "/s.yaml")
      try await expectRefusal(["sweep", folder + "/s.yaml", "--output", folder + "/out"], keeps: folder + "/s.yaml")
      unlink(sweep)
      let card = folder + "/out/work/m/l.jsonl"
      try TestData.write(try TestData.bytes(folder + "/l.jsonl"), to: card)
      let result = try await Tool.run("sweep", folder + "/s.yaml", "--suite", card, "--output", folder + "/out")
      #expect(result.status == 64 && result.errors.contains("is cleared by this command"), "\(result.errors)")
      #expect(FileManager.default.fileExists(atPath: card))
    }
  }
}
