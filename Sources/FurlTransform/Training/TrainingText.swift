import FurlBase
import FurlSpec
import FurlTensor
import FurlTokenizer

/// The tokens that a model is trained on, and which of them each step reads.
struct TrainingText: Sendable {
  /// A text as one run of tokens.
  struct TextStream: Sendable {
    let ids: [Int32]
    /// Where its share ends, of 0...1.
    let end: Double
    let text: SourceText
  }

  let streams: [TextStream]
  private let settings: TrainSettings

  /// Reads and encodes the texts. Special tokens in them (`<s>`) are taken as such, and none is added.
  ///
  /// - Parameter rows: of the model: tokens without one are refused.
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line for a text that is missing or shorter than a sequence.
  init(_ settings: TrainSettings, checkpointFolder: String, tokenizer: Tokenizer, rows: Int) throws {
    self.settings = settings
    let total = settings.sources.reduce(0) { $0 + $1.share }
    var end = 0.0
    streams = try settings.sources.map { source in
      end += source.share / total
      let text = try SourceText(
        source.text, folder: settings.location.folder, checkpointFolder: checkpointFolder, location: settings.location)
      let all = tokenizer.encode(text.text, bos: .never)
      try tokenizer.check(all, rows: rows, file: text.name)
      let ids = all.map { Int32($0) }
      guard ids.count > settings.length else {
        throw settings.location.error(
          "text",
          "\(text.name) has \(ids.count) tokens, which is less than a sequence of \(settings.length) and the next",
          remedy: "give a longer text or shorter sequences")
      }
      return TextStream(ids: ids, end: end, text: text)
    }
  }

  /// The sequences of a step: [batch][length] and the token after each, the same whenever and wherever it is asked for.
  func batch(step: Int) -> [[Int]] {
    // Two numbers for each sequence.
    var draws = SplitMix64(
      seed: UInt64(bitPattern: Int64(settings.seed)), skipping: UInt64(step) * UInt64(settings.batch) * 2)
    return (0..<settings.batch).map { _ in
      let share = draws.unit()
      let stream = streams.first { share < $0.end } ?? streams[streams.count - 1]
      let places = UInt64(stream.ids.count - settings.length)
      let start = Int(draws.next().multipliedFullWidth(by: places).high)
      return stream.ids[start...start + settings.length].map { Int($0) }
    }
  }

  /// What an artifact says about it.
  var json: JSON {
    .array(
      streams.map {
        [
          "name": .string($0.text.name), "bytes": .integer($0.text.bytes), "sha256": .string($0.text.digest.hex),
          "tokens": .integer($0.ids.count),
        ]
      })
  }
}

/// Sequences that losses are measured on.
struct HeldOutText: Sendable {
  /// [sequences][length + 1]
  let sequences: [[Int]]
  let text: SourceText

  /// The most sequences.
  private static let limit = 64

  /// Cuts a text into sequences without overlap, which are spread over it where there are too many.
  init?(_ settings: TrainSettings, checkpointFolder: String, tokenizer: Tokenizer, rows: Int) throws {
    guard let heldOut = settings.heldOut else { return nil }
    text = try SourceText(
      heldOut, folder: settings.location.folder, checkpointFolder: checkpointFolder, location: settings.location,
      key: "held_out")
    let ids = tokenizer.encode(text.text, bos: .never)
    try tokenizer.check(ids, rows: rows, file: text.name)
    let count = (ids.count - 1) / settings.length
    guard count > 0 else {
      throw settings.location.error(
        "held_out",
        "\(text.name) has \(ids.count) tokens, which is less than a sequence of \(settings.length) and the next")
    }
    let taken = min(count, HeldOutText.limit)
    sequences = (0..<taken).map { index in
      let start = index * count / taken * settings.length
      return Array(ids[start...start + settings.length])
    }
  }
}
