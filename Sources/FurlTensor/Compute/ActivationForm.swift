import CFurlKernels

/// What the inputs of quantized layers are rounded to before they meet the weights.
package enum ActivationForm: String, Sendable, Hashable, CaseIterable {
  /// 8-bit codes, a scale for each 32 columns: what decoding is fastest with.
  case int8
  /// BF16 numbers, which meet weights that are rounded to BF16, too: prompts are fastest with them where CPUs multiply tiles of
  /// them (AMX). What is generated one by one is computed as with ``int8``.
  case bf16
  /// Nothing, as in runtimes that do not quantize activations.
  case fp32

  /// The one of three kernels that reads this form.
  func kernel(_ int8: furl_multiply, _ bf16: furl_multiply, _ fp32: furl_multiply) -> furl_multiply {
    switch self {
    case .int8: int8
    case .bf16: bf16
    case .fp32: fp32
    }
  }
}
