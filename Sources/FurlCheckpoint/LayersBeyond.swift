import FurlSpec

/// Layers that files hold behind those of the model, and that predict further tokens: they are left out.
struct LayersBeyond {
  /// What stands before their numbers, without and with the family's prefix.
  private let starts: [String]
  private let numbers: Range<Int>

  /// - Parameter count: how many there may be.
  init(_ family: any Architecture.Type, _ spec: ModelSpec, count: Int) {
    starts = [family.names.layer + ".", family.prefix + family.names.layer + "."]
    numbers = spec.blocks.count..<spec.blocks.count + count
  }

  /// Those of a GGUF file.
  init(gguf spec: ModelSpec, count: Int) {
    starts = ["blk."]
    numbers = spec.blocks.count..<spec.blocks.count + count
  }

  func contain(_ name: String) -> Bool {
    starts.contains { start in
      guard name.hasPrefix(start) else { return false }
      let number = name.dropFirst(start.count).prefix { $0 != "." }
      return Int(number).map(numbers.contains) ?? false
    }
  }

  /// What is left out, in words.
  func notes(_ names: some Sequence<String>) -> [String] {
    let count = numbers.isEmpty ? 0 : names.count { contain($0) }
    return count == 0 ? [] : ["\(count) tensors of layers that predict further tokens are left out"]
  }
}
