package import FurlTensor

/// llama.cpp's names for the types that the tensors of a file get, one by one: what `llama-quantize` calls `Q4_K_M`.
package enum GGUFMix: String, Sendable, CaseIterable {
  case q3_k_s, q3_k_m, q3_k_l, q4_k_s, q4_k_m, q5_k_s, q5_k_m, q6_k, iq4_nl, iq4_xs

  /// What tensors get that nothing else is said about.
  package var base: Scheme {
    switch self {
    case .q3_k_s, .q3_k_m, .q3_k_l: .q3k
    case .q4_k_s, .q4_k_m: .q4k
    case .q5_k_s, .q5_k_m: .q5k
    case .q6_k: .q6k
    case .iq4_nl: .iq4nl
    case .iq4_xs: .iq4xs
    }
  }
}
