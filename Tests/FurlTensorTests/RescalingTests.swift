import FurlBase
@testable import FurlTensor
import FurlTestSupport
import Testing

/// Other scales under the same codes.
@Suite struct RescalingTests {
  private static let (rows, columns) = (37, 512)

  /// Of every form that scales are stored in.
  static let schemes: [Scheme] = [
    .int8(.columns(32)), .int8(.row), .int4Minimum(.columns(64)), .int3(.columns(32)), .int2Minimum(.columns(128)),
    .q4k, .q6k, .iq4xs, .q51, .iq4nl,
  ]
  static let small: [Scheme] = [Scheme.int4(.columns(64)), .int2Minimum(.columns(32)), .int3Minimum(.columns(32))]
    .compactMap(\.withSmallScales)

  private static func matrix(_ scheme: Scheme) throws -> PackedMatrix {
    var draws = SplitMix64(seed: 11)
    return try SchemeTests.encode(draws.floats(rows * columns), rows: rows, scheme)
  }

  private static func codes(_ matrix: PackedMatrix) throws -> [UInt8] {
    let index = try #require(matrix.layout.streams.firstIndex { $0.kind == .codes })
    return matrix.streams[index].bytes
  }

  /// Weights become multiples, group by group, up to the rounding of a scale; what is not scaled stays.
  @Test(arguments: schemes + small)
  func groupsAreMultiplied(_ scheme: Scheme) throws {
    let matrix = try Self.matrix(scheme)
    let groups = try #require(matrix.scaleGroups)
    #expect((groups.count - 1) * groups.columns < Self.columns && groups.count * groups.columns >= Self.columns)
    var draws = SplitMix64(seed: 12)
    let factors = (0..<Self.rows * groups.count).map { _ in Float(0.8 + 0.4 * draws.unit()) }
    let others = groups.hasMinimums ? factors.map { 2 - $0 } : nil
    let zeros = [Float](repeating: 0, count: factors.count)
    let changed = try matrix.rescaled(factors, minimums: others)
    let minimums = try matrix.rescaled(zeros)
    #expect(try Self.codes(changed) == Self.codes(matrix))
    // A half has 11 bits, of a scale and of a minimum that make up for each other; a byte of 8 is as fine as its row's largest
    // scale says.
    let tolerance: Float = Self.small.contains(scheme) ? 0.012 : 0.002
    for row in 0..<Self.rows {
      let (before, after, added) = (matrix.row(row), changed.row(row), minimums.row(row))
      let largest = before.reduce(0) { max($0, $1.magnitude) }
      for column in 0..<Self.columns {
        let index = row * groups.count + column / groups.columns
        let expected = factors[index] * (before[column] - added[column]) + (others?[index] ?? 1) * added[column]
        #expect((after[column] - expected).magnitude <= tolerance * largest)
      }
    }
    if !groups.hasMinimums { #expect(minimums.row(3).allSatisfy { $0 == 0 }) }
  }

  /// Columns that are kept apart are no multiples of a scale.
  @Test func whatIsKeptApartStays() throws {
    var draws = SplitMix64(seed: 13)
    let source = try TestData.source(draws.floats(20 * 96), rows: 20, columns: 96)
    let scheme = try #require(Scheme.int8(.row).keepingApart(2))
    let matrix = try PackedMatrix.encode(source.leavingOut([5, 70]), scheme: scheme, pool: WorkerPool(threads: 1))
    let changed = try matrix.rescaled([Float](repeating: 0.5, count: 20))
    for row in 0..<20 {
      for (column, (before, after)) in zip(matrix.row(row), changed.row(row)).enumerated() {
        #expect([5, 70].contains(column) ? after == before : (after - before / 2).magnitude <= 1e-3)
      }
    }
  }

  /// The largest numbers that can be stored take the place of larger ones: no weight becomes infinite.
  @Test(arguments: schemes + small)
  func scalesThatOverflowStayFinite(_ scheme: Scheme) throws {
    let matrix = try Self.matrix(scheme)
    let groups = try #require(matrix.scaleGroups)
    let huge = [Float](repeating: .greatestFiniteMagnitude, count: Self.rows * groups.count)
    let changed = try matrix.rescaled(huge, minimums: groups.hasMinimums ? huge : nil)
    #expect((0..<Self.rows).allSatisfy { changed.row($0).allSatisfy(\.isFinite) })
    #expect(changed.row(1).contains { $0.magnitude > 1000 })
    for wrong in [Float.infinity, .nan] {
      #expect(throws: FurlError.self) { try matrix.rescaled([wrong] + huge.dropFirst()) }
    }
  }

  @Test func whatHasNoScalesIsRefused() throws {
    for scheme in [Scheme.float32, .bfloat16, .mxfp4] {
      let matrix = try Self.matrix(scheme)
      #expect(matrix.scaleGroups == nil)
      #expect(throws: FurlError.self) { try matrix.rescaled([Float](repeating: 1, count: Self.rows)) }
    }
    let matrix = try Self.matrix(.int8(.row))
    #expect(throws: FurlError.self) { try matrix.rescaled([1]) }
    let ones = [Float](repeating: 1, count: Self.rows)
    #expect(throws: FurlError.self) { try matrix.rescaled(ones, minimums: ones) }
  }
}
