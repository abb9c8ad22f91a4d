import FurlArtifact
package import FurlBase
import FurlCheckpoint
package import FurlModel
import FurlNumerics
import FurlSpec
package import FurlTensor
import FurlTokenizer
import FurlTransform

/// What it does, on a text, that a model has other matrices than the checkpoint that it was made from: to the outputs of
/// each layer, and to the predictions.
///
/// Layers read what the checkpoint's read; predictions are measured with one matrix replaced at a time, and with all, norms
/// and biases included. A checkpoint of more than 1 GiB in FP32 is computed with in 8 bits a row (``SensitivityProbe``); errors are
/// those of its numbers as they are. Beside what is measured there is what the second order predicts: ½ tr(G E H Eᵀ), with the error E of
/// a layer's weights and the means H of products of its inputs and G of those of its outputs' gradients (``OutputSketch``).
/// It takes positions to be independent: what attention averages, errors of keys and values, it takes for more than it is.
package struct LayerEffects: Sendable {
  package struct LayerEffect: Sendable {
    package let name: String
    /// The root of the mean square of what its outputs are off over that of its outputs; nil for rows that are looked up, and for
    /// experts that no position went through.
    package let outputError: Double?
    /// Nats; nil where no gradient is known: of matrices outside of blocks, of models that Furl does not train or that are too
    /// large for that, and of experts that no position went through.
    package let predicted: Double?
    /// The KL divergence in nats with this matrix alone replaced.
    package let divergence: Double
  }

  /// Of the matrices that differ, in the order of the model.
  package let layers: [LayerEffect]
  /// The KL divergence in nats with everything replaced.
  package let divergence: Double
  /// Tokens that were read.
  package let positions: Int

  /// The most bytes of a text that are read.
  private static let textLimit = 256 << 20
  /// Tokens of a sequence at most.
  private static let length = 256
  /// Multiplications that all measurements together may take, about, as far as the least positions of one allow.
  private static let work = 4e12
  private static let positionRange = 512...8192
  /// Bytes of a model in FP32 and of the moments of its outputs, beyond which nothing is predicted.
  private static let sketchBytes = 4 << 30

  /// - Parameters:
  ///   - file: a model with the tensors of the checkpoint.
  ///   - difference: of the two.
  ///   - path: of a text in UTF-8 that both read, at least one sequence.
  /// - Throws: ``FurlError`` of kind `usage` where the other model is no checkpoint or has other tensors, or the first one was made
  ///   with `method: awq` (which a checkpoint that it was exported to does not say); `input` where the text cannot be read or is
  ///   too short.
  package init(
    _ file: ModelFile, against original: ModelFile, _ difference: ModelDifference, textAt path: String,
    pool: WorkerPool,
    progress: (_ tensor: String, _ done: Int, _ of: Int) -> Void = { _, _, _ in }
  ) throws {
    let run = try EffectRun(file, original, difference, pool)
    let bytes = try MappedFile(path: path).readAll(limit: LayerEffects.textLimit)
    guard let text = String(validating: bytes, as: UTF8.self) else { throw FurlError.input(path, "is not UTF-8") }
    let sequences = try run.sequences(of: text, name: path)
    positions = sequences.reduce(0) { $0 + $1.count }
    (layers, divergence) = try run.measure(sequences, progress)
  }

  /// The measurement at work.
  private final class EffectRun {
    private let checkpoint: Checkpoint
    private let spec: ModelSpec
    private let pool: WorkerPool
    private let math: DenseMath
    private let context: ComputeContext
    private var matrices: [String: PackedMatrix] = [:]
    private var vectors: [String: FloatVector] = [:]
    /// Those that differ.
    private var others: [String: PackedMatrix] = [:]
    private var otherVectors: [String: FloatVector] = [:]
    private var errors: [String: EffectErrors] = [:]

    private struct EffectErrors {
      let output: Double
      let predicted: Double?
    }

    init(_ file: ModelFile, _ original: ModelFile, _ difference: ModelDifference, _ pool: WorkerPool) throws {
      guard case .checkpoint(let checkpoint) = original else {
        throw FurlError(
          .usage, file: original.path, "--text needs a checkpoint to compare with",
          remedy: "name the one it was made from")
      }
      (self.checkpoint, self.pool, spec) = (checkpoint, pool, checkpoint.spec)
      guard file.spec.blocks == spec.blocks, difference.onlyInFirst.isEmpty, difference.onlyInSecond.isEmpty else {
        throw FurlError(
          .usage, file: file.path, "has other layers than \(original.path), so that no layer can be replaced",
          remedy: "leave --text out")
      }
      guard try !EffectRun.scalesChannels(file) else {
        throw FurlError(
          .usage, file: file.path, "was made with method: awq, whose matrices make up for each other's factors",
          remedy: "leave --text out: none of them means anything alone")
      }
      let kernels = try Kernels.forTransforms()
      math = DenseMath(pool: pool, kernels: kernels)
      context = ComputeContext(pool: pool, kernels: kernels)
      let scheme = SensitivityProbe.scheme(for: spec)
      let differing = Set(difference.tensors.filter { !$0.isEqual }.map(\.name))
      for tensor in spec.tensors {
        if tensor.shape.count == 2 {
          matrices[tensor.name] = try checkpoint.matrix(tensor, scheme: scheme, pool: pool)
          guard differing.contains(tensor.name) else { continue }
          others[tensor.name] =
            switch file {
            case .checkpoint(let other): try other.matrix(tensor, scheme: scheme, pool: pool)
            case .artifact(let weights): try weights.matrix(tensor, pool: pool)
            }
        } else {
          vectors[tensor.name] = try checkpoint.vector(tensor)
          guard differing.contains(tensor.name) else { continue }
          otherVectors[tensor.name] =
            switch file {
            case .checkpoint(let other): try other.vector(tensor)
            case .artifact(let weights): try weights.vector(tensor)
            }
        }
      }
    }

    /// Whether columns of some matrices were multiplied with what rows of others, or norms, were divided by.
    private static func scalesChannels(_ file: ModelFile) throws -> Bool {
      guard case .artifact(let weights) = file else { return false }
      let recipe = try JSON.parse(Array(weights.artifact.description.recipe.text.utf8), file: file.path)
      return recipe["steps"]?.array?.contains { $0["quantize"]?["method"]?.string == "awq" } ?? false
    }

    // MARK: The text

    /// Pieces of one length from all over the text, with the token before each that the model begins a text with.
    func sequences(of text: String, name: String) throws -> [[Int]] {
      let tokenizer = try ModelFile.checkpoint(checkpoint).tokenizer()
      let begin = tokenizer.addsBOS ? tokenizer.bosID.map { [$0] } ?? [] : []
      let ids = tokenizer.encode(text, bos: .never)
      try tokenizer.check(begin + ids, rows: spec.vocabularySize, file: name)
      let step = min(LayerEffects.length, spec.contextLength) - begin.count
      let count = step > 0 ? ids.count / step : 0
      guard count > 0 else {
        throw FurlError.input(
          name, "has \(ids.count) tokens; \(max(1, step)) are the least to measure on", remedy: "give a longer text")
      }
      let wanted = LayerEffects.work / Double(spec.parameterCount) / Double(others.count + 1)
      let range = LayerEffects.positionRange
      let positions = Int(min(max(wanted, Double(range.lowerBound)), Double(range.upperBound)))
      let some = min(count, max(1, positions / (step + begin.count)))
      return (0..<some).map { index in
        let start = index * count / some * step
        return begin + ids[start..<start + step]
      }
    }

    // MARK: Measuring

    func measure(
      _ sequences: [[Int]], _ progress: (String, Int, Int) -> Void
    ) throws -> (layers: [LayerEffect], divergence: Double) {
      let sketch = try sketch(sequences)
      let probe = try SensitivityProbe(
        spec, matrices: matrices, vectors: vectors, sequences: sequences, context: context
      ) { [self] walk, block, site in try look(walk, block, site, sketch) }
      try lookAtHead(probe)
      let names = spec.tensors.map(\.name).filter { others[$0] != nil }
      let layers = try names.enumerated().map { index, name in
        progress(name, index, names.count)
        return LayerEffect(
          name: name, outputError: errors[name]?.output, predicted: errors[name]?.predicted,
          divergence: try probe.divergence(replacing: others.filter { $0.key == name }))
      }
      return (layers, try probe.divergence(replacing: others, vectors: otherVectors))
    }

    private func sketch(_ sequences: [[Int]]) throws -> OutputSketch? {
      guard TrainingPass.untrainable(spec) == nil else { return nil }
      let layers = spec.tensors.filter { $0.block != nil && $0.role != .inputTable && others[$0.name] != nil }
      let bytes = 4 * (spec.parameterCount + layers.reduce(0) { $0 + $1.shape[0] * $1.shape[0] })
      guard !layers.isEmpty, bytes <= LayerEffects.sketchBytes else { return nil }
      return try OutputSketch(
        .init(spec, layers: Set(layers.map(\.name)), includesEmbedding: false, sequences: sequences, seed: 0) {
          [checkpoint] in try checkpoint.source($0)
        }, math: math)
    }

    /// Looks at what the layers read at a place of a block that is being walked.
    private func look(_ walk: BlockWalk, _ block: Int, _ site: ReadingSite, _ sketch: OutputSketch?) throws {
      let wanted = spec.readers(of: site, in: block).filter { others["blocks.\(block)." + $0.name] != nil }
      guard let first = wanted.first else {
        if walk.isNeeded(site) { walk.visit(site) { _, _ in } }
        return
      }
      let moments = try SecondMoments(columns: first.columns, extent: .full)
      walk.visit(site) { rows, count in moments.add(rows, count: count, on: math) }
      for layer in wanted {
        try note("blocks.\(block)." + layer.name, moments, sketch, positions: walk.positionCount)
      }
    }

    private func lookAtHead(_ probe: SensitivityProbe) throws {
      guard others["head"] != nil else { return }
      let moments = try SecondMoments(columns: spec.hiddenSize, extent: .full)
      try probe.visitHead { rows, count in moments.add(rows, count: count, on: math) }
      try note("head", moments, nil, positions: moments.count)
    }

    /// Rows of a matrix that are looked at together: of a head there may be hundreds of thousands.
    private static let rowsAtOnce = 4096

    /// What a layer's outputs are off, and what that is predicted to do.
    private func note(_ name: String, _ moments: SecondMoments, _ sketch: OutputSketch?, positions: Int) throws {
      // An expert that no position went through gives nothing.
      guard moments.count > 0, let other = others[name] else { return }
      let outputs = sketch?.moments(of: name)
      let source = try checkpoint.source(name)
      defer { source.drop() }
      let piece = outputs == nil ? min(other.rows, EffectRun.rowsAtOnce) : other.rows
      var (error, size) = (0.0, 0.0)
      var predicted: Double?
      for start in stride(from: 0, to: other.rows, by: piece) {
        let range = start..<min(start + piece, other.rows)
        let values = turned(source.read(rows: range), range.count)
        let differences = zip(values, turned(other.read(rows: range, pool: pool), range.count)).map { $0 - $1 }
        error += try moments.outputError(differences, rows: range.count, on: math)
        size += try moments.outputError(values, rows: range.count, on: math)
        if let outputs {
          let share = Double(moments.count) / Double(positions)
          predicted = EffectRun.size(try 0.5 * share * moments.outputError(differences, outputs: outputs, on: math))
        }
      }
      let share = size > 0 ? EffectRun.size(error / size) : error == 0 ? 0 : .infinity
      errors[name] = EffectErrors(output: share.squareRoot(), predicted: predicted)
    }

    /// What rounding has put below zero is zero; what is no number is not: damage must not look like agreement.
    private static func size(_ number: Double) -> Double { number.isFinite ? max(0, number) : .infinity }

    /// [columns][rows] of [rows][columns].
    private func turned(_ rows: [Float], _ count: Int) -> [Float] {
      let columns = rows.count / max(1, count)
      var result = [Float](repeating: 0, count: rows.count)
      for row in 0..<count {
        for column in 0..<columns { result[column * count + row] = rows[row * columns + column] }
      }
      return result
    }
  }

  /// JSON has no infinity.
  private static func figure(_ number: Double?) -> JSON { number.map { .number(min($0, 1e9)) } ?? .null }

  package var json: JSON {
    [
      "positions": .integer(positions), "kl_divergence": .number(divergence),
      "tensors": .array(
        layers.map {
          [
            "name": .string($0.name), "output_error": LayerEffects.figure($0.outputError),
            "kl_divergence_predicted": LayerEffects.figure($0.predicted), "kl_divergence": .number($0.divergence),
          ]
        }),
    ]
  }
}
