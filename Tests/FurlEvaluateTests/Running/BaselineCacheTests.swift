import FurlTensor
import FurlBase
@testable import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

/// Results of baselines that are kept: never another verdict, never a damaged result.
@Suite struct BaselineCacheTests {
  private func run(
    _ artifact: String, _ checkpoint: String, _ cache: BaselineCache?, labels: Labels = Labels()
  ) async throws -> GateReport {
    try await Verification(
      artifact: artifact, gates: nil, suites: [], baseline: checkpoint, context: Running.context(), format: nil
    ).run(.init(isComplete: true, cache: cache)) { label in
      labels.found.append(label)
      return Evaluator()
    }
  }

  /// Which runs were asked for.
  private final class Labels { var found: [String] = [] }

  private static let gates: JSON = [["suite": "tiny", "metric": "exact_match", "max_drop": 0.2]]

  @Test func keptResultsChangeNothing() async throws {
    // Five blocks are right about some lines and wrong about others.
    try await Running.withCheckpoint(blocks: 5, lines: 8) { folder, checkpoint in
      let artifact = folder + "/a.furl"
      try Running.writeArtifact(of: checkpoint, to: artifact, gates: Self.gates, scheme: .int4(.columns(32)))
      let cache = BaselineCache(folder: folder + "/cache/deep", build: "1")
      let measured = try await run(artifact, checkpoint, nil)
      let labels = Labels()
      let stored = try await run(artifact, checkpoint, cache, labels: labels)
      #expect(labels.found == ["tiny", "tiny of the baseline"] && stored.savings.cachedBaselines.isEmpty)
      let files = try FileManager.default.contentsOfDirectory(atPath: cache.folder)
      #expect(files.count == 1)
      let kept = try await run(artifact, checkpoint, cache, labels: labels)
      #expect(labels.found.count == 3 && kept.savings.cachedBaselines == ["tiny"] && kept.savings.cachedSeconds > 0)
      #expect(kept.checks == measured.checks && stored.checks == measured.checks)
      // Another build, another suite and another protocol were not measured.
      let other = try await run(artifact, checkpoint, BaselineCache(folder: cache.folder, build: "2"))
      #expect(other.savings.cachedBaselines.isEmpty && other.checks == measured.checks)
      try Running.writeLines(8, named: "tiny", in: checkpoint, maxTokens: 12)
      #expect(try await run(artifact, checkpoint, cache).savings.cachedBaselines.isEmpty)
      try Running.writeLines(7, named: "tiny", in: checkpoint)
      #expect(try await run(artifact, checkpoint, cache).savings.cachedBaselines.isEmpty)
      try Running.writeLines(8, named: "tiny", in: checkpoint)
      // A file that was damaged anywhere counts as missing, and is written anew.
      let path = cache.folder + "/" + files[0]
      let whole = try TestData.bytes(path)
      let text = String(decoding: whole, as: UTF8.self)
      let wrong = [
        text.replacing("\"exact\":false", with: "\"exact\":true", maxReplacements: 1), String(text.dropLast(9)), "",
        "[]",
        text.replacing("\"form\":2", with: "\"form\":1"),
        text.replacing("\"completions\":[\"", with: "\"completions\":[\"x"),
        text.replacing("\"id\":1,", with: "\"id\":99,"),
      ]
      for damaged in wrong {
        #expect(damaged != text)
        try TestData.write(Array(damaged.utf8), to: path)
        let found = try await run(artifact, checkpoint, cache)
        #expect(found.savings.cachedBaselines.isEmpty && found.checks == measured.checks)
        // Only the time that it took is another one.
        #expect(try TestData.bytes(path).count > damaged.utf8.count / 2)
        #expect(try await run(artifact, checkpoint, cache).savings.cachedBaselines == ["tiny"])
      }
      // A cache that cannot be written is none.
      try TestData.write([], to: folder + "/file")
      let nowhere = try await run(artifact, checkpoint, BaselineCache(folder: folder + "/file/x", build: "1"))
      #expect(nowhere.checks == measured.checks)
    }
  }

  /// What somebody else could have written is measured again, and that is said.
  @Test func whatOthersCouldHaveWrittenIsNotBelieved() async throws {
    final class Notices: @unchecked Sendable { var found: [String] = [] }
    try await Running.withCheckpoint(blocks: 5, lines: 8) { folder, checkpoint in
      let artifact = folder + "/a.furl"
      try Running.writeArtifact(of: checkpoint, to: artifact, gates: Self.gates)
      let (root, place, notices) = (folder + "/cache", folder + "/cache/kept", Notices())
      let cache = BaselineCache(folder: place, build: "1") { notices.found.append($0) }
      let honest = try await run(artifact, checkpoint, cache)
      let file = place + "/" + (try #require(FileManager.default.contentsOfDirectory(atPath: place).first))
      #expect(try await run(artifact, checkpoint, cache).savings.cachedBaselines == ["tiny"] && notices.found.isEmpty)
      for (path, wrong, right) in [
        (file, mode_t(0o666), mode_t(0o600)), (place, 0o770, 0o700), (root, 0o777, 0o700),
      ] {
        notices.found = []
        #expect(chmod(path, wrong) == 0)
        let again = try await run(artifact, checkpoint, cache)
        #expect(again.savings.cachedBaselines.isEmpty && again.checks == honest.checks)
        let name = "/\(path.split(separator: "/").last ?? "")"
        #expect(notices.found.first?.contains(name + " can be written to by others") == true, "\(notices.found)")
        // A file is written anew; a folder is left as it is.
        if path != file { #expect(chmod(path, right) == 0) }
        #expect(try await run(artifact, checkpoint, cache).savings.cachedBaselines == ["tiny"])
      }
    }
  }

  /// A report whose limit, outcomes or size forbid it is not kept; the oldest go when there are too many.
  @Test func whatIsKept() throws {
    try TestData.withTemporaryFolder { folder in
      func files() throws -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder + "/c")) ?? []
      }
      let cache = BaselineCache(folder: folder + "/c", build: "1")
      let report = try Made.programs([true, false, true])
      func key(_ number: Int) -> BaselineCache.BaselineKey { .init(json: ["n": .integer(number)]) }
      cache.store(.init(report: try Made.programs([true], of: 4), completions: [:]), for: key(0))
      var slow = report
      var items = try #require(slow.results.programs)
      items[1].outcome = .timeout
      slow.results = .programs(items)
      cache.store(.init(report: slow, completions: [:]), for: key(0))
      #expect(try files().isEmpty)
      cache.store(.init(report: report, completions: [:]), for: key(0))
      #expect(try files() == [key(0).name])
      let size = try TestData.bytes(folder + "/c/" + key(0).name).count
      let small = BaselineCache(folder: folder + "/c", build: "1", limit: size * 2 + size / 2)
      for number in 1...4 {
        // File systems keep times with their own precision.
        for (age, name) in try files().sorted().enumerated() {
          try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -1000 + Double(age))], ofItemAtPath: folder + "/c/" + name)
        }
        small.store(.init(report: report, completions: [:]), for: key(number))
        #expect(try files().contains(key(number).name) && files().count <= 2)
      }
      let tiny = BaselineCache(folder: folder + "/c", build: "1", limit: 10)
      tiny.store(.init(report: report, completions: [:]), for: key(9))
      #expect(try !files().contains(key(9).name))
    }
  }

  @Test func whereItLies() {
    #expect(BaselineCache.usualFolder(["XDG_CACHE_HOME": "/x", "HOME": "/h"]) == "/x/furl/baselines")
    #expect(BaselineCache.usualFolder(["XDG_CACHE_HOME": "x", "HOME": "/h"]) == "/h/.cache/furl/baselines")
    #expect(BaselineCache.usualFolder(["HOME": ""]) == nil && BaselineCache.usualFolder([:]) == nil)
  }
}
