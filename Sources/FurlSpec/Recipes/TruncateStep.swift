package import FurlBase

/// Removes whole blocks.
package struct TruncateStep: DeclaredDocument, Sendable {
  /// Which blocks go.
  package enum Blocks: Sendable, Hashable {
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
  package enum Heal: String, Sendable, CaseIterable {
    case none
    /// A linear map by least squares.
    case linear
  }

  /// How many go, or which, in their order.
  fileprivate enum Extent: Sendable {
    case count(Int)
    case listed([Int])
  }

  fileprivate enum BlockChoice: String, Sendable, CaseIterable { case last, angular, kl }

  private var extent = Extent.count(1)
  private var choose: BlockChoice?
  package private(set) var heal = Heal.none
  package private(set) var location = DocumentLocation.none

  package init() {}

  package static let declaration = Declaration<TruncateStep>("truncate", "Removes whole blocks.") {
    Field("blocks", \.extent, .extent, "How many go, or a list of which, counted from 0.", absent: .refused())
    Field(
      "choose", \.choose, .word,
      "Which go: the last ones; the run that turns the hidden state least; or those that predictions need least.",
      absent: .derived("last") { $0.isListed ? nil : .last }
    ).only("with a number of blocks", if: { !$0.isListed }) { _ in ("has no meaning beside a list of blocks", nil) }
    Field("heal", \.heal, .word, "What stands in for them: nothing, or a linear map by least squares.")
    Field.check { $0.location = $1.location }
  }

  private var isListed: Bool { if case .listed = extent { true } else { false } }

  package var blocks: Blocks {
    switch (extent, choose) {
    case (.listed(let list), _): .listed(list)
    case (.count(let count), .angular): .angular(count)
    case (.count(let count), .kl): .kl(count)
    case (.count(let count), _): .last(count)
    }
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
}

extension ValueCodec<TruncateStep.Extent> {
  fileprivate static var extent: ValueCodec {
    let list = ValueCodec<[Int]>.different("a list of different block numbers is expected")
    return ValueCodec(
      .any(of: [ValueOutline(schema: ["type": "integer", "minimum": 1]), list.outline]),
      read: { reader, key in
        switch reader.optional(key) {
        case nil: return nil
        case .integer(let count) where count >= 1: return .count(count)
        case .integer(let count):
          throw reader.error(key, "\(count) is out of range", remedy: "allowed: 1 and more")
        case .array: return try list.read(reader, key).map { .listed($0.sorted()) }
        case let other?: throw reader.error(key, "a whole number or a list is expected, not \(other.kindName)")
        }
      },
      write: { extent in
        switch extent {
        case .count(let count): .integer(count)
        case .listed(let numbers): list.write(numbers)
        }
      })
  }
}
