import FurlBase
import FurlArtifact
import FurlTensor
import FurlTestSupport
import Testing

/// Widths that no block size divides: nothing changes its scheme, the last block of a row is shorter, and what comes out
/// of a file multiplies as what was decoded from it.
@Suite struct WidthTests {
  static let codings = [
    "int8", "nested8", "int6", "int6-minimum", "int5", "int5-minimum", "int4", "int4-minimum", "int3", "int3-minimum",
    "int2",
    "int2-minimum", "nf4", "fp4", "codebook4",
  ]

  @Test(arguments: codings, [(rows: 7, columns: 576), (21, 1000), (3, 50_001), (50_001, 33)])
  func anyWidthGoesThroughAFile(_ coding: String, _ shape: (rows: Int, columns: Int)) throws {
    var draws = SplitMix64(seed: UInt64(shape.columns))
    let weights = draws.floats(shape.rows * shape.columns, scale: 0.1)
    let input = draws.floats(shape.columns)
    let pool = WorkerPool(threads: 2)
    let source = try TestData.source(weights, rows: shape.rows, columns: shape.columns)
    let context = ComputeContext(pool: pool, kernels: try Kernels(), activations: .fp32)
    for suffix in [":64", ":128:u8", ":row"] {
      let scheme = try #require(Scheme(name: coding + suffix))
      let made = try PackedMatrix.encode(source, scheme: scheme, pool: pool)
      let loaded = try throughAFile(made)
      #expect(loaded.scheme == scheme && loaded.rows == shape.rows && loaded.columns == shape.columns)
      #expect(loaded.streams.map(\.bytes) == made.streams.map(\.bytes))

      let activations = try Activations(columns: shape.columns, capacity: 1)
      activations[0] = input
      let output = try Activations(columns: shape.rows, capacity: 1)
      LinearGroup([.init(loaded, bias: nil)])(activations, count: 1, into: [output], on: context)
      var (worst, off) = (0.0, 0.0)
      for (row, result) in output[0].enumerated() {
        let decoded = made.row(row)
        let terms = zip(decoded, input).map { Double($0) * Double($1) }
        // A weight may be a sum of parts that are as large as twice the largest one.
        let parts = zip(terms, input).reduce(0) { $0 + abs($1.0) + 0.2 * Double(abs($1.1)) }
        let bound = 1.1e-5 * parts + 1e-30
        worst = max(worst, abs(Double(result) - terms.reduce(0, +)) / bound)
        for (own, weight) in zip(decoded, weights[row * shape.columns..<(row + 1) * shape.columns]) {
          off = max(off, Double(abs(own - weight)))
        }
      }
      #expect(worst <= 1, "\(scheme)")
      // The last weights of a row are as near as the others: within a step of the coarsest coding.
      #expect(off <= 0.06, "\(scheme)")
    }
  }

  private func throughAFile(_ matrix: PackedMatrix) throws -> PackedMatrix {
    try TestData.withTemporaryFolder { folder in
      var sample = try SampleTensor("w", "mlp.up", [matrix.rows, matrix.columns], matrix.scheme)
      sample.streams = Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams))
      try Samples.write([sample], to: folder + "/w.furl", .compact)
      let artifact = try Artifact(path: folder + "/w.furl")
      try artifact.check()
      let tensor = artifact.tensors[0]
      let streams = try artifact.load(tensor)
      return try PackedMatrix(layout: tensor.layout, streams: tensor.layout.streams.compactMap { streams[$0.kind] })
    }
  }
}
