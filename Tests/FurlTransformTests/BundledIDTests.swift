import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTransform
import Foundation
import Testing

/// What the bundled recipes make of minipy is the same from one commit to the next, for any number of threads: a build
/// pipeline that compresses anew gets the file that it had.
///
/// A change that means to make other files writes the fixture anew with `make_ids.sh`, and says so in the changelog.
@Suite struct BundledIDTests {
  static let ids: [String: String] = {
    let bytes = try? TestData.bytes(TestData.root + "/Tests/Fixtures/minipy/ids.json")
    let json = bytes.flatMap { try? JSON.parse($0, file: "ids.json") }
    return Dictionary(uniqueKeysWithValues: (json?.members ?? []).map { ($0.key, $0.value.string ?? "") })
  }()

  static let recipes = PublishedRecipe.all.filter { $0.name.hasPrefix("minipy-") }

  /// Whether those are tried, too, that take minutes.
  static let isThorough = ProcessInfo.processInfo.environment["FURL_THOROUGH"] != nil

  @Test func everyBundledRecipeHasAnID() {
    let names = Self.recipes.filter { !$0.isSlow }.map(\.name)
    #expect(!names.isEmpty && Set(names).subtracting(Self.ids.keys).isEmpty)
  }

  @Test(arguments: recipes.filter { ids[$0.name] != nil && (isThorough || !$0.isSlow) })
  func isTheSameFile(_ recipe: PublishedRecipe) throws {
    try TestData.withTemporaryFolder { folder in
      let compressor = try Compressor(
        Checkpoint(folder: TestData.minipy), recipe: Recipe(path: Fixtures.recipes + "/\(recipe.name).yaml"))
      // Others take two, so that neither number goes untried.
      let threads = recipe.name.utf8.count % 2 + 1
      let result = try compressor.write(to: folder + "/a.furl", pool: WorkerPool(threads: threads))
      #expect(result.artifactID.hex == Self.ids[recipe.name])
    }
  }
}

extension PublishedRecipe {
  /// Trainings and surveys take minutes, and so does a choice of how far outputs are believed.
  fileprivate var isSlow: Bool { isTrained || isBudgeted || name.contains("two-sided") }
}
