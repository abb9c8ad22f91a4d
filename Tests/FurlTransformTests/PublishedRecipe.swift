import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// What a recipe in `recipes/` makes of a model, as its description promises.
struct PublishedRecipe: CustomTestStringConvertible {
  /// A small checkpoint that stands for a family.
  enum Shape: String, CaseIterable {
    case minipy, gpt2, starcoder2, phi, llama

    /// Its folder; nil where the tests' data from outside is not there.
    var folder: String? {
      switch self {
      case .minipy: TestData.minipy
      case .gpt2: Fixtures.gpt2
      default: TestData.shared.map { "\($0)/fixtures/\(rawValue)" }
      }
    }
  }

  /// What decides how the model comes out.
  enum Kind {
    /// The plan alone.
    case planned
    /// Measurements, within a budget.
    case budgeted
    /// Groups that go, this share of the weights in the blocks' linear layers or of all parameters.
    case pruned(share: Double, ofAll: Bool)
    /// Training, after this share of the weights in the blocks' linear layers is gone.
    case trained(share: Double)
  }

  let name: String
  /// Whose models it is for, one for each way that it can come out.
  let shapes: [Shape]
  var kind = Kind.planned
  /// How many blocks go.
  var removed = 0
  /// The schemes that linear layers in blocks may have.
  var linear: [Scheme] = [.float32]
  /// Roles of linear layers that have 8-bit blocks instead.
  var inEight: Set<TensorRole> = []
  /// The schemes of embedding and positions.
  var embeddings: [Scheme] = [.float32]
  /// The schemes of positions, where they are others.
  var positions: [Scheme]?
  /// The schemes of a head of its own; nil where they are the embedding's.
  var head: [Scheme]?
  /// Whether columns may be kept apart; how many depends on the model.
  var keepsColumnsApart = false
  /// Whether it has a calibration.
  var isCalibrated = false
  /// How far logits may be from those of the model that it was made of, relative to their size.
  var bound = 0.0

  var testDescription: String { name }

  /// The schemes that a tensor of a role may have.
  func schemes(of role: TensorRole) -> [Scheme] {
    if role.isVector { return [.float32] }
    if inEight.contains(role) { return [.int8(.columns(32))] }
    if role.isBlockLinear { return linear }
    if role == .positions, let positions { return positions }
    return role == .head ? head ?? embeddings : embeddings
  }

  var isPruned: Bool { if case .pruned = kind { true } else { false } }
  /// Whether it is scales that are trained.
  var isTuned: Bool { name.hasSuffix("-tuned") }
  var isTrained: Bool { if case .trained = kind { true } else { false } }
  var isBudgeted: Bool { if case .budgeted = kind { true } else { false } }

  static let all: [PublishedRecipe] = forAnyModel + forFamilies + forMinipy

  /// Relative errors of logits: of 8 bits, of fewer.
  private static let (near, far) = (0.03, 0.3)
  private static let int8: [Scheme] = [.int8(.columns(32))]
  private static let row: [Scheme] = [.int8(.row)]
  private static let int4: [Scheme] = [.int4(.columns(32))]
  private static let minimum: [Scheme] = [.int4Minimum(.columns(32))]

  private static let plain: [Scheme] = [.float32]

  private static func small(_ scheme: Scheme) -> [Scheme] { [scheme.withSmallScales].compactMap { $0 } }

  private static let forAnyModel: [PublishedRecipe] = [
    .init(name: "int8", shapes: Shape.allCases, linear: int8, embeddings: int8, bound: near),
    .init(name: "bf16", shapes: [.minipy, .llama], linear: [.bfloat16], embeddings: [.bfloat16], bound: near),
    .init(
      name: "nested8", shapes: [.minipy, .llama], linear: [.nested8(.columns(32))],
      embeddings: [.nested8(.columns(32))],
      isCalibrated: true, bound: 0.05),
    .init(name: "int8-rows", shapes: [.minipy], linear: row, embeddings: row, bound: near),
    .init(name: "int4", shapes: [.minipy, .starcoder2, .phi], linear: int4, embeddings: int8, bound: far),
    .init(name: "int4-minimum", shapes: [.gpt2, .llama], linear: minimum, embeddings: int8, bound: far),
    .init(name: "gptq4", shapes: [.minipy, .phi], linear: int4, embeddings: int8, isCalibrated: true, bound: far),
    .init(
      name: "gptq4-minimum", shapes: [.gpt2, .llama], linear: minimum, embeddings: int8, isCalibrated: true, bound: far),
    .init(
      name: "small4", shapes: [.gpt2, .starcoder2, .phi], linear: small(.int4(.columns(64))),
      embeddings: small(.int4(.columns(64))), isCalibrated: true, bound: far),
    .init(
      name: "small4-minimum", shapes: [.llama], linear: small(.int4Minimum(.columns(64))),
      embeddings: small(.int4Minimum(.columns(64))), isCalibrated: true, bound: far),
    .init(
      name: "disk", shapes: [.gpt2, .starcoder2, .phi], linear: row, embeddings: row, isCalibrated: true, bound: far),
    .init(
      name: "budget", shapes: [.gpt2, .starcoder2, .phi, .llama], kind: .budgeted, linear: row, embeddings: row,
      isCalibrated: true, bound: far),
    // Rows of 96 and 192 are not whole super-blocks: there it is what llama.cpp falls back to.
    .init(
      name: "gguf-q4_k_m", shapes: [.minipy, .starcoder2], linear: [.q4k, .q6k, .q50] + int8, embeddings: [.q6k] + int8,
      positions: plain, isCalibrated: true, bound: far),
    .init(
      name: "gguf-q4_k_s", shapes: [.minipy, .starcoder2], linear: [.q4k, .q5k, .q50, .q51], embeddings: [.q6k] + int8,
      positions: plain, isCalibrated: true, bound: far),
    .init(
      name: "gguf-q6_k", shapes: [.minipy, .starcoder2], linear: [.q6k] + int8, embeddings: [.q6k] + int8,
      positions: plain,
      isCalibrated: true, bound: near),
    .init(
      name: "gguf-q3_k_m", shapes: [.minipy, .starcoder2], linear: [.q3k, .q4k, .q5k, .q50, .q51] + int4,
      embeddings: [.q6k] + int8, positions: plain, isCalibrated: true, bound: far),
    .init(
      name: "gguf-iq4_xs", shapes: [.minipy, .starcoder2], linear: [.iq4xs, .iq4nl], embeddings: [.q6k] + int8,
      positions: plain, isCalibrated: true, bound: far),
    .init(name: "drop1", shapes: [.starcoder2, .phi], removed: 1),
    .init(name: "drop2", shapes: [.starcoder2, .phi], removed: 2),
    .init(name: "drop3", shapes: [.starcoder2, .phi], removed: 3),
    // bitsandbytes leaves embeddings alone, and in 4 bits a head of its own.
    .init(name: "fp4", shapes: [.starcoder2], linear: [.fp4(.columns(64))], bound: far),
    .init(name: "nf4", shapes: [.starcoder2], linear: small(.nf4(.columns(64))), bound: far),
    .init(
      name: "llm-int8", shapes: [.starcoder2, .phi], linear: row, head: row, keepsColumnsApart: true,
      isCalibrated: true,
      bound: near),
    .init(
      name: "group-lasso-60", shapes: [.minipy], kind: .pruned(share: 0.6, ofAll: false), isCalibrated: true),
    .init(
      name: "group-lasso-60-int8", shapes: [.minipy], kind: .pruned(share: 0.6, ofAll: false), linear: int8,
      embeddings: int8, isCalibrated: true),
  ]

  private static let forFamilies: [PublishedRecipe] = [
    .init(
      name: "codegpt-group-lasso-60", shapes: [.gpt2], kind: .pruned(share: 0.6, ofAll: true), isCalibrated: true),
    .init(
      name: "codegpt-group-lasso-60-int8", shapes: [.gpt2], kind: .pruned(share: 0.6, ofAll: true), linear: int8,
      embeddings: int8, isCalibrated: true),
    .init(
      name: "starcoder2-int4", shapes: [.starcoder2], linear: int4, inEight: [.key, .value],
      embeddings: int8, bound: far),
    .init(
      name: "starcoder2-gptq4", shapes: [.starcoder2], linear: int4, inEight: [.key, .value],
      embeddings: int8, isCalibrated: true, bound: far),
    .init(
      name: "phi-2-int4", shapes: [.phi], linear: minimum, inEight: [.value], embeddings: int8, bound: far),
    .init(
      name: "phi-2-gptq4", shapes: [.phi], linear: minimum, inEight: [.value], embeddings: int8,
      isCalibrated: true, bound: far),
    .init(name: "phi-2-fp4", shapes: [.phi], linear: [.fp4(.columns(64))], bound: far),
    .init(name: "phi-2-nf4", shapes: [.phi], linear: small(.nf4(.columns(64))), bound: far),
    .init(name: "smollm2-disk", shapes: [.llama], linear: row, embeddings: row, isCalibrated: true, bound: far),
  ]

  private static let forMinipy: [PublishedRecipe] = [
    .init(name: "minipy-int8", shapes: [.minipy], linear: int8, embeddings: int8, bound: near),
    .init(name: "minipy-int4", shapes: [.minipy], linear: int4, embeddings: int8, bound: far),
    .init(name: "minipy-int4-minimum", shapes: [.minipy], linear: minimum, embeddings: int8, bound: far),
    .init(name: "minipy-gptq4", shapes: [.minipy], linear: int4, embeddings: int8, isCalibrated: true, bound: far),
    .init(
      name: "minipy-small4", shapes: [.minipy], linear: small(.int4(.columns(64))),
      embeddings: small(.int4(.columns(64))), isCalibrated: true, bound: far),
    .init(name: "minipy-disk", shapes: [.minipy], linear: row, embeddings: row, isCalibrated: true, bound: far),
    .init(name: "minipy-disk3", shapes: [.minipy], linear: row, embeddings: row, isCalibrated: true, bound: far),
    .init(
      name: "minipy-budget", shapes: [.minipy], kind: .budgeted, linear: row, embeddings: row, isCalibrated: true,
      bound: far),
    .init(
      name: "minipy-budget-memory", shapes: [.minipy], kind: .budgeted,
      linear: [.int4(.columns(64)), .int4(.columns(32)), .int8(.row)],
      embeddings: [.int4(.columns(64)), .int4(.columns(32)), .int8(.row)], isCalibrated: true, bound: far),
    .init(
      name: "minipy-codebook4-gptq", shapes: [.minipy], linear: small(.codebook4(.columns(64))),
      embeddings: small(.int8(.columns(64))), isCalibrated: true, bound: far),
    .init(
      name: "minipy-int3-gptq", shapes: [.minipy], linear: small(.int3Minimum(.columns(32))),
      embeddings: small(.int8(.columns(32))), isCalibrated: true, bound: far),
    .init(
      name: "minipy-int2-gptq", shapes: [.minipy], linear: small(.int2Minimum(.columns(32))),
      embeddings: small(.int8(.columns(32))), isCalibrated: true, bound: 1),
    .init(name: "minipy-two-sided4", shapes: [.minipy], linear: int4, embeddings: int8, isCalibrated: true, bound: far),
    .init(
      name: "minipy-small4-two-sided", shapes: [.minipy], linear: small(.int4(.columns(64))),
      embeddings: small(.int4(.columns(64))), isCalibrated: true, bound: far),
    .init(
      name: "minipy-disk3-two-sided", shapes: [.minipy], linear: row, embeddings: row, isCalibrated: true, bound: far),
    .init(
      name: "minipy-budget-two-sided", shapes: [.minipy], kind: .budgeted, linear: row, embeddings: row,
      isCalibrated: true, bound: far),
    .init(
      name: "minipy-int3-two-sided", shapes: [.minipy], linear: small(.int3Minimum(.columns(32))),
      embeddings: small(.int8(.columns(32))), isCalibrated: true, bound: far),
    .init(
      name: "minipy-int2-two-sided", shapes: [.minipy], linear: small(.int2Minimum(.columns(32))),
      embeddings: small(.int8(.columns(32))), isCalibrated: true, bound: 1),
    // Codes and schemes are those of the recipes without tuning.
    .init(
      name: "minipy-int3-tuned", shapes: [.gpt2], kind: .trained(share: 0), linear: small(.int3Minimum(.columns(32))),
      embeddings: small(.int8(.columns(32))), isCalibrated: true),
    .init(
      name: "minipy-int2-tuned", shapes: [.gpt2], kind: .trained(share: 0), linear: small(.int2Minimum(.columns(32))),
      embeddings: small(.int8(.columns(32))), isCalibrated: true),
    .init(
      name: "minipy-nf4", shapes: [.minipy], linear: small(.nf4(.columns(64))), embeddings: small(.int8(.columns(64))),
      bound: far),
    .init(
      name: "minipy-llm-int8", shapes: [.minipy], linear: row, keepsColumnsApart: true, isCalibrated: true, bound: near),
    .init(name: "minipy-drop1-int8", shapes: [.minipy], removed: 1, linear: int8, embeddings: int8, bound: near),
    .init(name: "minipy-drop2-int8", shapes: [.minipy], removed: 2, linear: int8, embeddings: int8, bound: near),
    .init(name: "minipy-drop3-int8", shapes: [.minipy], removed: 3, linear: int8, embeddings: int8, bound: near),
    .init(name: "minipy-drop1-heal", shapes: [.gpt2], kind: .trained(share: 0), removed: 1, isCalibrated: true),
    .init(name: "minipy-drop2-heal", shapes: [.gpt2], kind: .trained(share: 0), removed: 2, isCalibrated: true),
    .init(name: "minipy-drop3-heal", shapes: [.gpt2], kind: .trained(share: 0), removed: 3, isCalibrated: true),
    .init(name: "minipy-group-lasso-60-heal", shapes: [.gpt2], kind: .trained(share: 0.6), isCalibrated: true),
    .init(
      name: "minipy-group-lasso-60", shapes: [.minipy], kind: .pruned(share: 0.6, ofAll: false), isCalibrated: true),
    .init(
      name: "minipy-group-lasso-60-int8", shapes: [.minipy], kind: .pruned(share: 0.6, ofAll: false), linear: int8,
      embeddings: int8, isCalibrated: true),
    .init(
      name: "minipy-group-lasso-60-int4", shapes: [.minipy], kind: .pruned(share: 0.6, ofAll: false), linear: int4,
      embeddings: int8, isCalibrated: true),
  ]
}
