import FurlBase

/// How many positions of a calibration went through each expert, and what was done about those that saw few.
///
/// Second moments of few rows say little: of as many columns as rows half is chance, and of no rows there are none. An
/// expert with fewer than ``rowsPerColumn`` rows for each column of a layer reads others' positions, too, taken evenly from
/// all of the calibration, until it has so many: what it would make of them had the router sent them there. That is the mean
/// of its own moments and of those of all positions, weighed by their rows (a linear shrinkage, Ledoit and Wolf 2004), and
/// leaves experts that saw enough as they are.
struct ExpertCoverage: Sendable {
  /// Rows for each column that are enough.
  static let rowsPerColumn = 4

  /// An expert that saw too few.
  struct Scarce: Sendable, Hashable {
    /// `blocks.3.mlp.experts.5`
    let name: String
    let tokens: Int
    /// Others' positions that were added, the most of any of its layers.
    var added: Int
  }

  /// By the experts' names.
  private var tokens: [String: Int] = [:]
  private var order: [String] = []
  private var scarce: [String: Scarce] = [:]
  private var positions = 0

  init() {}

  /// What ``json`` says of another; nothing where there were no experts.
  init(_ json: JSON?) {
    positions = json?["positions"]?.integer ?? 0
    for entry in json?["tokens"]?.array ?? [] {
      guard let name = entry["expert"]?.string, let count = entry["tokens"]?.integer else { continue }
      if tokens.updateValue(count, forKey: name) == nil { order.append(name) }
    }
    for entry in json?["few"]?.array ?? [] {
      guard let name = entry["expert"]?.string, let count = entry["tokens"]?.integer,
        let added = entry["others_added"]?.integer
      else { continue }
      scarce[name] = Scarce(name: name, tokens: count, added: added)
    }
  }

  /// The positions that an expert learns from beside its own, ascending.
  ///
  /// - Parameters:
  ///   - own: how many go through it.
  ///   - columns: of the layer.
  ///   - positions: that there are.
  static func others(own: Int, columns: Int, positions: Int) -> [Int] {
    let wanted = min(max(0, rowsPerColumn * columns - own), positions)
    return (0..<wanted).map { $0 * positions / wanted }
  }

  /// Takes down what an expert has seen.
  ///
  /// - Parameter name: of a tensor of its.
  mutating func note(_ name: String, tokens count: Int, others: Int, positions: Int) {
    let expert = name.split(separator: ".").dropLast().joined(separator: ".")
    self.positions = positions
    if tokens.updateValue(count, forKey: expert) == nil { order.append(expert) }
    guard others > 0 else { return }
    scarce[expert, default: Scarce(name: expert, tokens: count, added: 0)].added = max(
      others, scarce[expert]?.added ?? 0)
  }

  /// The fewest positions that went through an expert; nil where there are no experts.
  var least: Int? { tokens.values.min() }

  /// Experts that saw too few, in the order of the model.
  var few: [Scarce] { order.compactMap { scarce[$0] } }

  /// What a person should know.
  var notes: [String] {
    let few = few
    guard let least, !few.isEmpty else { return [] }
    let named = few.prefix(3).map { "\($0.name) (\($0.tokens))" }.joined(separator: ", ")
    return [
      "\(few.count) of \(order.count) experts saw few of the \(positions) positions of the calibration, \(least) at least, "
        + "and were calibrated with others' positions beside their own: \(named)\(few.count > 3 ? ", ..." : "")"
    ]
  }

  /// What an artifact says; nil where there are no experts.
  var json: JSON? {
    guard let least else { return nil }
    return [
      "positions": .integer(positions), "experts": .integer(order.count), "least_tokens": .integer(least),
      "tokens": .array(
        order.map { ["expert": .string($0), "tokens": .integer(tokens[$0] ?? 0)] }),
      "few": .array(
        few.map {
          ["expert": .string($0.name), "tokens": .integer($0.tokens), "others_added": .integer($0.added)]
        }),
    ]
  }
}
