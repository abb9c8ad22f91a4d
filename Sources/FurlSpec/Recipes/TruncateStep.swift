import FurlBase

/// Removes whole blocks.
public struct TruncateStep: Sendable {
  /// Which blocks go.
  public enum Blocks: Sendable, Hashable {
    /// So many at the end.
    case last(Int)
    /// These, counted from 0.
    case listed([Int])
    /// The run of so many that turns the hidden state by the least angle.
    case angular(Int)
    /// So many, each time the one without which the model's predictions change least.
    case kl(Int)
  }

  /// What stands in for them.
  public enum Heal: String, Sendable, CaseIterable {
    case none
    /// A linear map by least squares.
    case linear
  }

  public let blocks: Blocks
  public let heal: Heal
  package let location: DocumentLocation

  private enum Choice { case last, angular, kl }

  init(_ reader: DocumentReader) throws {
    let choose = try reader.word("choose", ["last": Choice.last, "angular": .angular, "kl": .kl])
    heal = try reader.word("heal", ["none": Heal.none, "linear": .linear]) ?? .none
    switch try reader.required("blocks") {
    case .integer(let count):
      guard count >= 1 else { throw reader.error("blocks", "\(count) is out of range", remedy: "allowed: 1 and more") }
      switch choose ?? .last {
      case .last: blocks = .last(count)
      case .angular: blocks = .angular(count)
      case .kl: blocks = .kl(count)
      }
    case .array(let list):
      let numbers = list.compactMap(\.integer)
      guard numbers.count == list.count, !numbers.isEmpty, Set(numbers).count == numbers.count,
        numbers.allSatisfy({ $0 >= 0 })
      else { throw reader.error("blocks", "a list of different block numbers is expected") }
      guard choose == nil else { throw reader.error("choose", "has no meaning beside a list of blocks") }
      blocks = .listed(numbers.sorted())
    case let other: throw reader.error("blocks", "a whole number or a list is expected, not \(other.kindName)")
    }
    try reader.finish()
    location = reader.location
  }

  /// Whether the model has to be computed for it.
  var needsCalibration: Bool {
    switch blocks {
    case .last, .listed: heal != .none
    case .angular, .kl: true
    }
  }

  /// The blocks that stay, out of `count`, as far as that is known before anything is measured: of blocks that are
  /// chosen by measurements, as many at the end.
  ///
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when a block does not exist or none would stay.
  package func remaining(of count: Int) throws -> [Int] {
    switch blocks {
    case .last(let gone), .angular(let gone), .kl(let gone):
      guard gone < count else {
        throw location.error(
          "blocks", "\(gone) of \(count) blocks would leave none", remedy: "allowed: 1 to \(count - 1)")
      }
      return Array(0..<count - gone)
    case .listed(let gone):
      if let bad = gone.first(where: { $0 >= count }) {
        throw location.error("blocks", "there is no block \(bad)", remedy: "the model has blocks 0 to \(count - 1)")
      }
      guard gone.count < count else { throw location.error("blocks", "no block would be left") }
      return (0..<count).filter { !gone.contains($0) }
    }
  }

  var json: JSON {
    let heal = JSON.string(heal.rawValue)
    return switch blocks {
    case .last(let count): ["blocks": .integer(count), "choose": "last", "heal": heal]
    case .angular(let count): ["blocks": .integer(count), "choose": "angular", "heal": heal]
    case .kl(let count): ["blocks": .integer(count), "choose": "kl", "heal": heal]
    case .listed(let list): ["blocks": .array(list.map(JSON.integer)), "heal": heal]
    }
  }
}
