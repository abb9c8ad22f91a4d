import FurlSpec
import FurlTensor

/// Where the tensors of a model lie in a GGUF file. Query, key and value are one tensor or three in any family's, and gate and
/// up of experts one or two, whatever llama.cpp's converter does as a rule.
struct GGUFNames {
  let family: GGUFFamily
  let spec: ModelSpec
  /// The names of all tensors in the file.
  let stored: Set<String>
  /// The declared names first.
  private let variants: [TensorNames]

  init(_ family: GGUFFamily, spec: ModelSpec, stored: Set<String>) {
    self.family = family
    self.spec = spec
    self.stored = stored
    let declared = family.names
    let others = declared.fusions.filter { $0.name != GGUFFamily.fusedQueries.name }
    var (separate, fused, experts) = (declared, declared, declared)
    separate.fusions = others
    fused.fusions = others + [GGUFFamily.fusedQueries]
    experts.experts = .stacked(gate: "ffn_gate_up_exps", up: "ffn_gate_up_exps", down: "ffn_down_exps")
    variants = [declared, separate, fused, experts]
  }

  func location(of tensor: TensorSpec) -> TensorLocation {
    let joins = tensor.block.map { stored.contains("blk.\($0).attn_kv_b.weight") } ?? false
    let first = family.location(of: tensor, in: spec, joinsHeads: joins && !stored.contains("blk.0.attn_k_b.weight"))
    if stored.contains(first.name) { return first }
    for names in variants.dropFirst() {
      let location = family.location(of: tensor, in: spec, names: names)
      if stored.contains(location.name) { return location }
    }
    // What is missing is called what it is called in most files.
    return family.location(of: tensor, in: spec, names: variants[1])
  }

  /// Whether a stored tensor says again what the specification says: how heads are turned.
  func isSuperfluous(_ name: String) -> Bool {
    family.hasFrequencyFactors && (name == GGUFNames.rotaryFactors || name.hasSuffix(".attn_rot_embd.weight"))
      || family.turnsByFactors && name == GGUFNames.rotaryFactors
      || family.hasLongFactors && [GGUFNames.longFactors, GGUFNames.shortFactors].contains(name) || isUnread(name)
  }

  /// Whether it makes keys or values in a block that takes those of an earlier one.
  private func isUnread(_ name: String) -> Bool {
    let words = name.split(separator: ".")
    guard words.count == 4, words[0] == "blk", let index = Int(words[1]), spec.blocks.indices.contains(index),
      spec.blocks[index].takesKeys
    else { return false }
    return ["attn_k", "attn_v", "attn_k_norm"].contains(words[2]) && words[3] == "weight"
  }

  static let rotaryFactors = "rope_freqs.weight"
  static let longFactors = "rope_factors_long.weight"
  static let shortFactors = "rope_factors_short.weight"
}
