import CFurlKernels

/// Whether one of Furl's layouts holds the codes and scales of stored weights as they are.
package enum CodeHolding: Sendable, Hashable {
  /// The weights are numbers by themselves: there are no codes to keep.
  case numbers
  /// That of a scheme does.
  case held(Scheme)
  /// None does, and why.
  case unheld(String)
}

/// A stored matrix whose codes one of Furl's layouts may hold.
protocol CodeHolder: CodedMatrix {
  /// Whether one does. Reads scales and zeros, not codes.
  func holding() -> CodeHolding

  /// Columns that share a scale.
  var groupColumns: Int { get }

  /// Writes what the scheme of ``holding()`` stores of some rows. The range lies in the matrix.
  func take(rows range: Range<Int>, into rows: HeldRows)
}

/// Where codes and scales of some rows go: codes as the scheme stores them, [rows][columns]; scales and minimums as the bits of
/// halves (of MXFP4 the exponent's byte), [rows][groups]. Minimums are of no meaning where the scheme has none.
struct HeldRows {
  let codes: UnsafeMutablePointer<UInt8>
  let scales: UnsafeMutablePointer<UInt16>
  let minimums: UnsafeMutablePointer<UInt16>
}

/// Halves that are the numbers that are stored.
enum ExactHalf {
  /// The bits of the half that is a number; nil where it would have to be rounded, or is not finite.
  static func bits(_ number: Float) -> UInt16? {
    let half = furl_half_from_float(number)
    guard half & 0x7C00 != 0x7C00, furl_float_from_half(half).bitPattern == number.bitPattern else { return nil }
    return half
  }

  /// An infinity, in the place of a scale that has changed since it was looked at: no matrix is made with it.
  static let none: UInt16 = 0x7C00

  static func isFinite(_ half: UInt16) -> Bool { half & 0x7C00 != 0x7C00 }
}

extension Scheme {
  /// The schemes of symmetric codes of so many bits, and of codes above a minimum; nil where there are none.
  static func grid(bits: Int, hasMinimum: Bool, _ block: Block) -> Scheme? {
    switch (bits, hasMinimum) {
    case (8, false): .int8(block)
    case (6, false): .int6(block)
    case (5, false): .int5(block)
    case (4, false): .int4(block)
    case (3, false): .int3(block)
    case (2, false): .int2(block)
    case (6, true): .int6Minimum(block)
    case (5, true): .int5Minimum(block)
    case (4, true): .int4Minimum(block)
    case (3, true): .int3Minimum(block)
    case (2, true): .int2Minimum(block)
    default: nil
    }
  }

  /// The largest block that groups of columns are whole ones of; nil where there is none.
  ///
  /// - Parameter group: columns that share a scale.
  static func block(of group: Int, columns: Int) -> Block? {
    if group >= columns { return .row }
    return blockSizes.last { group % $0 == 0 }.map { .columns($0) }
  }

  static func noBlock(_ group: Int) -> String { "no block of Furl's has \(group) columns" }
}

extension WeightSource {
  /// Whether the codes that the weights are stored as have zeros among them, so that minimums are multiples of scales.
  package var hasZeroPoints: Bool {
    guard let codes = coded?.matrix as? GroupedCodes else { return false }
    return !codes.isBiased
  }

  /// Whether one of Furl's layouts holds the codes that the weights are stored as. Scales and zeros are read for it.
  package func holding() -> CodeHolding {
    guard isCoded || type.blockSize > 1 else { return .numbers }
    guard fold == .none else { return .unheld("the model computes with a multiple of what is stored") }
    guard leftOut.isEmpty else { return .unheld("columns are left out") }
    guard let coded else {
      guard let scheme = type.scheme else { return .unheld("no layout has the codes of \(type.rawValue)") }
      guard columnStride == 1, columns % type.blockSize == 0 else {
        return .unheld("blocks lie across the rows")
      }
      return .held(scheme)
    }
    if let adapted = coded.matrix as? AdaptedMatrix {
      return adapted.hasCodes ? .unheld("an adapter is merged into them") : .numbers
    }
    guard let holder = coded.matrix as? any CodeHolder else {
      return .unheld("no layout has the codes of \(coded.matrix.form)")
    }
    let holding = holder.holding()
    guard case .held(let scheme) = holding, columns < holder.columns || coded.firstColumn > 0 else { return holding }
    guard case .columns(let size) = scheme.block, coded.firstColumn % size == 0 else {
      return .unheld("a part of its rows is used, and blocks do not begin with it")
    }
    return holding
  }
}
