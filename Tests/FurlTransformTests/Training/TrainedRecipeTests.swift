import FurlBase
import FurlArtifact
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Foundation
import Testing

/// Every published recipe that trains runs, in a few steps on a tiny model and text.
@Suite struct TrainedRecipeTests {
  @Test(arguments: PublishedRecipe.all.filter(\.isTrained)) func runs(_ expected: PublishedRecipe) throws {
    guard case .trained(let share) = expected.kind else { return }
    try TestData.withTemporaryFolder { folder in
      _ = try PublishedRecipeTests.write(Fixtures.gpt2, to: folder + "/model")
      try TrainingFixtures.write(to: folder + "/texts")
      for file in ["validation.txt", "calibration.txt"] {
        let text = TrainingFixtures.text(5, words: 3000)
        try TestData.write(Array(text.utf8), to: folder + "/model/" + file)
      }
      // The same recipe but for how long it trains, and on what.
      var lines = String(decoding: try TestData.bytes(Fixtures.recipes + "/\(expected.name).yaml"), as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      let small = ["steps:": "3", "length:": "24", "batch:": "2", "warmup:": "1", "samples:": "8", "multiple:": "4"]
      for index in lines.indices {
        for (key, value) in small {
          guard let range = lines[index].range(of: " " + key + " ") else { continue }
          lines[index] = lines[index][..<range.upperBound] + value
        }
        for text in ["functions", "normal"] {
          lines[index] = lines[index].replacingOccurrences(
            of: "../.build/text/\(text).txt", with: folder + "/texts/train.txt")
        }
      }
      try TestData.write(Array(lines.joined(separator: "\n").utf8), to: folder + "/r.yaml")
      let recipe = try Recipe(path: folder + "/r.yaml")
      let source = try Checkpoint(folder: folder + "/model")
      let compressor = try Compressor(source, recipe: recipe)
      let result = try compressor.write(to: folder + "/a.furl", pool: WorkerPool(threads: 2))
      try Artifact(path: folder + "/a.furl").check()
      let details = try Artifact(path: folder + "/a.furl").description.recipe.details
      #expect(expected.isTuned ? details["tuning"] != nil : result.changes.last?["step"]?.string == "heal")
      let spec = try ArtifactWeights(Artifact(path: folder + "/a.furl")).spec
      #expect(spec.blocks.count == source.spec.blocks.count - expected.removed)
      #expect(Double(spec.blockLinearCount) <= (1 - share) * Double(source.spec.blockLinearCount))
    }
  }
}
