import FurlBase
import FurlTensor

/// `weights`, `zero`, `block` and `scales`: a scheme as a recipe says it.
struct SchemeSettings: DeclaredDocument, Sendable {
  enum Weights: String, Sendable, CaseIterable {
    case int8, int6, int5, int4, int3, int2, nf4, fp4, codebook4
    // 8 bits of which four are a model of their own.
    case nested8
    // Numbers as they are: for archives, and for what others are measured against.
    case fp32, bf16
    // GGUF's blocks.
    case q6_k, q5_k, q4_k, q3_k, iq4_xs, iq4_nl, q5_1, q5_0, mxfp4

    var mayHaveMinimum: Bool { [.int6, .int5, .int4, .int3, .int2].contains(self) }

    /// The scheme of codes whose blocks and scales have one form; nil of others.
    var fixed: Scheme? {
      switch self {
      case .fp32: .float32
      case .bf16: .bfloat16
      case .q6_k: .q6k
      case .q5_k: .q5k
      case .q4_k: .q4k
      case .q3_k: .q3k
      case .iq4_xs: .iq4xs
      case .iq4_nl: .iq4nl
      case .q5_1: .q51
      case .q5_0: .q50
      case .mxfp4: .mxfp4
      case .int8, .int6, .int5, .int4, .int3, .int2, .nf4, .fp4, .codebook4, .nested8: nil
      }
    }

    static let later = ["nvfp4", "fp8"]
  }

  enum Zero: String, Sendable, CaseIterable { case symmetric, minimum, point }

  /// Whether steps for an entropy coder are kept: in 8 bits with a scale a row, which keys may say and not change.
  var isCoded = false
  var weights: Weights?
  var zero: Zero?
  var block: Scheme.Block?
  var scales: Scheme.Scales?
  var location = DocumentLocation.none

  static let declaration = Declaration<SchemeSettings>("choice", "A scheme that a budget may choose for a tensor.") {
    keys
    Field.check { if $0.weights == nil { throw $1.error("weights", "is missing") } }
  }

  /// Those that steps, overrides and choices have in common.
  @DeclarationBuilder<SchemeSettings> static var keys: [Field] {
    Field(
      "weights", \.weights, .word(later: Weights.later), "The codes of the weights; needed unless their bits are coded."
    ) {
      $0.isCoded ? .words(["int8": .int8]) : .word(later: Weights.later)
    }
    Field(
      "zero", \.zero, .word,
      "Codes that are symmetric about 0; or, of int6 to int2, that begin at the minimum of a block; or, of int4, one of which "
        + "stands for 0 (a zero point), so that the minimum is a whole multiple of the scale and other layouts hold it.",
      absent: .means("symmetric; of an override or a choice, the step's; nothing with GGUF's blocks")
    ) { $0.isCoded ? .words(["symmetric": .symmetric]) : .word }
    Field(
      "block", \.block, .block, "How many columns of a row share a scale.",
      absent: .means("32; of an override or a choice, the step's; nothing with GGUF's blocks")
    ) { $0.isCoded ? .words(["row": .row]) : .block }
    Field(
      "scales", \.scales, .word, "How scales are stored: as halves, or in 8 bits against an FP32 number of their row.",
      absent: .means("f16; of an override or a choice, the step's; nothing with GGUF's blocks")
    ) { $0.isCoded ? .words(["f16": .f16]) : .word }
    Field.check { $0.location = $1.location }
  }

  /// With every default spelled out.
  func filled(from outer: SchemeSettings?) -> SchemeSettings {
    var settings = self
    settings.weights = weights ?? .int8
    guard settings.weights?.fixed == nil else { return settings }
    settings.zero = zero ?? (settings.weights?.mayHaveMinimum == true ? outer?.zero : nil) ?? .symmetric
    settings.block = block ?? (isCoded ? .row : outer?.block ?? .columns(32))
    settings.scales = scales ?? (isCoded ? .f16 : outer?.scales ?? .f16)
    return settings
  }

  /// Whether minimums are whole multiples of scales.
  var hasZeroPoints: Bool { zero == .point }

  /// The scheme of settings that are filled.
  ///
  /// - Throws: ``FurlError`` of kind `input` for what does not go together.
  func scheme() throws -> Scheme {
    let (weights, block) = (weights ?? .int8, block ?? .columns(32))
    let hasMinimum = zero == .minimum || zero == .point
    if let fixed = weights.fixed {
      for (key, isGiven) in [("zero", zero != nil), ("block", self.block != nil), ("scales", scales != nil)]
      where isGiven {
        throw location.error(
          key,
          "has no meaning with \(weights.rawValue), \(fixed.hasCodes ? "whose blocks have one form" : "which has no blocks")",
          remedy: "leave it out")
      }
      return fixed
    }
    guard !hasMinimum || weights.mayHaveMinimum else {
      throw location.error("zero", "\(weights.rawValue) has no minimum", remedy: "use symmetric")
    }
    guard zero != .point || weights == .int4 else {
      throw location.error("zero", "\(weights.rawValue) has no zero points", remedy: "use int4, or zero: minimum")
    }
    guard zero != .point || scales != .u8 else {
      throw location.error(
        "scales", "u8 rounds minimums by themselves, so that none stays a multiple of its scale",
        remedy: "use f16, or zero: minimum")
    }
    let plain: Scheme =
      switch weights {
      case .int8: .int8(block)
      case .int6: hasMinimum ? .int6Minimum(block) : .int6(block)
      case .int5: hasMinimum ? .int5Minimum(block) : .int5(block)
      case .int4: hasMinimum ? .int4Minimum(block) : .int4(block)
      case .int3: hasMinimum ? .int3Minimum(block) : .int3(block)
      case .int2: hasMinimum ? .int2Minimum(block) : .int2(block)
      case .nf4: .nf4(block)
      case .fp4: .fp4(block)
      case .codebook4: .codebook4(block)
      case .nested8: .nested8(block)
      default: .int8(block)
      }
    guard scales == .u8 else { return plain }
    guard let small = plain.withSmallScales else {
      throw location.error(
        "scales", "u8 has no meaning with one scale a row", remedy: "use block: 32, 64 or 128, or scales: f16")
    }
    return small
  }
}

extension ValueCodec<Scheme.Block> {
  fileprivate static var block: ValueCodec {
    .words(["32": .columns(32), "64": .columns(64), "128": .columns(128), "row": .row])
  }
}
