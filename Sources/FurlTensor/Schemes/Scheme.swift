/// How the weights of a matrix are written down: a coding, the size of its blocks and how their scales are stored.
///
/// The name (`int4:32`, `int8:row`, `nf4:64:u8`, `int8:row+12`, `float32`) is what artifacts and reports say.
package struct Scheme: Sendable, Hashable, CustomStringConvertible {
  /// How many columns of a row share a scale.
  package enum Block: Sendable, Hashable {
    case columns(Int)
    case row
  }

  /// How scales and minimums are stored.
  package enum Scales: String, Sendable, Hashable, CaseIterable {
    /// As halves.
    case f16
    /// In 8 bits, as multiples of an FP32 number of their row.
    case u8
  }

  /// The sizes of blocks that there are.
  package static let blockSizes = [32, 64, 128]

  /// The name of the coding: `float32`, `bfloat16`, `int8`, `nested8`, `int6`, `int6-minimum` and the same of 5, 4, 3 and 2 bits,
  /// `nf4`, `fp4`, `codebook4`; and those of GGUF's blocks, `q4_k` and its kin.
  package let codingName: String
  /// Columns that share a scale; nil where weights are numbers themselves, which have none.
  package let block: Block?
  /// Of no meaning where there are none.
  package let scales: Scales
  /// Columns whose weights are kept apart, as halves.
  package let outliers: Int

  init(coding: any Coding.Type, block: Block?, scales: Scales = .f16, outliers: Int = 0) {
    if case .columns(let size) = block {
      precondition(
        Scheme.blockSizes.contains(size) || coding.superBlock?.partColumns == size, "blocks have 32, 64 or 128 columns")
    } else {
      precondition(scales == .f16, "the one scale of a row has nothing to be a multiple of")
    }
    codingName = coding.name
    self.block = block
    self.scales = scales
    self.outliers = outliers
  }

  package static let float32 = Scheme(coding: Float32Coding.self, block: nil)
  /// The upper halves of floats.
  package static let bfloat16 = Scheme(coding: BFloat16Coding.self, block: nil)
  /// (code - 128) * scale, codes 1...255.
  package static func int8(_ block: Block) -> Scheme { Scheme(coding: Int8Coding.self, block: block) }
  /// (10 * (code - 8) + remainder - 8) * scale / 10 with a signed scale; the codes alone are `int4`.
  package static func nested8(_ block: Block) -> Scheme { Scheme(coding: Nested8Coding.self, block: block) }
  /// (code - 32) * scale with a signed scale.
  package static func int6(_ block: Block) -> Scheme { Scheme(coding: Int6Coding.self, block: block) }
  /// code * scale + minimum.
  package static func int6Minimum(_ block: Block) -> Scheme { Scheme(coding: Int6MinimumCoding.self, block: block) }
  /// (code - 16) * scale with a signed scale.
  package static func int5(_ block: Block) -> Scheme { Scheme(coding: Int5Coding.self, block: block) }
  /// code * scale + minimum.
  package static func int5Minimum(_ block: Block) -> Scheme { Scheme(coding: Int5MinimumCoding.self, block: block) }
  /// (code - 8) * scale with a signed scale.
  package static func int4(_ block: Block) -> Scheme { Scheme(coding: Int4Coding.self, block: block) }
  /// code * scale + minimum.
  package static func int4Minimum(_ block: Block) -> Scheme { Scheme(coding: Int4MinimumCoding.self, block: block) }
  /// (code - 4) * scale with a signed scale.
  package static func int3(_ block: Block) -> Scheme { Scheme(coding: Int3Coding.self, block: block) }
  /// code * scale + minimum.
  package static func int3Minimum(_ block: Block) -> Scheme { Scheme(coding: Int3MinimumCoding.self, block: block) }
  /// (code - 2) * scale with a signed scale.
  package static func int2(_ block: Block) -> Scheme { Scheme(coding: Int2Coding.self, block: block) }
  /// code * scale + minimum.
  package static func int2Minimum(_ block: Block) -> Scheme { Scheme(coding: Int2MinimumCoding.self, block: block) }
  /// The 16 values of NF4 * absmax.
  package static func nf4(_ block: Block) -> Scheme { Scheme(coding: NF4Coding.self, block: block) }
  /// The 16 values of FP4 * absmax.
  package static func fp4(_ block: Block) -> Scheme { Scheme(coding: FP4Coding.self, block: block) }
  /// 16 values that each matrix has for itself * the value of the largest magnitude.
  package static func codebook4(_ block: Block) -> Scheme { Scheme(coding: CodebookCoding.self, block: block) }

  /// The scheme of a coding whose scales have one form.
  private init(fixed coding: any Coding.Type) {
    self.init(coding: coding, block: .columns(coding.superBlock?.partColumns ?? Tile.columns))
  }

  /// GGUF's super-blocks of 256 columns: ``SuperBlockForm``.
  package static let q4k = Scheme(fixed: Q4KCoding.self)
  package static let q5k = Scheme(fixed: Q5KCoding.self)
  package static let q6k = Scheme(fixed: Q6KCoding.self)
  package static let q3k = Scheme(fixed: Q3KCoding.self)
  package static let iq4xs = Scheme(fixed: IQ4XSCoding.self)
  /// GGUF's blocks of 32 columns.
  package static let q50 = Scheme(fixed: Q50Coding.self)
  package static let q51 = Scheme(fixed: Q51Coding.self)
  package static let iq4nl = Scheme(fixed: IQ4NLCoding.self)
  package static let mxfp4 = Scheme(fixed: MXFP4Coding.self)

  /// All of these.
  package static let inBlocks = [q4k, q5k, q6k, q3k, iq4xs, q50, q51, iq4nl, mxfp4]

  /// Whether blocks and scales have one form, and scales are always searched for.
  package var isFixed: Bool { if case .open = coding.scaleForm { false } else { true } }

  /// What is in a super-block; nil where there are none.
  package var superBlock: SuperBlockForm? { coding.superBlock }

  /// What the columns of a matrix have to be a multiple of.
  package var columnUnit: Int { isFixed ? superBlock == nil ? Tile.columns : SuperBlockForm.columns : 1 }

  /// Columns of a row whose scales are chosen together.
  package var choiceBlock: Block? { superBlock == nil ? block : .columns(SuperBlockForm.columns) }

  /// Whether scales are stored as codes of one byte.
  var hasScaleCodes: Bool {
    switch coding.scaleForm {
    case .open: scales == .u8
    case .halves: false
    case .exponents, .parts: true
    }
  }

  /// The same with scales in 8 bits; nil where a row or nothing has a scale.
  package var withSmallScales: Scheme? {
    guard case .columns = block, !isFixed else { return nil }
    return Scheme(coding: coding, block: block, scales: .u8)
  }

  /// The most columns that are kept apart.
  package static let outlierLimit = 1 << 20

  /// The same with so many columns kept apart, which `int8` may have; nil in other schemes.
  package func keepingApart(_ columns: Int) -> Scheme? {
    guard codingName == Int8Coding.name, (0...Scheme.outlierLimit).contains(columns) else { return nil }
    return Scheme(coding: coding, block: block, scales: scales, outliers: columns)
  }

  /// Whether codes stand for multiples above a minimum, and zero need not be one of them.
  package var hasMinimum: Bool { coding.scaleCount > 1 }

  /// The scheme of a name; nil if there is none.
  package init?(name: String) {
    if let plus = name.lastIndex(of: "+") {
      let digits = String(name[name.index(after: plus)...])
      guard let count = Int(digits), count > 0, String(count) == digits,
        let scheme = Scheme(name: String(name[..<plus])), scheme.outliers == 0,
        let whole = scheme.keepingApart(count)
      else { return nil }
      self = whole
      return
    }
    let parts = name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard let coding = Scheme.codings.first(where: { $0.name == parts[0] }) else { return nil }
    guard coding.scaleCount > 0 else {
      guard parts.count == 1 else { return nil }
      self.init(coding: coding, block: nil)
      return
    }
    if case .open = coding.scaleForm {
    } else {
      guard parts.count == 1 else { return nil }
      self.init(fixed: coding)
      return
    }
    guard parts.count == 2 || parts.count == 3 else { return nil }
    if parts[1] == "row" {
      guard parts.count == 2 else { return nil }
      self.init(coding: coding, block: .row)
      return
    }
    guard let size = Scheme.blockSizes.first(where: { String($0) == parts[1] }),
      parts.count == 2 || parts[2] == Scales.u8.rawValue
    else { return nil }
    self.init(coding: coding, block: .columns(size), scales: parts.count == 3 ? .u8 : .f16)
  }

  package var name: String {
    let name =
      switch block {
      case nil: codingName
      case .row: codingName + ":row"
      case .columns where isFixed: codingName
      case .columns(let size): "\(codingName):\(size)" + (scales == .u8 ? ":u8" : "")
      }
    return outliers > 0 ? "\(name)+\(outliers)" : name
  }

  package var description: String { name }

  /// Every coding; a new one is added here and has a file of its own.
  private static let codings: [any Coding.Type] = [
    Float32Coding.self, BFloat16Coding.self, Int8Coding.self, Nested8Coding.self, Int6Coding.self,
    Int6MinimumCoding.self, Int5Coding.self,
    Int5MinimumCoding.self, Int4Coding.self, Int4MinimumCoding.self, Int3Coding.self, Int3MinimumCoding.self,
    Int2Coding.self, Int2MinimumCoding.self, NF4Coding.self, FP4Coding.self,
    CodebookCoding.self, Q4KCoding.self, Q5KCoding.self, Q6KCoding.self, Q3KCoding.self, IQ4XSCoding.self,
    Q50Coding.self, Q51Coding.self, IQ4NLCoding.self, MXFP4Coding.self,
  ]

  package var coding: any Coding.Type { Scheme.codings.first { $0.name == codingName } ?? Float32Coding.self }

  /// Whether codes stand for numbers that a scale is multiplied with, so that there is something to choose.
  package var hasCodes: Bool { if case .none = coding.levels { false } else { true } }

  /// Whether a matrix has a table of its own, which is made before its codes.
  package var hasOwnTable: Bool { if case .learned = coding.levels { true } else { false } }

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
    case .columns(let size): max(1, size / Tile.columns)
    }
  }
}

/// The tile that every ISA shares: 16 rows x 32 columns.
package enum Tile {
  package static let rows = 16
  package static let columns = 32
}
