import FurlEvaluate
import FurlModel
import FurlTransform

extension SweepPlan {
  /// The files that running the plan reads: recipes with their texts, cards with their problems, and checkpoints. The sweep
  /// file itself is none of them.
  package var filesRead: [String] {
    let folders = subjects.compactMap { subject -> String? in
      if case .path(let path) = subject.source { path } else { nil }
    }
    let recipes = series.flatMap(\.steps).compactMap(\.recipe)
    let texts = recipes.flatMap { recipe in
      folders.flatMap { folder in (try? recipe.recipe(seed: 0).textFiles(checkpointFolder: folder)) ?? [] }
    }
    let suites = cards.flatMap { card -> [String] in
      if card.hasPrefix("checkpoint:") { return folders.map { $0 + "/" + card.dropFirst("checkpoint:".count) } }
      return [card.hasPrefix(SweepPlan.given) ? String(card.dropFirst(SweepPlan.given.count)) : card]
    }
    return folders.flatMap { ModelFile.filesRead(at: $0) } + recipes.compactMap(\.file) + texts
      + suites.flatMap { Suite.filesRead(at: $0) }
  }
}

extension SweepFolder {
  /// The files in a folder that a sweep writes under names of its own.
  package static func reports(in folder: String) -> [String] {
    ["sweep.json", "report.md", "report.html", "journal.jsonl", "lock"].map { folder + "/" + $0 }
  }

  /// The folders that a sweep clears of what it does not know.
  package static func cleared(in folder: String) -> [String] { ["work", "cells"].map { folder + "/" + $0 } }
}
