package import CFurlKernels

/// What 16 codes stand for, as the kernels read it.
package final class CodeTable: @unchecked Sendable {
  static let count = 16
  /// What a level of a learned table is a multiple of.
  static let learnedSteps = 127

  /// What encoding and the choice of codes go by.
  package let grid: UnsafeMutablePointer<furl_grid>
  /// [16]
  let values: UnsafeMutablePointer<Float>
  /// [16]: the same in whole numbers of units.
  let levels: UnsafeMutablePointer<Int8>
  let unit: Float

  /// - Parameter steps: how many units 1 is.
  private init(values: [Float], steps: Int, hasSignedScales: Bool) {
    precondition(values.count == CodeTable.count && values.allSatisfy { abs($0) * Float(steps) < 127.5 })
    unit = 1 / Float(steps)
    self.values = .allocate(capacity: CodeTable.count)
    self.values.initialize(from: values, count: CodeTable.count)
    levels = .allocate(capacity: CodeTable.count)
    for (code, value) in values.enumerated() { levels[code] = Int8((value * Float(steps)).rounded(.toNearestOrEven)) }
    grid = .allocate(capacity: 1)
    grid.initialize(to: furl_grid())
    furl_table_grid(self.values, hasSignedScales, grid)
  }

  /// A matrix's own table, whose levels are 127ths.
  convenience init(learned levels: [Int8]) {
    let steps = CodeTable.learnedSteps
    self.init(values: levels.map { Float($0) / Float(steps) }, steps: steps, hasSignedScales: true)
  }

  deinit {
    values.deallocate()
    levels.deallocate()
    grid.deallocate()
  }

  private static func published(_ values: some Any, steps: Int, hasSignedScales: Bool = false) -> CodeTable {
    withUnsafeBytes(of: values) {
      CodeTable(values: Array($0.bindMemory(to: Float.self)), steps: steps, hasSignedScales: hasSignedScales)
    }
  }

  static let nf4 = published(furl_nf4, steps: 127)
  static let fp4 = published(furl_fp4, steps: 120)
  static let iq4 = published(furl_iq4, steps: 1, hasSignedScales: true)
  static let mxfp4 = published(furl_mxfp4, steps: 1)
}
