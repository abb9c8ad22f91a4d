import FurlSpec
import FurlTensor

/// Removes whole blocks.
public struct TruncateStep: Sendable {
  /// Which blocks go.
  public enum Blocks: Sendable, Hashable {
    /// So many at the end.
    case last(Int)
    /// These, counted from 0.
    case listed([Int])
  }

  public let blocks: Blocks
  private let location: DocumentLocation

  init(_ reader: DocumentReader) throws {
    let choose: String? = try reader.word("choose", ["last": "last"], later: ["angular", "kl"])
    _ = try reader.word("heal", ["none": "none"], later: ["linear"])
    switch try reader.required("blocks") {
    case .integer(let count):
      guard count >= 1 else { throw reader.error("blocks", "\(count) is out of range", remedy: "allowed: 1 and more") }
      blocks = .last(count)
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

  /// The blocks that stay, out of `count`.
  ///
  /// - Throws: ``FurlError`` of kind `input` at the recipe's line when a block does not exist or none would stay.
  func remaining(of count: Int) throws -> [Int] {
    switch blocks {
    case .last(let gone):
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
    switch blocks {
    case .last(let count): ["blocks": .integer(count), "choose": "last", "heal": "none"]
    case .listed(let list): ["blocks": .array(list.map(JSON.integer)), "heal": "none"]
    }
  }
}
