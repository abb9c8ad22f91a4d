/// How the weights of a matrix are written down: a coding and the size of its blocks.
///
/// The name (`int4:32`, `int8:row`, `float32`) is what artifacts and reports say.
public struct Scheme: Sendable, Hashable, CustomStringConvertible {
  /// How many columns of a row share a scale.
  public enum Block: Sendable, Hashable {
    case columns(Int)
    case row
  }

  /// The sizes of blocks that there are.
  public static let blockSizes = [32, 64, 128]

  /// The name of the coding: `float32`, `int8`, `int4`, `int4-minimum`.
  public let codingName: String
  /// Columns that share a scale; nil for `float32`, which has none.
  public let block: Block?

  private init(coding: any Coding.Type, block: Block?) {
    if case .columns(let size) = block {
      precondition(Scheme.blockSizes.contains(size), "blocks have 32, 64 or 128 columns")
    }
    codingName = coding.name
    self.block = block
  }

  public static let float32 = Scheme(coding: Float32Coding.self, block: nil)
  /// (code - 128) * scale, codes 1...255.
  public static func int8(_ block: Block) -> Scheme { Scheme(coding: Int8Coding.self, block: block) }
  /// (code - 8) * scale with a signed scale.
  public static func int4(_ block: Block) -> Scheme { Scheme(coding: Int4Coding.self, block: block) }
  /// code * scale + minimum.
  public static func int4Minimum(_ block: Block) -> Scheme { Scheme(coding: Int4MinimumCoding.self, block: block) }

  /// Whether codes stand for multiples above a minimum, and zero need not be one of them.
  public var hasMinimum: Bool { coding.scaleCount > 1 }

  /// The scheme of a name; nil if there is none.
  public init?(name: String) {
    let parts = name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard let coding = Scheme.codings.first(where: { $0.name == parts[0] }) else { return nil }
    switch parts.dropFirst().first {
    case nil where coding.scaleCount == 0: self.init(coding: coding, block: nil)
    case "row" where coding.scaleCount > 0 && parts.count == 2: self.init(coding: coding, block: .row)
    case let text? where coding.scaleCount > 0 && parts.count == 2:
      guard let size = Scheme.blockSizes.first(where: { String($0) == text }) else { return nil }
      self.init(coding: coding, block: .columns(size))
    default: return nil
    }
  }

  public var name: String {
    switch block {
    case nil: codingName
    case .row: codingName + ":row"
    case .columns(let size): "\(codingName):\(size)"
    }
  }

  public var description: String { name }

  /// Every coding; a new one is added here and has a file of its own.
  private static let codings: [any Coding.Type] = [
    Float32Coding.self, Int8Coding.self, Int4Coding.self, Int4MinimumCoding.self,
  ]

  var coding: any Coding.Type { Scheme.codings.first { $0.name == codingName } ?? Float32Coding.self }

  /// Blocks in a row of so many columns. The last one may be shorter.
  func blocks(columns: Int) -> Int {
    switch block {
    case nil: 0
    case .row: 1
    case .columns(let size): (columns + size - 1) / size
    }
  }

  /// Column tiles in a block.
  func blockTiles(columns: Int) -> Int {
    switch block {
    case nil, .row: max(1, (columns + Tile.columns - 1) / Tile.columns)
    case .columns(let size): size / Tile.columns
    }
  }
}

/// The tile that every ISA shares: 16 rows x 32 columns.
enum Tile {
  static let rows = 16
  static let columns = 32
}
