package import FurlTensor
import CFurlKernels
import Synchronization

/// What one has to hold to multiply matrices: the threads, the kernels, and memory to pack products into.
///
/// Products are Furl's own, since no library promises what calibration and training need: work is cut into pieces that
/// depend on shapes alone, and every output is summed in one order, so that a result depends neither on the number of
/// threads nor on the CPU. For bits that go into an artifact the kernels are those of ``Kernels/forTransforms()``.
package struct DenseMath: Sendable {
  package let pool: WorkerPool
  package let kernels: Kernels
  private let scratch = ProductScratch()

  package init(pool: WorkerPool, kernels: Kernels) {
    self.pool = pool
    self.kernels = kernels
  }

  var table: furl_kernels { kernels.table }

  /// Calls `body` with ranges that cover 0..<count.
  func forEachPiece(_ count: Int, of size: Int, _ body: (Range<Int>) -> Void) {
    pool.forEachAsTaken((count + size - 1) / size) { piece in
      body(piece * size..<min((piece + 1) * size, count))
    }
  }

  // MARK: Products, on the calling thread

  /// What becomes of the numbers that are where a product goes.
  enum ProductMode {
    case set, add, subtract

    fileprivate var kind: furl_product_mode {
      switch self {
      case .set: FURL_PRODUCT_SET
      case .add: FURL_PRODUCT_ADD
      case .subtract: FURL_PRODUCT_SUBTRACT
      }
    }
  }

  /// a b, of a: [rows][depth], b: [depth][columns], c: [rows][columns].
  func multiply(_ a: MatrixView, _ b: MatrixView, into c: MatrixView, _ mode: ProductMode) {
    precondition(a.rows == c.rows && b.columns == c.columns && a.columns == b.rows)
    multiply(
      (a.base, row: a.stride, depth: 1), (b.base, depth: b.stride, column: 1), into: c, depth: a.columns, mode)
  }

  /// aᵀ b, of a: [depth][rows], b: [depth][columns], c: [rows][columns].
  func multiplyTransposed(_ a: MatrixView, _ b: MatrixView, into c: MatrixView, _ mode: ProductMode) {
    precondition(a.columns == c.rows && b.columns == c.columns && a.rows == b.rows)
    multiply((a.base, row: 1, depth: a.stride), (b.base, depth: b.stride, column: 1), into: c, depth: a.rows, mode)
  }

  /// a bᵀ, of a: [rows][depth], b: [columns][depth], c: [rows][columns].
  func multiplyOuter(_ a: MatrixView, _ b: MatrixView, into c: MatrixView, _ mode: ProductMode) {
    precondition(a.rows == c.rows && b.rows == c.columns && a.columns == b.columns)
    multiply(
      (a.base, row: a.stride, depth: 1), (b.base, depth: 1, column: b.stride), into: c, depth: a.columns, mode)
  }

  private func multiply(
    _ a: (base: UnsafeMutablePointer<Float>, row: Int, depth: Int),
    _ b: (base: UnsafeMutablePointer<Float>, depth: Int, column: Int), into c: MatrixView, depth: Int,
    _ mode: ProductMode
  ) {
    scratch.lend { scratch in
      var product = furl_product(
        a: a.base, a_row: a.row, a_depth: a.depth, b: b.base, b_depth: b.depth, b_column: b.column, c: c.base,
        c_stride: c.stride, rows: c.rows, columns: c.columns, depth: depth, mode: mode.kind, scratch: scratch)
      table.multiply_matrices(&product)
    }
  }

  /// a = a lᵀ⁻¹, or a l⁻¹, of a lower triangle l: [columns][columns], a: [rows][columns].
  ///
  /// Some columns at a time, whose products are taken off those that are left.
  func solve(_ l: MatrixView, for a: MatrixView, transposed isTransposed: Bool = true) {
    precondition(l.rows == l.columns && a.columns == l.columns)
    let panel = Int(FURL_TRIANGLE_COLUMNS)
    let columns = a.columns
    let starts = Array(stride(from: 0, to: columns, by: panel))
    for start in isTransposed ? starts : starts.reversed() {
      let range = start..<min(start + panel, columns)
      let rest = range.upperBound..<columns
      if isTransposed, start > 0 {
        multiplyOuter(a.columns(0..<start), l[range, 0..<start], into: a.columns(range), .subtract)
      } else if !isTransposed, !rest.isEmpty {
        multiply(a.columns(rest), l[rest, range], into: a.columns(range), .subtract)
      }
      scratch.lend { scratch in
        var triangle = furl_triangle(
          l: l[range, range].base, l_stride: l.stride, a: a.columns(range).base, a_stride: a.stride, rows: a.rows,
          columns: range.count, is_transposed: isTransposed, scratch: scratch)
        table.solve_triangle(&triangle)
      }
    }
  }
}

/// Memory that products are packed into: one piece for each thread that computes one, kept for the next.
private final class ProductScratch: Sendable {
  private let free = Mutex<[UInt]>([])

  func lend(_ body: (UnsafeMutablePointer<Float>) -> Void) {
    let scratch = take()
    defer { free.withLock { $0.append(UInt(bitPattern: scratch)) } }
    body(scratch)
  }

  private func take() -> UnsafeMutablePointer<Float> {
    if let kept = free.withLock({ $0.popLast() }), let scratch = UnsafeMutablePointer<Float>(bitPattern: kept) {
      return scratch
    }
    return UnsafeMutableRawPointer.allocate(byteCount: Int(FURL_PRODUCT_SCRATCH) * 4, alignment: 64)
      .assumingMemoryBound(to: Float.self)
  }

  deinit {
    free.withLock { for kept in $0 { UnsafeMutableRawPointer(bitPattern: kept)?.deallocate() } }
  }
}
