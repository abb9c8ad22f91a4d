package import FurlBase

/// How a model is trained: `train` of a step.
package struct TrainSettings: DeclaredDocument, Sendable {
  /// A text, and how much of the training comes from it.
  package struct Source: DeclaredDocument, Sendable, Hashable {
    package fileprivate(set) var text = CalibrationSettings.Text.bundled
    /// Against the other texts' shares.
    package fileprivate(set) var share = 1.0

    package init() {}

    package static let declaration = Declaration<Source>("source", "One of several texts to train on.") {
      Field("text", \.text, .source, "As the `text` of a calibration.", absent: .refused())
      Field(
        "share", \.share, .number(in: 1e-6...1e6), "How much comes from it, against the others.", absent: .refused())
    }
  }

  package private(set) var sources: [Source] = []
  /// The text that losses are measured on; it has to be another one than those that are trained on.
  package private(set) var heldOut: CalibrationSettings.Text?
  /// Changes of the weights.
  package private(set) var steps = 1
  /// Sequences of a step.
  package private(set) var batch = 8
  /// Parts that the batch is computed in, one after the other, which saves memory.
  package private(set) var accumulate = 1
  /// Tokens of a sequence.
  package private(set) var length = 256
  /// The highest learning rate.
  package private(set) var rate = 0.0
  /// Steps in which the rate rises; from there it falls to zero along half a cosine.
  package private(set) var warmup = 0
  /// Weight decay of matrices.
  package private(set) var decay = 0.01
  /// The largest norm of a step's gradient; 0: any.
  package private(set) var clip = 1.0
  package private(set) var seed = 0
  package private(set) var location = DocumentLocation.none

  package init() {}

  package static let declaration = Declaration<TrainSettings>("train", "How a model is trained.") {
    Field(
      "text", \.sources, .sources,
      "What is trained on: as the `text` of a calibration, or 1 to 100 texts with their shares.",
      absent: .refused(remedy: "name a file, a folder of sources, checkpoint:FILE, or a list of {text, share}"))
    Field("held_out", \.heldOut, .source, "Another text, which losses are measured on.")
    Field(
      "steps", \.steps, .integer(in: 1...10_000_000, unit: "steps"), "How often the weights are changed.",
      absent: .refused())
    Field("batch", \.batch, .integer(in: 1...65536, unit: "sequences"), "How much a step reads.")
    Field(
      "accumulate", \.accumulate, .integer(in: 1...65536),
      "A divisor of `batch`: parts that it is computed in, to save memory.")
    Field("length", \.length, .integer(in: 8...65536, unit: "tokens"), "How long a sequence is.")
    Field("rate", \.rate, .number(in: 1e-9...1), "The highest learning rate.", absent: .refused())
    Field(
      "warmup", \.warmup, .integer(in: 0...10_000_000, unit: "steps"),
      "How long the rate rises, less than `steps`; then it falls to zero along half a cosine.",
      absent: .derived("a twentieth of `steps`, at most 100") { min(100, $0.steps / 20) })
    Field("decay", \.decay, .number(in: 0...1), "Weight decay of matrices.")
    Field("clip", \.clip, .number(in: 0...1e6), "The largest norm of a step's gradient; 0: any.")
    Field("seed", \.seed, .integer(in: 0...Int.max), "Begins the draws of which sequences are read.")
    Field.check { train, reader in
      guard train.batch % train.accumulate == 0 else {
        throw reader.error(
          "accumulate", "\(train.batch) sequences cannot be computed in \(train.accumulate) equal parts",
          remedy: "give a divisor of batch")
      }
      guard train.warmup < train.steps else {
        throw reader.error("warmup", "\(train.warmup) of \(train.steps) steps leave none to train at the full rate")
      }
      train.location = reader.location
    }
  }

  /// The rate of a step, counted from 0.
  package func rate(at step: Int) -> Double {
    if step < warmup { return rate * Double(step + 1) / Double(warmup) }
    let progress = Double(step - warmup) / Double(max(1, steps - warmup))
    return rate * 0.5 * (1 + cosine(Double.pi * progress))
  }
}

extension ValueCodec<[TrainSettings.Source]> {
  /// One text, or several with shares.
  fileprivate static var sources: ValueCodec {
    let one = ValueCodec<CalibrationSettings.Text>.source
    let several = documents()
    return ValueCodec(
      .any(of: [one.outline, several.outline]),
      read: { reader, key in
        guard case .array? = reader.optional(key) else {
          return try one.read(reader, key).map { text in
            var source = TrainSettings.Source()
            source.text = text
            return [source]
          }
        }
        let list = try several.read(reader, key) ?? []
        guard (1...100).contains(list.count) else { throw reader.error(key, "1 to 100 texts are expected") }
        return list
      }, write: { $0.count == 1 && $0[0].share == 1 ? one.write($0[0].text) : several.write($0) })
  }
}

/// cos x by its series: the same bits on every machine, whose libraries differ in the last one.
private func cosine(_ x: Double) -> Double {
  var term = 1.0
  var sum = 1.0
  for k in stride(from: 2.0, through: 40, by: 2) {
    term *= -x * x / (k * (k - 1))
    sum += term
  }
  return sum
}
