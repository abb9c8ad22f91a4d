import FurlBase
import FurlNumerics
package import FurlSpec
package import FurlTensor

/// A model in memory some of whose tensors are replaced for a while, to see how far its predictions move.
///
/// The hidden states before every block are kept, so that a replacement costs the blocks behind it only.
package final class SensitivityProbe {
  package let spec: ModelSpec
  private let matrices: [String: PackedMatrix]
  private let vectors: [String: FloatVector]
  private let walk: BlockWalk
  /// What there is before each block.
  private var starts: [BlockWalk.WalkState] = []
  /// Every so many positions one is scored, so that their logits are no more than this.
  private static let scoredNumbers = 1 << 25
  /// The most parameters of a model that is compared with in FP32.
  private static let floatLimit = 1 << 28
  private let every: Int
  /// [scored positions][vocabulary]: log p.
  private var expected: [Float] = []

  /// What predictions count as that are no numbers any more, and the most that others do.
  private static let most = 1000.0

  /// How the matrices of a model are kept that others are compared with: FP32 below 1 GiB, else 8 bits a row.
  package static func scheme(for spec: ModelSpec) -> Scheme {
    spec.parameterCount <= floatLimit ? .float32 : .int8(.row)
  }

  /// Is called at a place of a block that is being walked.
  package typealias SiteVisitor = (_ walk: BlockWalk, _ block: Int, _ site: ReadingSite) throws -> Void

  /// - Parameters:
  ///   - matrices, vectors: every tensor of the model, by name.
  ///   - sequences: what is read; ids inside of the vocabulary, none longer than the context.
  ///   - keepsStates: false where all of the model will be replaced at once, which needs less memory.
  ///   - visit: is called at every place of every block that layers read, while the model is walked for the first time, and has
  ///     to visit those that are needed (``BlockWalk/isNeeded(_:)``).
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory; what `visit` throws.
  package init(
    _ spec: ModelSpec, matrices: [String: PackedMatrix], vectors: [String: FloatVector], sequences: [[Int]],
    keepsStates: Bool = true, context: ComputeContext, visit: SiteVisitor? = nil
  ) throws {
    self.spec = spec
    self.matrices = matrices
    self.vectors = vectors
    guard let embedding = matrices["embedding"] else { throw FurlError(.defect, "the embedding is missing") }
    walk = try BlockWalk(
      spec, embedding: embedding, positions: matrices["positions"], sequences: sequences, context: context)
    let (size, limit) = (walk.positionCount * spec.vocabularySize, SensitivityProbe.scoredNumbers)
    every = max(1, (size + limit - 1) / limit)
    for block in spec.blocks.indices {
      if keepsStates { starts.append(try walk.state()) }
      try compute(block, Replacements(), visit: visit)
    }
    if keepsStates { starts.append(try walk.state()) }
    try patch(before: spec.blocks.count, Replacements())
    try forEachScored(Replacements()) { expected += $0 }
    guard expected.allSatisfy(\.isFinite) else {
      throw FurlError.input(nil, "the model computes numbers that are not finite", remedy: "its weights are damaged")
    }
  }

  /// The mean KL divergence, in nats, of the predictions with some matrices replaced from those of the model; 1000 where
  /// they are no numbers.
  ///
  /// - Parameters:
  ///   - replacements: by name, as large as what they replace.
  ///   - others: vectors in the place of those of the model, by name: norms, and biases of layers, which may have had none.
  ///   - experts: of blocks by their number, those that there are to choose from; of others all.
  package func divergence(
    replacing replacements: [String: PackedMatrix], vectors others: [String: FloatVector] = [:],
    keepingExperts experts: [Int: [Int]] = [:]
  ) throws -> Double {
    let first = ((Array(replacements.keys) + others.keys).map(firstBlock) + experts.keys).min() ?? spec.blocks.count
    let given = Replacements(matrices: replacements, vectors: others)
    if replacements["embedding"] != nil || replacements["positions"] != nil {
      walk.embed(try matrix("embedding", given), positions: replacements["positions"] ?? matrices["positions"])
    } else if starts.isEmpty {
      throw FurlError(.defect, "this probe replaces whole models")
    } else {
      walk.resume(starts[first])
    }
    for block in first..<spec.blocks.count { try compute(block, given, keeping: experts[block]) }
    try patch(before: spec.blocks.count, given)
    var sum = 0.0
    var row = 0
    try forEachScored(given) { piece in
      let width = spec.vocabularySize
      let parts = piece.count / width
      var sums = Array(repeating: 0.0, count: parts)
      sums.withUnsafeMutableBufferPointer { sums in
        expected.withUnsafeBufferPointer { expected in
          piece.withUnsafeBufferPointer { piece in
            walk.context.pool.forEachAsTaken(parts) { part in
              sums[part] = SensitivityProbe.divergence(
                expected.extracting((row + part) * width..<(row + part + 1) * width),
                piece.extracting(part * width..<(part + 1) * width))
            }
          }
        }
      }
      sum += sums.reduce(0, +)
      row += parts
    }
    let mean = sum / Double(max(1, row))
    return mean.isFinite ? min(max(0, mean), SensitivityProbe.most) : SensitivityProbe.most
  }

  /// The sum of p (log p - log q); terms below e^-16 are left out.
  private static func divergence(_ p: UnsafeBufferPointer<Float>, _ q: UnsafeBufferPointer<Float>) -> Double {
    var sum = 0.0
    for index in p.indices where p[index] > -16 { sum += Double(Elementary.exp(p[index]) * (p[index] - q[index])) }
    return sum
  }

  /// The block from which on a tensor counts.
  private func firstBlock(_ name: String) -> Int {
    let parts = name.split(separator: ".")
    if parts.count > 1, parts[0] == "blocks" { return Int(parts[1]) ?? 0 }
    return ["head", "norm"].contains(parts[0]) ? spec.blocks.count : 0
  }

  // MARK: The forward pass

  /// What stands in the place of the model's own.
  private struct Replacements {
    var matrices: [String: PackedMatrix] = [:]
    var vectors: [String: FloatVector] = [:]
  }

  private func matrix(_ name: String, _ given: Replacements) throws -> PackedMatrix {
    guard let matrix = given.matrices[name] ?? matrices[name] else {
      throw FurlError(.defect, place: name, "is missing")
    }
    return matrix
  }

  private func vector(_ name: String, _ given: Replacements) -> FloatVector? { given.vectors[name] ?? vectors[name] }

  private func norm(_ name: String, _ given: Replacements) throws -> BlockWalk.WalkedNorm {
    guard let weight = vector(name, given) else { throw FurlError(.defect, place: name, "is missing") }
    return BlockWalk.WalkedNorm(weight: weight, bias: vector(name + ".bias", given))
  }

  private func compute(
    _ block: Int, _ given: Replacements, keeping experts: [Int]? = nil, visit: SiteVisitor? = nil
  ) throws {
    try patch(before: block, given)
    let prefix = "blocks.\(block)."
    try walk.begin(block: block) { vector($0, given) }
    walk.keepExperts(experts)
    for site in spec.sites(of: block) {
      if let visit {
        try visit(walk, block, site)
      } else if walk.isNeeded(site) {
        // The others are inputs that nothing else is computed with.
        walk.visit(site) { _, _ in }
      }
      for layer in spec.readers(of: site, in: block) {
        let name = prefix + layer.name
        walk.install(layer, try matrix(name, given), bias: vector(name + ".bias", given))
      }
    }
    walk.finish()
  }

  /// Applies what stands in for blocks that were cut out.
  private func patch(before block: Int, _ given: Replacements) throws {
    guard spec.patches.contains(block) else { return }
    let name = spec.patchName(before: block)
    walk.apply(patch: try matrix(name, given), bias: vector(name + ".bias", given))
  }

  /// Calls `body` with what the head of the model reads, some positions at a time.
  package func visitHead(_ body: (Activations, Int) throws -> Void) throws {
    guard let last = starts.last else { throw FurlError(.defect, "this probe replaces whole models") }
    walk.resume(last)
    try patch(before: spec.blocks.count, Replacements())
    try walk.visitHead(norm("norm", Replacements()), body)
  }

  /// Calls `body` with log p of some scored positions at a time: [positions][vocabulary].
  private func forEachScored(_ given: Replacements, _ body: ([Float]) throws -> Void) throws {
    let name = spec.tiedEmbeddings ? "embedding" : "head"
    let matrix = try matrix(name, given)
    let head = LinearGroup([.init(matrix, bias: vector("head.bias", given))])
    let width = spec.vocabularySize
    var logits: Activations?
    var position = 0
    try walk.visitHead(norm("norm", given)) { rows, count in
      let scored = (0..<count).filter { (position + $0) % every == every - 1 }
      position += count
      guard !scored.isEmpty else { return }
      rows.gatherRows(scored)
      if logits == nil { logits = try Activations(columns: width, capacity: rows.capacity) }
      guard let logits else { return }
      if head.readsRounded(walk.context) { rows.quantize(count: scored.count, on: walk.context) }
      head(rows, count: scored.count, into: [logits], on: walk.context)
      if let cap = spec.logitSoftCap { logits.capSoftly(at: Float(cap), count: scored.count, on: walk.context) }
      var values = Array(repeating: Float(0), count: scored.count * width)
      values.withUnsafeMutableBufferPointer { values in
        walk.context.pool.forEachAsTaken(scored.count) { row in
          logits.withRow(row) {
            LogSoftmax.float($0, into: values.extracting(row * width..<(row + 1) * width))
          }
        }
      }
      try body(values)
    }
  }
}
