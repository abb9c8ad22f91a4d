import FurlBase
import FurlSpec
import Testing

/// Every mistake in a recipe is named by file, line and key.
@Suite struct RecipeErrorTests {
  /// A recipe with one mistake, and what is said about it.
  struct Mistake: Sendable, CustomTestStringConvertible {
    let yaml: String
    let words: [String]
    var testDescription: String { words.joined(separator: " ") }

    /// A whole recipe.
    init(_ yaml: String, _ words: String...) {
      self.yaml = yaml
      self.words = words
    }

    /// A step that quantizes, whose first key is on line 5.
    static func quantize(_ keys: String, _ words: String...) -> Mistake {
      let lines = keys.split(separator: "\n").map { "      \($0)\n" }.joined()
      return Mistake(yaml: "furl: 1\nrecipe: r\nsteps:\n  - quantize:\n" + lines, words: words)
    }

    /// A step that truncates, whose first key is on line 5.
    static func truncate(_ keys: String, _ words: String...) -> Mistake {
      let lines = keys.split(separator: "\n").map { "      \($0)\n" }.joined()
      return Mistake(yaml: "furl: 1\nrecipe: r\nsteps:\n  - truncate:\n" + lines, words: words)
    }

    /// A good recipe with more at its end, from line 5.
    static func after(_ keys: String, _ words: String...) -> Mistake {
      Mistake(yaml: "furl: 1\nrecipe: r\nsteps:\n  - quantize: {weights: int8}\n" + keys + "\n", words: words)
    }

    private init(yaml: String, words: [String]) {
      self.yaml = yaml
      self.words = words
    }
  }

  static let steps = "steps:\n  - quantize: {weights: int8}\n"

  static let mistakes: [Mistake] = [
    // GGUF's blocks.
    .quantize("weights: q4_k\nblock: 64", "line 6: steps[0].quantize.block", "has no meaning with q4_k"),
    .quantize("weights: iq4_xs\nzero: symmetric", "line 6: steps[0].quantize.zero", "has no meaning with iq4_xs"),
    .quantize("mix: q4_k_m\nweights: q4_k", "line 6: steps[0].quantize.weights: is what mix chooses"),
    .quantize("mix: q4_k_m\nembeddings: int8", "line 6: steps[0].quantize.embeddings: is what mix chooses"),
    .quantize("mix: q4_0", "line 5: steps[0].quantize.mix"),
    .quantize("goal: disk\nbits: 4\nmix: q4_k_m", "line 7: steps[0].quantize.mix", "goal: disk"),
    .quantize(
      "mix: q4_k_m\noverrides: [{match: mlp.down, weights: q5_k, block: 32}]", "block", "has no meaning with q5_k"),
    // Zero points.
    .quantize("weights: int3\nzero: point", "line 6: steps[0].quantize.zero", "int3 has no zero points", "use int4"),
    .quantize("weights: int8\nzero: point", "line 6: steps[0].quantize.zero", "int8 has no minimum"),
    .quantize("weights: q4_k\nzero: point", "line 6: steps[0].quantize.zero", "has no meaning with q4_k"),
    .quantize(
      "weights: int4\nzero: point\nscales: u8", "line 7: steps[0].quantize.scales", "u8 rounds minimums by themselves"),
    .quantize(
      "weights: int4\nzero: point\noverrides: [{match: mlp.down, weights: int2}]", "line 7", "zero",
      "int2 has no zero points"),
    .quantize("goal: disk\nbits: 3\nzero: point", "line 7: steps[0].quantize.zero"),
    Mistake(
      "furl: 1\nrecipe: r\nsteps:\n  - quantize: {weights: int4, zero: point, choices: [{weights: int8}]}\n"
        + "budget: {disk: 9MB}\ncalibration: {text: c.txt}\n", "line 4: steps[0].quantize.zero: point has no meaning",
      "budget"),
    Mistake(
      "furl: 1\nrecipe: r\nsteps:\n  - quantize: {weights: int4, zero: point}\n"
        + "  - tune: {train: {text: t.txt, steps: 1, batch: 1, length: 16, rate: 1.0e-3}}\n", "line 5: steps[1].tune",
      "multiples of their scales with zero: point"),
    // The top.
    Mistake("recipe: r\n" + steps, "furl: is missing"),
    Mistake("furl: 2\nrecipe: r\n" + steps, "line 1: furl", "version 2 is not known"),
    Mistake("furl: one\nrecipe: r\n" + steps, "line 1: furl", "an integer is expected"),
    Mistake("furl: -1\nrecipe: r\n" + steps, "line 1: furl", "out of range"),
    Mistake("furl: 1\n" + steps, "recipe: is missing"),
    Mistake("furl: 1\nrecipe: a/b\n" + steps, "line 2: recipe", "\"a/b\" is not a name"),
    Mistake("furl: 1\nrecipe: ''\n" + steps, "line 2: recipe", "not a name"),
    Mistake("furl: 1\nrecipe: [a]\n" + steps, "line 2: recipe", "a text is expected, not a list"),
    Mistake("furl: 1\nrecipe: \(String(repeating: "a", count: 101))\n" + steps, "line 2: recipe", "not a name"),
    Mistake("furl: 1\nrecipe: r\ndescription: [1]\n" + steps, "line 3: description", "a text is expected"),
    Mistake("furl: 1\nrecipe: r\n", "steps: at least one step"),
    Mistake("furl: 1\nrecipe: r\nsteps: []\n", "line 3: steps", "at least one step"),
    Mistake("furl: 1\nrecipe: r\nsteps: quantize\n", "line 3: steps", "a list is expected"),
    Mistake(
      "furl: 1\nrecipe: r\nstep:\n  - quantize: {weights: int8}\n" + steps, "line 3: step: unknown key", "known here"),
    Mistake("furl: 1\nrecipe: r\nsteps:\n  - quantize\n", "line 4: steps[0]", "a mapping is expected"),
    Mistake("furl: 1\nrecipe: r\nsteps:\n  - {}\n", "line 4: steps[0]", "a step is one transform"),
    Mistake(
      "furl: 1\nrecipe: r\nsteps:\n  - quantise: {weights: int8}\n", "line 4: steps[0].quantise",
      "did you mean quantize?"),
    Mistake("furl: 1\nrecipe: r\nsteps:\n  - quantize:\n", "line 4: steps[0].quantize", "has no settings"),
    Mistake("furl: 1\nrecipe: r\nsteps:\n  - quantize: int8\n", "line 4: steps[0].quantize", "a mapping is expected"),
    Mistake(
      "furl: 1\nrecipe: r\nsteps:\n  - truncate: {blocks: 1}\n    quantize: {weights: int8}\n", "line 4: steps[0]",
      "a step is one transform"),
    Mistake("furl: 1\nfurl: 1\nrecipe: r\n" + steps, "appears twice"),
    Mistake("furl: 1\nrecipe: r\nsteps: [\n", "not valid YAML", "line"),
    Mistake("- furl\n", "a mapping is expected"),
    Mistake("", "is empty"),

    // Quantize.
    .quantize("block: 32", "line 4: steps[0].quantize.weights: is missing"),
    .quantize(
      "weights: int9", "line 5: steps[0].quantize.weights", "\"int9\" is not a known value", "int8, int6, int5, int4"),
    .quantize("weights: 8", "line 5: steps[0].quantize.weights", "\"8\" is not a known value"),
    .quantize("weights: [int8]", "line 5: steps[0].quantize.weights", "a text is expected"),
    .quantize("weights: int8\nblock: 48", "line 6: steps[0].quantize.block", "\"48\" is not", "32, 64, 128, row"),
    .quantize("weights: int8\nblock: 32.5", "line 6: steps[0].quantize.block", "not a number"),
    .quantize("weights: int8\nzero: minimum", "line 6: steps[0].quantize.zero", "int8 has no minimum"),
    .quantize("weights: int8\nzero: middle", "line 6: steps[0].quantize.zero", "\"middle\" is not a known value"),
    .quantize("weights: int8\nscales: f32", "line 6: steps[0].quantize.scales", "\"f32\" is not"),
    .quantize("weights: int8\nmethod: best", "line 6: steps[0].quantize.method", "\"best\" is not"),
    .quantize("weights: int8\nembeddings: fp16", "line 6: steps[0].quantize.embeddings", "\"fp16\" is not"),
    .quantize("weights: int8\nkeep: norm", "line 6: steps[0].quantize.keep", "a list is expected"),
    .quantize("weights: int8\nkeep: [norm]", "line 6: steps[0].quantize.keep", "add bias"),
    .quantize("weights: int8\nkeep: [bias]", "line 6: steps[0].quantize.keep", "add norm"),
    .quantize("weights: int8\nkeep: []", "line 6: steps[0].quantize.keep", "add norm"),
    .quantize(
      "weights: int8\nkeep: [norm, bias, wte]", "line 6: steps[0].quantize.keep", "\"wte\" is not a role or a name"),
    .quantize("weights: int8\nkeep: [norm, bias, 4]", "line 6: steps[0].quantize.keep[2]", "a text is expected"),
    .quantize("weights: int8\ncodes: 8", "line 6: steps[0].quantize.codes: unknown key"),
    .quantize("weights: int8\noverrides: {}", "line 6: steps[0].quantize.overrides", "a list is expected"),
    .quantize(
      "weights: int8\noverrides:\n  - weights: int4", "line 7: steps[0].quantize.overrides[0]", "match: is missing"),
    .quantize(
      "weights: int8\noverrides:\n  - {match: mlp.up}", "line 7: steps[0].quantize.overrides[0]", "weights: is missing"),
    .quantize(
      "weights: int8\noverrides:\n  - match: up\n    weights: int4", "line 7: steps[0].quantize.overrides[0].match",
      "\"up\" is not a role or a name"),
    .quantize(
      "weights: int8\noverrides:\n  - match: blocks.3-1.mlp.up\n    weights: int4", "line 7", "not a role or a name"),
    .quantize(
      "weights: int8\noverrides:\n  - match: blocks.-1.mlp.up\n    weights: int4", "line 7", "not a role or a name"),
    .quantize(
      "weights: int8\noverrides:\n  - match: mlp.up\n    weights: int4\n    rows: 4",
      "line 9: steps[0].quantize.overrides[0].rows: unknown key"),
    .quantize(
      "weights: int4\nzero: minimum\noverrides:\n  - match: mlp.up\n    weights: int8\n    zero: minimum", "line 10",
      "int8 has no minimum"),

    // Truncate.
    .truncate("choose: last", "line 4: steps[0].truncate.blocks: is missing"),
    .truncate("blocks: 0", "line 5: steps[0].truncate.blocks", "0 is out of range"),
    .truncate("blocks: -2", "line 5: steps[0].truncate.blocks", "-2 is out of range"),
    .truncate("blocks: 1.5", "line 5: steps[0].truncate.blocks", "a whole number or a list is expected"),
    .truncate("blocks: two", "line 5: steps[0].truncate.blocks", "a whole number or a list is expected, not a text"),
    .truncate("blocks: []", "line 5: steps[0].truncate.blocks", "different block numbers"),
    .truncate("blocks: [1, 1]", "line 5: steps[0].truncate.blocks", "different block numbers"),
    .truncate("blocks: [-1]", "line 5: steps[0].truncate.blocks", "different block numbers"),
    .truncate("blocks: [a]", "line 5: steps[0].truncate.blocks", "different block numbers"),
    .truncate("blocks: [1]\nchoose: last", "line 6: steps[0].truncate.choose", "no meaning beside a list"),
    .truncate("blocks: 1\nchoose: first", "line 6: steps[0].truncate.choose", "\"first\" is not a known value"),
    .truncate("blocks: 1\nheal: much", "line 6: steps[0].truncate.heal", "\"much\" is not a known value"),
    .truncate("blocks: 1\ncount: 2", "line 6: steps[0].truncate.count: unknown key"),

    // What follows the steps.
    .after("storage: small", "line 5: storage", "\"small\" is not a known value", "compact, mapped"),
    .after("gates: {}", "line 5: gates", "a list is expected"),
    .after("gates:\n  - metric: pass_at_1\n    min: 0.5", "line 6: gates[0]", "suite: is missing"),
    .after("gates:\n  - suite: s\n    metric: pass_at_1", "line 6: gates[0]", "min", "needs min, max_drop or both"),
    .after("gates:\n  - suite: s\n    metric: pass_at_1\n    min: 60", "line 8: gates[0].min", "out of range"),
    .after(
      "gates:\n  - suite: s\n    metric: pass_at_1\n    min: 0.5\n    max: 1",
      "line 9: gates[0].max: means nothing for pass_at_1"),
    .after("gatse: []", "line 5: gatse: unknown key"),
  ]

  @Test(arguments: mistakes)
  func aMistakeIsNamed(_ mistake: Mistake) throws {
    let error = #expect(throws: FurlError.self) {
      try Recipe(YAML.read(Array(mistake.yaml.utf8), file: "folder/r.yaml"))
    }
    let text = try #require(error).description
    #expect(error?.kind == .input)
    #expect(text.hasPrefix("folder/r.yaml: ") && !text.contains("\n"), "\(text)")
    for word in mistake.words { #expect(text.contains(word), "\(text)") }
  }

  @Test func aFileThatIsNotThere() {
    let error = #expect(throws: FurlError.self) { try Recipe(path: "/nowhere/r.yaml") }
    #expect(error?.kind == .input && error?.file == "/nowhere/r.yaml")
  }
}
