import FurlTensor
import CFurlKernels
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Products of FP32 matrices, row by row in memory, on the calling thread.
///
/// Furl's own, since no library promises what calibration and training need: every output is summed in one order, so that
/// a result depends neither on the number of threads nor on the CPU. Work is cut into pieces whose shapes depend on the
/// matrices alone, and Furl's pool takes the pieces.
enum MatrixMath {
  /// A part of a matrix: its first number, and the numbers between two rows.
  struct Part {
    let base: UnsafeMutablePointer<Float>
    let stride: Int

    /// The part that begins at a row and a column of this one.
    func from(_ row: Int, _ column: Int) -> Part { Part(base: base + row * stride + column, stride: stride) }
  }

  /// c = aᵀ b, or that added, of a: [depth][rows], b: [depth][columns], c: [rows][columns].
  static func addTransposed(
    _ a: Part, _ b: Part, to c: Part, rows: Int, columns: Int, depth: Int, accumulate: Bool
  ) {
    multiply(
      (a.base, row: 1, depth: a.stride), (b.base, depth: b.stride, column: 1), c, rows: rows, columns: columns,
      depth: depth, accumulate ? FURL_PRODUCT_ADD : FURL_PRODUCT_SET)
  }

  /// c = a b, or that added, of a: [rows][depth], b: [depth][columns], c: [rows][columns].
  static func add(_ a: Part, _ b: Part, to c: Part, rows: Int, columns: Int, depth: Int, accumulate: Bool) {
    multiply(
      (a.base, row: a.stride, depth: 1), (b.base, depth: b.stride, column: 1), c, rows: rows, columns: columns,
      depth: depth, accumulate ? FURL_PRODUCT_ADD : FURL_PRODUCT_SET)
  }

  /// c = a bᵀ, or that added, of a: [rows][depth], b: [columns][depth], c: [rows][columns].
  static func addOuter(_ a: Part, _ b: Part, to c: Part, rows: Int, columns: Int, depth: Int, accumulate: Bool) {
    multiply(
      (a.base, row: a.stride, depth: 1), (b.base, depth: 1, column: b.stride), c, rows: rows, columns: columns,
      depth: depth, accumulate ? FURL_PRODUCT_ADD : FURL_PRODUCT_SET)
  }

  /// c = c - a bᵀ, of a: [rows][depth], b: [columns][depth], c: [rows][columns].
  static func subtractOuter(_ a: Part, _ b: Part, from c: Part, rows: Int, columns: Int, depth: Int) {
    multiply(
      (a.base, row: a.stride, depth: 1), (b.base, depth: 1, column: b.stride), c, rows: rows, columns: columns,
      depth: depth, FURL_PRODUCT_SUBTRACT)
  }

  /// a = a lᵀ⁻¹, or a l⁻¹, of a lower triangle l: [columns][columns], a: [rows][columns].
  ///
  /// Some columns at a time, whose products are taken off those that are left.
  static func solve(_ l: Part, for a: Part, rows: Int, columns: Int, transposed isTransposed: Bool = true) {
    let panel = Int(FURL_TRIANGLE_COLUMNS)
    let starts = Array(stride(from: 0, to: columns, by: panel))
    for start in isTransposed ? starts : starts.reversed() {
      let end = min(start + panel, columns)
      if isTransposed, start > 0 {
        subtractOuter(a, l.from(start, 0), from: a.from(0, start), rows: rows, columns: end - start, depth: start)
      } else if !isTransposed, end < columns {
        let (left, right) = (a.from(0, end), l.from(end, start))
        multiply(
          (left.base, row: left.stride, depth: 1), (right.base, depth: right.stride, column: 1), a.from(0, start),
          rows: rows, columns: end - start, depth: columns - end, FURL_PRODUCT_SUBTRACT)
      }
      Scratch.lend { scratch in
        var triangle = furl_triangle(
          l: l.from(start, start).base, l_stride: l.stride, a: a.from(0, start).base, a_stride: a.stride, rows: rows,
          columns: end - start, is_transposed: isTransposed, scratch: scratch)
        Kernels.forDenseMatrices.table.solve_triangle(&triangle)
      }
    }
  }

  private static func multiply(
    _ a: (base: UnsafeMutablePointer<Float>, row: Int, depth: Int),
    _ b: (base: UnsafeMutablePointer<Float>, depth: Int, column: Int), _ c: Part, rows: Int, columns: Int, depth: Int,
    _ mode: furl_product_mode
  ) {
    Scratch.lend { scratch in
      var product = furl_product(
        a: a.base, a_row: a.row, a_depth: a.depth, b: b.base, b_depth: b.depth, b_column: b.column, c: c.base,
        c_stride: c.stride, rows: rows, columns: columns, depth: depth, mode: mode, scratch: scratch)
      Kernels.forDenseMatrices.table.multiply_matrices(&product)
    }
  }

  /// Memory that products are packed into: one piece for each thread that computes one, kept for the next.
  private enum Scratch {
    private static let free = Mutex<[UInt]>([])

    static func lend(_ body: (UnsafeMutablePointer<Float>) -> Void) {
      let scratch = take()
      defer { free.withLock { $0.append(UInt(bitPattern: scratch)) } }
      body(scratch)
    }

    private static func take() -> UnsafeMutablePointer<Float> {
      if let kept = free.withLock({ $0.popLast() }), let scratch = UnsafeMutablePointer<Float>(bitPattern: kept) {
        return scratch
      }
      return UnsafeMutableRawPointer.allocate(byteCount: Int(FURL_PRODUCT_SCRATCH) * 4, alignment: 64)
        .assumingMemoryBound(to: Float.self)
    }
  }
}
