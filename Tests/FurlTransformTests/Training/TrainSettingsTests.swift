import FurlBase
import FurlSpec
import FurlTestSupport
@testable import FurlTransform
import Testing

@Suite struct TrainSettingsTests {
  private static func message(_ steps: String) -> String {
    do {
      _ = try Fixtures.recipe(steps)
      return ""
    } catch { return "\(error)" }
  }

  private static func heal(_ train: String, more: String = "") -> String {
    "  - heal:\n      train: {\(train)}\(more.isEmpty ? "" : "\n      \(more)")"
  }

  /// Every mistake is named by file, line and key.
  @Test(arguments: [
    ("text: a.txt, rate: 0.1", "", "line 5: steps[0].heal.train.steps: is missing"),
    ("text: a.txt, steps: 5", "", "rate: is missing"),
    ("steps: 5, rate: 0.1", "", "train.text: is missing"),
    ("text: '', steps: 5, rate: 0.1", "", "text: is empty"),
    ("text: [], steps: 5, rate: 0.1", "", "1 to 100 texts"),
    ("text: [{text: a.txt}], steps: 5, rate: 0.1", "", "text[0].share: is missing"),
    ("text: [{text: a.txt, share: 0}], steps: 5, rate: 0.1", "", "out of range"),
    ("text: [{text: a.txt, share: 1, part: 2}], steps: 5, rate: 0.1", "", "part: unknown key"),
    ("text: checkpoint:a/b, steps: 5, rate: 0.1", "", "not the name of a file"),
    ("text: a.txt, steps: 0, rate: 0.1", "", "steps: 0 is out of range"),
    ("text: a.txt, steps: 5, rate: 2", "", "rate: 2.0 is out of range"),
    ("text: a.txt, steps: 5, rate: 0.1, batch: 8, accumulate: 3", "", "accumulate: 8 sequences cannot"),
    ("text: a.txt, steps: 5, rate: 0.1, warmup: 5", "", "warmup: 5 of 5 steps"),
    ("text: a.txt, steps: 5, rate: 0.1, minutes: 3", "", "minutes: unknown key"),
    ("text: a.txt, steps: 5, rate: 0.1, length: 4", "", "length: 4 is out of range"),
    ("text: a.txt, steps: 5, rate: 0.1", "rank: 0", "line 6: steps[0].heal.rank: 0 is out of range"),
    ("text: a.txt, steps: 5, rate: 0.1", "labels: 1.5", "labels: 1.5 is out of range"),
    ("text: a.txt, steps: 5, rate: 0.1", "epochs: 3", "epochs: unknown key"),
  ])
  func mistakesAreNamed(_ train: String, _ more: String, _ words: String) {
    let message = Self.message(Self.heal(train, more: more))
    #expect(message.contains(words) && message.contains("r.yaml"), "\(message)")
  }

  @Test(arguments: [
    ("", "train: is missing"),
    ("train: {text: a.txt, steps: 5, rate: 0.1}\n      refit: none", "refit: has no meaning"),
    ("train: {text: a.txt, steps: 5, rate: 0.1}\n      ramp: 6", "ramp: 6 is out of range"),
    ("train: {text: a.txt, steps: 5, rate: 0.1}\n      penalty: -1", "penalty: -1.0 is out of range"),
  ])
  func mistakesOfFinetuneAreNamed(_ keys: String, _ words: String) {
    let message = Self.message("  - prune:\n      sparsity: 0.5\n      fit: finetune\n      \(keys)")
    #expect(message.contains(words), "\(message)")
  }

  /// A canonical recipe is a recipe that says the same.
  @Test func canonicalFormIsARecipe() throws {
    let recipe = try Fixtures.recipe(
      """
        - prune:
            sparsity: 0.5
            fit: finetune
            train: {text: [{text: a.txt, share: 3}, {text: b.txt, share: 1}], steps: 50, rate: 0.001, held_out: c.txt}
        - heal: {train: {text: checkpoint:t.txt, steps: 7, batch: 4, accumulate: 2, rate: 0.1}, rank: 4, hidden: 0.5}
      """)
    let again = try Recipe(DocumentReader(recipe.json, file: "again"))
    #expect(again.json.canonicalText == recipe.json.canonicalText)
    #expect(recipe.json.canonicalText.contains("\"warmup\""))
  }

  /// Up in a line, down along half a cosine.
  @Test func ratesRiseAndFall() throws {
    let recipe = try Fixtures.recipe(Self.heal("text: a.txt, steps: 110, warmup: 10, rate: 0.5"))
    let settings = try #require(TrainingFixtures.healStep(recipe)).train
    #expect(settings.rate(at: 0) == 0.05 && settings.rate(at: 9) == 0.5 && settings.rate(at: 10) == 0.5)
    #expect(abs(settings.rate(at: 60) - 0.25) < 1e-12)
    #expect(settings.rate(at: 109) > 0 && settings.rate(at: 109) < 0.0005)
  }
}
