import FurlSpec
import FurlBase
import FurlEvaluate
@testable import FurlReport
import FurlTestSupport
import Foundation
import Testing

@Suite struct SweepPlanTests {
  private func plan(_ text: String, in folder: String) throws -> SweepPlan {
    try TestData.write(Array(("furl: 1\nsweep: s\n" + text).utf8), to: folder + "/s.yaml")
    return try SweepPlan(path: folder + "/s.yaml")
  }

  private static let head =
    "checkpoints: [{name: m, path: \(TestData.minipy)}]\nmeasure: none\nsuites: [\"checkpoint:lines.yaml\"]\n"

  /// What `sweeps/` ships is sound, recipes and all.
  @Test(arguments: ["poster", "paper", "cuts", "experts"]) func published(_ name: String) throws {
    let plan = try SweepPlan(path: TestData.root + "/sweeps/\(name).yaml")
    #expect(plan.name == name && plan.subjects.isEmpty && plan.speed != nil)
    #expect(plan.series[0].steps[0].recipe == nil)
  }

  @Test func cellsAreCheckpointsTimesRecipesTimesSeeds() throws {
    try TestData.withTemporaryFolder { folder in
      let recipes = TestData.root + "/recipes"
      let plan = try plan(
        Self.head + """
          seeds: [3, 5]
          recipes:
            - {recipe: original}
            - {recipe: \(recipes)/minipy-gptq4.yaml}
            - {recipe: \(recipes)/minipy-int8.yaml, remove_blocks: {from: 2, to: 7}}
          """, in: folder)
      let chains = try plan.chains(in: SweepFolder(path: folder + "/out"))
      // Seeds are for what is drawn.
      #expect(chains.map(\.cells.count) == [1, 1, 1, 6])
      #expect(
        chains.flatMap(\.cells).map(\.name).prefix(4) == [
          "m original", "m minipy-gptq4 seed 3", "m minipy-gptq4 seed 5", "m minipy-int8-drop2",
        ])
      #expect(chains[3].cells.map { $0.excuse != nil } == [false, false, false, false, true, true])
      let ids = chains.flatMap(\.cells).map(\.id)
      #expect(Set(ids).count == ids.count)
      // The same file gives the same cells; another limit gives others.
      #expect(try plan.chains(in: SweepFolder(path: folder + "/out2")).flatMap(\.cells).map(\.id) == ids)
      let limited = try self.plan(
        Self.head + "limit: 3\nrecipes: [{recipe: original}]\n", in: folder)
      #expect(try limited.chains(in: SweepFolder(path: folder + "/out"))[0].cells[0].id != ids[0])
      let seeded = try #require(chains[1].cells[0].step.recipe)
      #expect(try seeded.recipe(seed: 77).calibration?.seed == 77)
    }
  }

  /// Problems that may be missing are left out, and shapes with random weights are spared published ones. A card may not be.
  @Test func suitesThatAreGiven() throws {
    try TestData.withTemporaryFolder { folder in
      try TestData.write(Array("{\"input\": \"a\", \"gt\": \"b\"}".utf8), to: folder + "/p.jsonl")
      let digest = try Suite(path: folder + "/p.jsonl").sha256.hex
      for (name, file) in [("here", "p.jsonl"), ("gone", "q.jsonl")] {
        let card = "furl: 1\nsuite: \(name)\nfile: \(file)\nsha256: \(digest)\nkind: lines\n"
        try TestData.write(Array(card.utf8), to: folder + "/\(name).yaml")
      }
      let rest = "measure: {}\nrecipes: [{recipe: original}]\ncheckpoints: [{name: m, path: \(TestData.minipy)}]\n"
      let plan = try plan("suites: [\"given:here.yaml\", \"given:gone.yaml\"]\n" + rest, in: folder)
      #expect(try plan.suites(of: plan.subjects[0], at: TestData.minipy).map(\.name) == ["here"])
      #expect(plan.filesRead.contains(folder + "/here.yaml") && plan.filesRead.contains(folder + "/p.jsonl"))
      let shape = try SweepPlan.subject(argument: "s=synth:codegpt/1")
      #expect(try plan.suites(of: shape, at: TestData.minipy).isEmpty)
      let wrong = try self.plan("suites: [\"given:none.yaml\"]\n" + rest, in: folder)
      #expect(throws: FurlError.self) { try wrong.suites(of: wrong.subjects[0], at: TestData.minipy) }
    }
  }

  /// A cell whose samples, or whose own figures, are not what they were has not ended.
  @Test(arguments: ["cut", "empty", "junk", "missing", "other", "figure", "unlisted"])
  func aCellWithDamagedSamplesIsNotDone(_ harm: String) throws {
    try TestData.withTemporaryFolder { (folder: String) throws in
      let plan = try plan(Self.head + "recipes: [{recipe: original}]\n", in: folder)
      let place = try SweepFolder(path: folder + "/out")
      let cell = try plan.chains(in: place)[0].cells[0]
      let (text, path) = ("{\"id\": 1}\n{\"id\": 2}\n", place.samples(cell, suite: "lines"))
      func save(_ samples: [JSON.Member]) throws {
        try place.write(text, to: path)
        try place.save(
          cell, [.init("state", "done"), .init("samples", .object(samples)), .init("result", ["exact_match": 0.5])])
      }
      try save([.init("lines", .string(Digest(of: text.utf8).hex))])
      #expect(place.result(cell)?["result"]?["exact_match"] == 0.5)
      let file = folder + "/out/cells/\(cell.id).json"
      switch harm {
      case "cut": try TestData.write(Array(text.utf8.dropLast(7)), to: path)
      case "empty": try TestData.write([], to: path)
      case "junk": try TestData.write([0xFF, 0x7B, 0x5D], to: path)
      case "missing": unlink(path)
      case "other": try TestData.write(Array(text.replacing("2", with: "3").utf8), to: path)
      case "figure":
        let whole = String(decoding: try TestData.bytes(file), as: UTF8.self)
        try TestData.write(Array(whole.replacing("0.5", with: "0.6").utf8), to: file)
      default:
        // As an earlier version kept it.
        try place.save(cell, [.init("state", "done"), .init("result", ["exact_match": 0.5])])
      }
      #expect(place.result(cell) == nil)
      // A failure has no samples.
      try place.save(cell, [.init("state", "failed"), .init("reason", "x"), .init("status", 65)])
      #expect(place.result(cell)?["reason"] == "x")
    }
  }

  @Test func aCutRecipeIsTheRecipeBehindATruncation() throws {
    let base = try SweepRecipe(path: TestData.root + "/recipes/minipy-int8.yaml")
    let cut = try SweepRecipe(base, after: SweepCut().step(2), named: "-drop2").recipe(seed: 0)
    let published = try SweepRecipe(path: TestData.root + "/recipes/minipy-drop2-int8.yaml").recipe(seed: 0)
    #expect(cut.name == "minipy-int8-drop2" && cut.json["steps"] == published.json["steps"])
    #expect(try SweepRecipe(nil, after: SweepCut().step(1), named: "-drop1").recipe(seed: 0).steps.count == 1)
  }

  @Test func aCutSaysWhichBlocksGoAndWhatTakesTheirPlace() throws {
    try TestData.withTemporaryFolder { folder in
      let plan = try plan(
        Self.head + """
          recipes:
            - {recipe: original}
            - recipe: original
              remove_blocks: {from: 1, to: 2, choose: kl, heal: linear, calibration: {text: bundled, samples: 9, length: 64}}
            - {recipe: original, remove_blocks: {from: 1, to: 1, choose: angular}}
          """, in: folder)
      #expect(plan.series[1].steps.map(\.name) == ["original-drop1-kl-linear", "original-drop2-kl-linear"])
      #expect(plan.series[2].steps.map(\.name) == ["original-drop1-angular"])
      let recipe = try #require(plan.series[1].steps[1].recipe).recipe(seed: 4)
      #expect(
        recipe.json["steps"]?[0]?["truncate"]?["choose"]?.string == "kl"
          && recipe.json["steps"]?[0]?["truncate"]?["heal"]?.string == "linear"
          && recipe.json["steps"]?[0]?["truncate"]?["blocks"]?.integer == 2)
      #expect(recipe.calibration?.seed == 4)
      // A recipe's own calibration stays.
      let base = try SweepRecipe(path: TestData.root + "/recipes/minipy-gptq4.yaml")
      var cut = SweepCut()
      cut.choose = "kl"
      #expect(
        try SweepRecipe(base, after: cut.step(1), named: "-kl", calibration: SweepText()).recipe(seed: 0)
          .json["calibration"]
          == base.recipe(seed: 0).json["calibration"])
      #expect(throws: FurlError.self) {
        try self.plan(
          Self.head + "recipes: [{recipe: original, remove_blocks: {from: 1, to: 2, choose: first}}]\n", in: folder)
      }
    }
  }

  @Test func aSeriesRemovesExpertsOfModelsThatHaveThem() throws {
    try TestData.withTemporaryFolder { folder in
      let head =
        "checkpoints: [{name: m, path: \(TestData.minipy)}, {name: moe, path: \(TestData.root)/checkpoints/minimoe}]\n"
        + "measure: none\nsuites: [\"checkpoint:lines.yaml\"]\nrecipes: [{recipe: original, remove_experts: "
      func experts(_ keys: String) throws -> SweepPlan { try self.plan(head + "{\(keys)}}]\n", in: folder) }
      let plan = try experts("from: 2, to: 7, of: 8, choose: reap, refit: none, calibration: {samples: 9}")
      #expect(plan.series[0].steps[0].name == "original-experts2-reap-none")
      let recipe = try #require(plan.series[0].steps[1].recipe).recipe(seed: 4)
      let step = try #require(recipe.json["steps"]?[0]?["prune"])
      #expect(step["sparsity"]?.number == 0.375 && step["choose"]?.string == "reap" && step["refit"]?.string == "none")
      #expect(recipe.calibration?.seed == 4 && recipe.calibration?.samples == 9)
      let chains = try plan.chains(in: SweepFolder(path: folder + "/out"))
      // minimoe takes two of eight experts for a token; minipy has none.
      #expect(chains[0].cells.allSatisfy { $0.excuse == "m has no blocks with 8 experts" })
      #expect(
        chains[1].cells.map(\.excuse) == Array(repeating: nil, count: 5) + ["moe takes 2 experts for a token"])
      for wrong in ["from: 1, to: 8, of: 8", "to: 2", "from: 3, to: 2, of: 8", "to: 2, of: 8, choose: lasso"] {
        #expect(throws: FurlError.self) { try experts(wrong) }
      }
      #expect(throws: FurlError.self) {
        try experts("to: 2, of: 8}, remove_blocks: {from: 1, to: 2")
      }
    }
  }

  @Test func anotherRunIsKeptOut() throws {
    try TestData.withTemporaryFolder { path in
      let folder = try SweepFolder(path: path)
      try folder.lock()
      let error = #expect(throws: FurlError.self) { try folder.lock() }
      #expect(error?.kind == .usage)
      folder.note("one")
      // What a crash has cut off does not swallow what comes next.
      let journal = path + "/journal.jsonl"
      try TestData.write(TestData.bytes(journal) + Array("{\"at\":1,\"ev".utf8), to: journal)
      folder.note("two")
      let lines = try TestData.bytes(journal).split(separator: 10).map { try? JSON.parse(Array($0), file: nil) }
      #expect(lines.map { $0?["event"]?.string } == ["one", nil, "two"])
    }
  }

  // MARK: Slurm

  @Test func whatSlurmIsAskedFor() throws {
    #expect(SlurmExecutor.ranges([]) == "" && SlurmExecutor.ranges([4]) == "4")
    #expect(SlurmExecutor.ranges([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8")
    #expect(SlurmExecutor.quoted("a b'c$(x)") == "'a b'\\''c$(x)'")
    try TestData.withTemporaryFolder { folder in
      let plan = try plan(
        Self.head + """
          recipes: [{recipe: original}]
          slurm: {partition: main, account: a1, throttle: 2, cpus: 4, memory: 8G, time: "01:30:00"}
          """, in: folder)
      let sweep = try Sweep(
        plan, in: SweepFolder(path: folder + "/out"), executable: "/x y/furl", arguments: ["sweep", "it's"])
      let slurm = SlurmExecutor(sweep)
      #expect(
        slurm.arrayOptions([0, 1, 2]) == [
          "--array", "0-2%2", "--ntasks", "1", "--requeue", "--partition", "main", "--account", "a1", "--cpus-per-task",
          "4", "--mem", "8G", "--time", "01:30:00",
        ])
      let script = slurm.script(["--chain", "$SLURM_ARRAY_TASK_ID"])
      #expect(script.hasPrefix("#!/bin/bash\n"))
      #expect(script.contains("exec '/x y/furl' 'sweep' 'it'\\''s' --chain \"$SLURM_ARRAY_TASK_ID\"\n"))
    }
  }
}
