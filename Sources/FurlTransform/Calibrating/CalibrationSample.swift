import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
import FurlTokenizer

/// The sequences that a model reads while it is compressed.
struct CalibrationSample: Sendable {
  let settings: CalibrationSettings
  /// [samples][length] ids.
  let sequences: [[Int]]
  /// Others of the text, as long, to measure on; none of ``sequences`` unless the text has no others.
  let probes: [[Int]]
  /// The base name of the file or the folder.
  let name: String
  let bytes: Int
  /// Of the file; of a folder, of the digests and names of its files.
  let digest: Digest

  /// Cuts a text into sequences without overlap and draws some of them, in their order. A tokenizer's begin-of-text
  /// token goes before each sequence where its configuration puts one before a text.
  ///
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when the text is too short or a sequence longer than
  ///   the model's context; for a text that is missing or no UTF-8, with its name.
  init(_ settings: CalibrationSettings, for checkpoint: Checkpoint, tokenizer: Tokenizer) throws {
    guard settings.length <= checkpoint.spec.contextLength else {
      throw settings.location.error(
        "length", "\(settings.length) tokens are more than the model's context of \(checkpoint.spec.contextLength)")
    }
    let text = try SourceText(
      settings.text, folder: settings.location.folder, checkpointFolder: checkpoint.folder, location: settings.location)
    let ids = tokenizer.encode(text.text, bos: .never)
    let begin = tokenizer.addsBOS ? tokenizer.bosID.map { [$0] } ?? [] : []
    try tokenizer.check(begin + ids, rows: checkpoint.spec.vocabularySize, file: text.name)
    let step = settings.length - begin.count
    let count = ids.count / step
    guard count >= settings.samples else {
      throw settings.location.error(
        "samples", "the text has \(ids.count) tokens, which is \(count) sequences of \(settings.length)",
        remedy: count == 0 ? "give a longer text or shorter sequences" : "give a longer text, or at most \(count)")
    }
    let drawn = CalibrationSample.draw(settings.samples, of: count, seed: settings.seed)
    let rest = Set(0..<count).subtracting(drawn).sorted()
    let others = rest.isEmpty ? drawn : rest
    let some = CalibrationSample.draw(
      min(CalibrationSample.probeCount, others.count), of: others.count, seed: settings.seed)
    sequences = drawn.map { begin + ids[$0 * step..<($0 + 1) * step] }
    probes = some.map { begin + ids[others[$0] * step..<(others[$0] + 1) * step] }
    self.settings = settings
    name = text.name
    bytes = text.bytes
    digest = text.digest
  }

  private static let probeCount = 64

  /// As many probes as may be read for each of many measurements.
  ///
  /// - Parameters:
  ///   - probes: all of one length.
  ///   - work: multiplications that all measurements together may take, about.
  ///   - positions: of one measurement, at least and at most.
  static func affordable(
    _ probes: [[Int]], measurements: Int, of spec: ModelSpec, work: Double, positions: ClosedRange<Double>
  ) -> [[Int]] {
    let wanted = work / Double(spec.parameterCount) / Double(max(1, measurements))
    let count = Int(min(max(wanted, positions.lowerBound), positions.upperBound))
    return Array(probes.prefix(max(1, count / max(1, probes.first?.count ?? 1))))
  }

  /// Some of 0..<count, each at most once, in their order.
  static func draw(_ some: Int, of count: Int, seed: Int) -> [Int] {
    var generator = SplitMix64(seed: UInt64(bitPattern: Int64(seed)))
    var all = Array(0..<count)
    for index in 0..<some {
      let left = UInt64(count - index)
      // As good as even: 2^64 is far from any number of sequences.
      all.swapAt(index, index + Int(generator.next().multipliedFullWidth(by: left).high))
    }
    return all.prefix(some).sorted()
  }

  /// What an artifact says about it.
  var json: JSON {
    [
      "name": .string(name), "bytes": .integer(bytes), "sha256": .string(digest.hex),
      "samples": .integer(settings.samples), "length": .integer(settings.length), "seed": .integer(settings.seed),
    ]
  }
}
