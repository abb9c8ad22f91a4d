import FurlBase
@testable import FurlNumerics
@testable import FurlTensor
import FurlTestSupport
import Testing

/// GGUF's blocks with errors fed back: what that is for, and what it may not depend on.
@Suite struct SuperBlockFeedbackTests {
  /// A row of 256 columns with one scale is no super-block: its columns come by their inputs alone, wherever they lie.
  @Test func aRowAsLongAsASuperBlockIsNone() {
    var draws = SplitMix64(seed: 71)
    let sums = draws.floats(SuperBlockForm.columns).map(abs)
    let segments = FeedbackFactor.segments(sums, order: .activation, block: .row)
    let columns = segments.flatMap(\.columns)
    #expect(columns == sums.indices.sorted { (-sums[$0], $0) < (-sums[$1], $1) })
    #expect(segments.allSatisfy { $0.block == 0 })
    let blocks = FeedbackFactor.segments(sums, order: .activation, block: .columns(SuperBlockForm.columns))
    #expect(blocks.flatMap(\.columns) != columns && blocks.flatMap(\.columns).sorted() == Array(sums.indices))
  }

  private static let columns = 512
  private static let rows = 70

  private static func weights() -> [Float] {
    var draws = SplitMix64(seed: 3)
    return draws.floats(rows * columns)
  }

  private static func encode(
    _ weights: [Float], _ inputs: Activations, _ scheme: Scheme, order: FeedbackOrder = .activation, threads: Int = 1
  ) throws -> PackedMatrix {
    let math = try CalibrationTests.math(threads: threads)
    let factor = try FeedbackFactor(
      CalibrationTests.moments(inputs, threads: threads), order: order, block: scheme.choiceBlock ?? .row,
      damping: 0.01,
      on: math)
    let source = try TestData.source(weights, rows: weights.count / columns, columns: columns)
    return try CalibratedEncoder(scheme: scheme, scales: .extremes, objective: .outputs(factor)).encode(
      source, on: math)
  }

  /// Outputs are nearer than with scales that are best for the weights, or for the inputs' mean squares, in either order.
  @Test(arguments: Scheme.inBlocks)
  func outputsAreNearer(_ scheme: Scheme) throws {
    let weights = Self.weights()
    let inputs = try CalibrationTests.inputs(900, Self.columns, seed: 11)
    let source = try TestData.source(weights, rows: Self.rows, columns: Self.columns)
    let nearest = try PackedMatrix.encode(source, scheme: scheme, pool: WorkerPool(threads: 2))
    let math = try CalibrationTests.math(threads: 2)
    let squares = try CalibrationTests.moments(inputs).meanSquares
    let weighted = try CalibratedEncoder(scheme: scheme, scales: .search, objective: .columns(weights: squares))
      .encode(source, on: math)
    let losses = [nearest, weighted].map { CalibrationTests.loss($0, weights, inputs) }
    // Powers of two are too coarse for weights of columns to matter much.
    if scheme != .mxfp4 { #expect(losses[1] < losses[0]) }
    for order in FeedbackOrder.allCases {
      let fed = CalibrationTests.loss(try Self.encode(weights, inputs, scheme, order: order), weights, inputs)
      #expect(fed < 0.5 * losses.min()!, "\(order): \(fed) of \(losses)")
    }
  }

  @Test(arguments: [Scheme.q4k, .q6k, .q3k, .iq4xs, .mxfp4])
  func bitsDoNotDependOnThreads(_ scheme: Scheme) throws {
    let inputs = try CalibrationTests.inputs(600, Self.columns, seed: 12)
    let matrices = try [1, 3].map { try Self.encode(Self.weights(), inputs, scheme, threads: $0) }
    for (left, right) in zip(matrices[0].streams, matrices[1].streams) {
      #expect(left.bytes == right.bytes)
    }
  }

  /// One factor serves every scheme of super-blocks: halves of parts lie together whatever the parts.
  @Test func segmentsAreHalvesOfParts() {
    var draws = SplitMix64(seed: 13)
    let diagonal = draws.floats(768).map(abs)
    for order in FeedbackOrder.allCases {
      let segments = FeedbackFactor.segments(diagonal, order: order, block: .columns(256))
      #expect(segments.flatMap(\.columns).sorted() == Array(0..<768))
      for start in stride(from: 0, to: segments.count, by: 16) {
        let block = segments[start..<start + 16]
        #expect(Set(block.map(\.block)).count == 1)
        for (index, segment) in block.enumerated() {
          #expect(
            Set(segment.columns.map { $0 / 16 }).count == 1 && segment.columns.allSatisfy { $0 / 256 == segment.block })
          if index % 2 == 1 {
            #expect(segment.columns[0] / 32 == block[block.startIndex + index - 1].columns[0] / 32)
          }
        }
      }
    }
  }

  /// A layer whose weights are zero, and one with a row that is not a number.
  @Test(arguments: Scheme.inBlocks)
  func extremesAreTaken(_ scheme: Scheme) throws {
    let inputs = try CalibrationTests.inputs(600, Self.columns, seed: 14)
    let zeros = try Self.encode(Array(repeating: 0, count: 20 * Self.columns), inputs, scheme)
    #expect((0..<20).allSatisfy { zeros.row($0).allSatisfy { $0 == 0 } })
    var weights = Self.weights()
    weights[33 * Self.columns + 100] = .nan
    let error = #expect(throws: FurlError.self) { try Self.encode(weights, inputs, scheme) }
    #expect(error?.problem.contains("element [33, 100]") == true)
  }
}
