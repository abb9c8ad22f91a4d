import FurlBase

/// How a model is trained: `train` of a step.
public struct TrainSettings: Sendable {
  /// A text, and how much of the training comes from it.
  public struct Source: Sendable, Hashable {
    public let text: CalibrationSettings.Text
    /// Against the other texts' shares.
    public let share: Double
  }

  public let sources: [Source]
  /// The text that losses are measured on; it has to be another one than those that are trained on.
  public let heldOut: CalibrationSettings.Text?
  /// Changes of the weights.
  public let steps: Int
  /// Sequences of a step.
  public let batch: Int
  /// Parts that the batch is computed in, one after the other, which saves memory.
  public let accumulate: Int
  /// Tokens of a sequence.
  public let length: Int
  /// The highest learning rate.
  public let rate: Double
  /// Steps in which the rate rises; from there it falls to zero along half a cosine.
  public let warmup: Int
  /// Weight decay of matrices.
  public let decay: Double
  /// The largest norm of a step's gradient; 0: any.
  public let clip: Double
  public let seed: Int
  package let location: DocumentLocation
  /// The folder that paths are relative to; nil: the working directory.
  package let folder: String?

  init(_ reader: DocumentReader) throws {
    func required<Value>(_ key: String, _ value: Value?) throws -> Value {
      guard let value else { throw reader.error(key, "is missing") }
      return value
    }
    sources = try TrainSettings.sources(reader)
    heldOut = try reader.string("held_out").map { try .init($0, key: "held_out", reader) }
    steps = try required("steps", try reader.integer("steps", in: 1...10_000_000))
    batch = try reader.integer("batch", in: 1...65536) ?? 8
    accumulate = try reader.integer("accumulate", in: 1...65536) ?? 1
    length = try reader.integer("length", in: 8...65536) ?? 256
    rate = try required("rate", try reader.number("rate", in: 1e-9...1))
    warmup = try reader.integer("warmup", in: 0...10_000_000) ?? min(100, steps / 20)
    decay = try reader.number("decay", in: 0...1) ?? 0.01
    clip = try reader.number("clip", in: 0...1e6) ?? 1
    seed = try reader.integer("seed", in: 0...Int.max) ?? 0
    guard batch % accumulate == 0 else {
      throw reader.error(
        "accumulate", "\(batch) sequences cannot be computed in \(accumulate) equal parts",
        remedy: "give a divisor of batch")
    }
    guard warmup < steps else {
      throw reader.error("warmup", "\(warmup) of \(steps) steps leave none to train at the full rate")
    }
    try reader.finish()
    location = reader.location
    folder = reader.file.flatMap { file in file.lastIndex(of: "/").map { String(file[..<$0]) } }
  }

  /// `text`: one text, or several with shares.
  private static func sources(_ reader: DocumentReader) throws -> [Source] {
    if case .array? = reader.optional("text") {
      let list = try reader.readers("text") ?? []
      guard !list.isEmpty, list.count <= 100 else { throw reader.error("text", "1 to 100 texts are expected") }
      return try list.map { entry in
        guard let word = try entry.string("text") else { throw entry.error("text", "is missing") }
        guard let share = try entry.number("share", in: 1e-6...1e6) else { throw entry.error("share", "is missing") }
        try entry.finish()
        return Source(text: try .init(word, key: "text", entry), share: share)
      }
    }
    guard let word = try reader.string("text") else {
      throw reader.error(
        "text", "is missing", remedy: "name a file, a folder of sources, checkpoint:FILE, or a list of {text, share}")
    }
    return [Source(text: try .init(word, key: "text", reader), share: 1)]
  }

  /// The rate of a step, counted from 0.
  package func rate(at step: Int) -> Double {
    if step < warmup { return rate * Double(step + 1) / Double(warmup) }
    let progress = Double(step - warmup) / Double(max(1, steps - warmup))
    return rate * 0.5 * (1 + cosine(Double.pi * progress))
  }

  /// The settings with every default spelled out, in the keys that a recipe has.
  package var json: JSON {
    let text: JSON =
      sources.count == 1 && sources[0].share == 1
      ? .string(sources[0].text.word)
      : .array(sources.map { ["text": .string($0.text.word), "share": .number($0.share)] })
    var members: [JSON.Member] = [.init("text", text)]
    if let heldOut { members.append(.init("held_out", .string(heldOut.word))) }
    members += [
      .init("steps", .integer(steps)), .init("batch", .integer(batch)), .init("accumulate", .integer(accumulate)),
      .init("length", .integer(length)), .init("rate", .number(rate)), .init("warmup", .integer(warmup)),
      .init("decay", .number(decay)), .init("clip", .number(clip)), .init("seed", .integer(seed)),
    ]
    return .object(members)
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
