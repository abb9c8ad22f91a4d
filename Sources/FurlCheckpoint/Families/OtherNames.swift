import FurlSpec
import FurlTensor

extension TensorNames.Experts {
  /// MLX's `SwitchGLU`: gate, up and down each in one tensor for all experts, [experts][outputs][inputs].
  ///
  /// - Parameter module: what it is called within a block.
  static func mlx(_ module: String) -> TensorNames.Experts {
    .stacked(gate: module + ".gate_proj", up: module + ".up_proj", down: module + ".down_proj")
  }
}

extension TensorNames {
  /// The same with other names of experts, and of some other parts of a block.
  func with(experts: Experts? = nil, block: [String: String] = [:]) -> TensorNames {
    var names = self
    names.experts = experts ?? self.experts
    names.block.merge(block) { $1 }
    return names
  }

  /// Names of the same with all experts of a block in one tensor: MLX's, transformers' own, and those of programs that
  /// stack what is stored by itself under its own names.
  ///
  /// - Parameter module: what holds the experts.
  func stacked(in module: String) -> [TensorNames] {
    let experts = module + ".experts"
    return [
      with(experts: .mlx(module + ".switch_mlp")),
      with(experts: .fused(gateUp: experts + ".gate_up_proj", down: experts + ".down_proj")),
      with(experts: .mlx(experts)),
    ]
  }
}

/// Which of a family's names a checkpoint has.
struct ChosenNames {
  private let stored: StoredTensors
  private let family: any Architecture.Type
  private let spec: ModelSpec
  /// Other names than the family's first ones; nil: those.
  private let others: TensorNames?

  init(_ stored: StoredTensors, family: any Architecture.Type, spec: ModelSpec) {
    (self.stored, self.family, self.spec) = (stored, family, spec)
    func has(_ location: TensorLocation) -> Bool { ChosenNames.isStored(location, stored, family) }
    // One expert shows what all are called; without experts it is what is in their place.
    let parts = family.otherNames.isEmpty ? [] : spec.tensors.filter { $0.nameInBlock.hasPrefix("mlp.") }
    let experts = parts.filter { $0.nameInBlock.hasPrefix("mlp.experts.0.") }
    let shown = experts.isEmpty ? parts : experts
    let missing = shown.filter { !has(family.location(of: $0, in: spec)) }
    others = family.otherNames.first { names in
      missing.contains { has(family.location(of: $0, in: spec, called: names)) }
    }
  }

  /// Where a tensor lies: under the family's own name, unless it is not there and others have been chosen.
  func location(of tensor: TensorSpec) -> TensorLocation {
    let own = family.location(of: tensor, in: spec)
    guard let others, tensor.block != nil, !ChosenNames.isStored(own, stored, family) else { return own }
    let other = family.location(of: tensor, in: spec, called: others)
    // What is missing is missing under the name that the other experts have.
    let isExpert = tensor.nameInBlock.hasPrefix("mlp.experts.")
    return isExpert || other.name != own.name && ChosenNames.isStored(other, stored, family) ? other : own
  }

  /// Whether there is a tensor of that name, or codes in its place.
  private static func isStored(
    _ location: TensorLocation, _ stored: StoredTensors, _ family: any Architecture.Type
  ) -> Bool {
    [family.prefix + location.name, location.name].contains { name in
      if stored.tensors[name] != nil || stored.tensors[name + "_packed"] != nil { return true }
      let stem = name.hasSuffix(".weight") ? String(name.dropLast("weight".count)) : name + "_"
      return stored.tensors[stem + "blocks"] != nil || stored.tensors[stem + "qweight"] != nil
    }
  }
}
