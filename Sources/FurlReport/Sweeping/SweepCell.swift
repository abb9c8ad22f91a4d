import FurlBase
import FurlCheckpoint
import FurlEvaluate
import FurlSpec

/// One run of a sweep: a checkpoint, a recipe, a seed, for the n-th time.
struct SweepCell: Sendable {
  let subject: SweepPlan.Subject
  let step: SweepSeries.SeriesStep
  let seed: Int
  /// From 0.
  let turn: Int
  /// What a report's row is called; turns of one cell share it.
  let name: String
  /// Changes with anything that the result depends on, as far as it can be told without reading weights.
  let key: Digest
  /// The same for the artifact alone.
  let artifactKey: Digest
  /// Why it cannot be: a series that takes more blocks than there are.
  let excuse: String?

  /// The name of its files.
  var id: String { "\(name.replacing(" ", with: "_")).\(turn).\(key.hex.prefix(12))" }
}

/// Cells that run one after the other, because one may end the series.
struct SweepChain: Sendable {
  let cells: [SweepCell]
  let until: SweepPlan.Until?
}

extension SweepPlan {
  /// All cells, in the order of a report: checkpoints, then recipes, then seeds and turns.
  ///
  /// - Parameter folder: where synthetic checkpoints lie.
  /// - Throws: ``FurlError`` when there is no checkpoint, or a suite's card is wrong.
  func chains(in folder: SweepFolder) throws -> [SweepChain] {
    guard !subjects.isEmpty else {
      throw FurlError(
        .usage, "the sweep \(name) has no checkpoints",
        remedy: "give --checkpoint NAME=PATH, or write checkpoints: into it")
    }
    guard Set(subjects.map(\.name)).count == subjects.count else {
      throw FurlError(.usage, "two checkpoints of the sweep \(name) have one name")
    }
    return try subjects.flatMap { subject -> [SweepChain] in
      let identity = try SweepPlan.identity(subject)
      let suites = try self.suites(of: subject, at: folder.checkpoint(subject))
      // One that cannot be opened is told by its cells.
      let spec = try? Checkpoint(path: folder.checkpoint(subject)).spec
      let questions = suites.map { suite -> JSON in
        ["name": .string(suite.name), "sha256": .string(suite.sha256.hex), "protocol": suite.protocol.json]
      }
      return series.flatMap { series -> [SweepChain] in
        let isSeeded = series.steps.contains { $0.recipe?.isSeeded == true }
        let seeds = isSeeded ? self.seeds : [self.seeds[0]]
        return seeds.flatMap { seed in
          (0..<repeats).map { turn in
            SweepChain(
              cells: series.steps.map { step in
                let made: JSON = [
                  "furl": .string(furlVersion), "checkpoint": identity,
                  "recipe": .optional(step.recipe?.digest.hex), "seed": .integer(seed),
                ]
                let asked: JSON = [
                  "made": made, "suites": .array(questions), "turn": .integer(turn), "limit": .optional(limit),
                  "threads": .optional(threads), "measure": measuring,
                ]
                return SweepCell(
                  subject: subject, step: step, seed: seed, turn: turn,
                  name: "\(subject.name) \(step.name)" + (seeds.count > 1 ? " seed \(seed)" : ""),
                  key: Digest(of: asked.canonicalText.utf8), artifactKey: Digest(of: made.canonicalText.utf8),
                  excuse: spec.flatMap { step.removed.excuse(subject.name, $0) })
              }, until: series.until)
          }
        }
      }
    }
  }

  /// The suites that there are for a checkpoint; cards that only others have are left out.
  func suites(of subject: Subject, at checkpoint: String) throws -> [Suite] {
    try cards.compactMap { card in
      if card.hasPrefix(SweepPlan.given) {
        let path = String(card.dropFirst(SweepPlan.given.count))
        // Random weights solve nothing, and published problems take long to say so.
        let problems = Suite.filesRead(at: path).dropFirst()
        guard case .path = subject.source, problems.allSatisfy(FileManager.default.fileExists(atPath:)) else {
          return nil
        }
        return try Suite(path: path)
      }
      guard card.hasPrefix("checkpoint:") else { return try Suite(path: card) }
      let path = checkpoint + "/" + card.dropFirst("checkpoint:".count)
      return FileManager.default.fileExists(atPath: path) ? try Suite(path: path) : nil
    }
  }

  /// What tells a checkpoint from another: names, sizes and times of its files, or the shape that it is made from.
  private static func identity(_ subject: Subject) throws -> JSON {
    switch subject.source {
    case .synthetic(let model, let blocks): return ["synth": .string(model), "blocks": .optional(blocks)]
    case .path(let path):
      guard let isFolder = FileNames.isFolder(path) else { throw FurlError.input(path, "does not exist") }
      guard let names = isFolder ? try? FileManager.default.contentsOfDirectory(atPath: path).sorted() : [""]
      else { throw FurlError.reading(path, EACCES) }
      return .array(
        names.map { name in
          var status = stat()
          let file = name.isEmpty ? path : path + "/" + name
          let isFile = stat(file, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
          return [
            "name": .string(name), "bytes": .integer(isFile ? Int(status.st_size) : 0),
            "modified": .integer(isFile ? Int(status.st_mtim.tv_sec) : 0),
          ]
        })
    }
  }
}
