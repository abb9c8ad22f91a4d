import FurlArtifact
import FurlBase
@testable import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTestSupport
@testable import FurlTransform
import Foundation

/// A tiny model with a tokenizer, and texts to train it on.
enum TrainingFixtures {
  /// Writes a checkpoint of two blocks and the texts `train.txt`, `more.txt` and `held-out.txt` beside a recipe's place.
  static func write(to folder: String, source: String = Fixtures.gpt2) throws {
    let sample = try SampleCheckpoint(folder: source)
    let files = SyntheticTokenizer.files(count: 400, special: [0: "<s>"], begin: "<s>", end: "<s>", contextLength: 64)
    try sample.write(
      to: folder + "/model", files: ["tokenizer.json": files.tokenizer, "tokenizer_config.json": files.config])
    for (name, seed, count) in [("train", 1, 900), ("more", 2, 500), ("held-out", 3, 300)] {
      try TestData.write(Array(text(UInt64(seed), words: count).utf8), to: folder + "/\(name).txt")
    }
  }

  /// Words of which each says much about the next one, so that there is something to learn.
  static func text(_ seed: UInt64, words: Int) -> String {
    let all = ["if", "x", "==", "1", ":", "return", "y", "\n", "for", "i", "in", "range", "(", "n", ")"]
    var draws = SplitMix64(seed: seed)
    var place = 0
    return (0..<words).map { _ in
      place = draws.unit() < 0.8 ? (place + 1) % all.count : Int(draws.next() % UInt64(all.count))
      return all[place]
    }.joined(separator: " ")
  }

  /// A recipe that lies in the folder.
  static func recipe(_ steps: String, in folder: String) throws -> Recipe {
    try Recipe(YAML.read(Array("furl: 1\nrecipe: r\nsteps:\n\(steps)\n".utf8), file: folder + "/r.yaml"))
  }

  static func healStep(_ recipe: Recipe) -> HealStep? {
    for case .heal(let step) in recipe.steps { return step }
    return nil
  }

  /// Compresses the model and gives the artifact's bytes.
  static func artifact(
    _ steps: String, in folder: String, threads: Int = 2, stateFolder: String? = nil
  ) throws -> (bytes: [UInt8], changes: [JSON]) {
    let compressor = try Compressor(Checkpoint(folder: folder + "/model"), recipe: recipe(steps, in: folder))
    let path = folder + "/a.furl"
    let result = try compressor.write(to: path, pool: WorkerPool(threads: threads), stateFolder: stateFolder)
    return (try TestData.bytes(path), result.changes)
  }
}
