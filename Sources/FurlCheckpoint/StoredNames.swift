import FurlSpec

/// What training programs put around a model shows in the names of its tensors; here it is taken off.
struct StoredNames {
  /// The tensors under the names that the family gives them.
  let stored: StoredTensors
  /// What was taken off, in words.
  let notes: [String]

  /// Wrappers of single modules, which stand anywhere in a name: `layers.0._fsdp_wrapped_module.mlp`.
  private static let inner: Set<Substring> = [
    "_fsdp_wrapped_module", "_orig_mod", "_checkpoint_wrapped_module", "_forward_module", "_fpw_module",
  ]

  /// - Parameter family: whose names are looked for.
  /// - Throws: ``FurlError`` of kind `input` when two names become one.
  init(_ stored: StoredTensors, family: any Architecture.Type, spec: ModelSpec) throws {
    var (stored, notes) = (stored, [String]())
    let wrapped = Set(
      stored.tensors.keys.flatMap { name in name.split(separator: ".").filter(StoredNames.inner.contains) })
    if !wrapped.isEmpty {
      stored = try stored.renamed { name in
        name.split(separator: ".", omittingEmptySubsequences: false).filter { !StoredNames.inner.contains($0) }
          .joined(separator: ".")
      }
      let list = wrapped.sorted().map { "\"\($0).\"" }.joined(separator: ", ")
      notes.append("\(list) in the names of tensors is taken off")
    }
    if let prefix = StoredNames.prefix(stored, family, spec) {
      stored = try stored.renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 }
      notes.append("\"\(prefix)\" before the names of tensors is taken off")
    }
    self.stored = stored
    self.notes = notes
  }

  /// What stands before the names of all tensors and does not belong to the family; nil where there is nothing or where
  /// not all have it. A head may stand outside, and what is no weight may, too.
  private static func prefix(_ stored: StoredTensors, _ family: any Architecture.Type, _ spec: ModelSpec) -> String? {
    let own = family.prefix
    for tensor in spec.tensors where tensor.name == "embedding" || tensor.name == "norm" {
      let name = family.location(of: tensor, in: spec).name
      if stored.tensors[name] != nil || stored.tensors[own + name] != nil { return nil }
      let found = stored.tensors.keys.filter { $0.hasSuffix("." + name) }
      guard let only = found.first, found.count == 1 else { continue }
      let isWhole = only.hasSuffix("." + own + name)
      let prefix = String(only.dropLast(isWhole ? (own + name).count : name.count))
      let isShared = stored.tensors.allSatisfy { name, tensor in
        name.hasPrefix(prefix) || name.hasPrefix("lm_head.") || Buffers.contain(name, tensor)
      }
      return isShared ? prefix : nil
    }
    return nil
  }
}
