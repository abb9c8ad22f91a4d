#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Products of FP32 matrices, row by row in memory, by OpenBLAS on the calling thread.
///
/// The library is loaded when it is first needed: it is large, and running a model does without. It never has threads of
/// its own: work is cut into pieces whose shapes depend on the matrices alone, and Furl's pool takes the pieces, so that
/// results do not depend on the number of threads.
enum BLAS {
  private typealias Multiply =
    @convention(c) (
      _ order: UInt32, _ transposeA: UInt32, _ transposeB: UInt32, _ rows: Int32, _ columns: Int32, _ depth: Int32,
      _ alpha: Float, _ a: UnsafePointer<Float>, _ aStride: Int32, _ b: UnsafePointer<Float>, _ bStride: Int32,
      _ beta: Float, _ c: UnsafeMutablePointer<Float>, _ cStride: Int32
    ) -> Void
  private typealias Solve =
    @convention(c) (
      _ order: UInt32, _ side: UInt32, _ triangle: UInt32, _ transpose: UInt32, _ diagonal: UInt32, _ rows: Int32,
      _ columns: Int32, _ alpha: Float, _ a: UnsafePointer<Float>, _ aStride: Int32, _ b: UnsafeMutablePointer<Float>,
      _ bStride: Int32
    ) -> Void
  private typealias SetThreads = @convention(c) (_ count: Int32) -> Void

  /// The constants of `cblas.h`.
  private static let (rowMajor, plain, transposed): (UInt32, UInt32, UInt32) = (101, 111, 112)
  private static let (right, lower, withDiagonal): (UInt32, UInt32, UInt32) = (142, 122, 131)

  private struct Library: Sendable {
    let multiply: Multiply
    let solve: Solve

    init?() {
      #if os(Linux)
      let names = ["libopenblas.so.0", "libopenblas.so"]
      #else
      let names = ["/opt/homebrew/opt/openblas/lib/libopenblas.dylib", "/usr/local/opt/openblas/lib/libopenblas.dylib"]
      #endif
      // Threads that it makes on loading would spin beside Furl's.
      setenv("OPENBLAS_NUM_THREADS", "1", 1)
      guard let handle = names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first,
        let multiply = dlsym(handle, "cblas_sgemm"), let solve = dlsym(handle, "cblas_strsm"),
        let setThreads = dlsym(handle, "openblas_set_num_threads")
      else { return nil }
      unsafeBitCast(setThreads, to: SetThreads.self)(1)
      self.multiply = unsafeBitCast(multiply, to: Multiply.self)
      self.solve = unsafeBitCast(solve, to: Solve.self)
    }
  }

  private static let library = Library()

  /// Loads the library, before any product is asked for.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when this machine does not have it.
  static func prepare() throws {
    guard library == nil else { return }
    throw FurlError(
      .unavailable, "OpenBLAS, which calibration and training compute with, is not there",
      remedy: "install libopenblas0 (Debian, Ubuntu) or openblas (brew)")
  }

  private static var loaded: Library {
    guard let library else { preconditionFailure("OpenBLAS was not asked for") }
    return library
  }

  /// A part of a matrix: its first number, and the numbers between two rows.
  struct Part {
    let base: UnsafeMutablePointer<Float>
    let stride: Int

    /// The part that begins at a row and a column of this one.
    func from(_ row: Int, _ column: Int) -> Part { Part(base: base + row * stride + column, stride: stride) }
  }

  /// c = beta c + aᵀ b, of a: [depth][rows], b: [depth][columns], c: [rows][columns].
  static func addTransposed(_ a: Part, _ b: Part, to c: Part, rows: Int, columns: Int, depth: Int, beta: Float) {
    loaded.multiply(
      rowMajor, transposed, plain, Int32(rows), Int32(columns), Int32(depth), 1, a.base, Int32(a.stride), b.base,
      Int32(b.stride), beta, c.base, Int32(c.stride))
  }

  /// c = beta c + a b, of a: [rows][depth], b: [depth][columns], c: [rows][columns].
  static func add(_ a: Part, _ b: Part, to c: Part, rows: Int, columns: Int, depth: Int, beta: Float) {
    loaded.multiply(
      rowMajor, plain, plain, Int32(rows), Int32(columns), Int32(depth), 1, a.base, Int32(a.stride), b.base,
      Int32(b.stride), beta, c.base, Int32(c.stride))
  }

  /// c = beta c + a bᵀ, of a: [rows][depth], b: [columns][depth], c: [rows][columns].
  static func addOuter(_ a: Part, _ b: Part, to c: Part, rows: Int, columns: Int, depth: Int, beta: Float) {
    loaded.multiply(
      rowMajor, plain, transposed, Int32(rows), Int32(columns), Int32(depth), 1, a.base, Int32(a.stride), b.base,
      Int32(b.stride), beta, c.base, Int32(c.stride))
  }

  /// c = c - a bᵀ, of a: [rows][depth], b: [columns][depth], c: [rows][columns].
  static func subtractOuter(_ a: Part, _ b: Part, from c: Part, rows: Int, columns: Int, depth: Int) {
    loaded.multiply(
      rowMajor, plain, transposed, Int32(rows), Int32(columns), Int32(depth), -1, a.base, Int32(a.stride), b.base,
      Int32(b.stride), 1, c.base, Int32(c.stride))
  }

  /// a = a lᵀ⁻¹, or a l⁻¹, of a lower triangle l: [columns][columns], a: [rows][columns].
  static func solve(_ l: Part, for a: Part, rows: Int, columns: Int, transposed isTransposed: Bool = true) {
    loaded.solve(
      rowMajor, right, lower, isTransposed ? transposed : plain, withDiagonal, Int32(rows), Int32(columns), 1, l.base,
      Int32(l.stride), a.base,
      Int32(a.stride))
  }
}
