import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// Products of several groups of layers with rows of their own.
@Suite struct GatheredProductTests {
  private struct Drawn {
    let groups: [LinearGroup]
    let source: Activations
    /// Of each group, which rows of the source.
    let rows: [[Int]]
    let widths: [Int]
  }

  /// Gate and up of a few experts whose numbers of rows differ, those of whole tiles too.
  private static func drawn(_ seed: UInt64, _ scheme: Scheme) throws -> Drawn {
    var draws = SplitMix64(seed: seed)
    func draw(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int(draws.next() % UInt64(range.count)) }
    let (columns, neurons) = (draw(1...100), draw(1...40))
    let source = try activations((0..<60).map { _ in draws.floats(columns) })
    let groups = try (0..<draw(1...5)).map { expert in
      let layers = try (0..<2).map { _ in
        LinearGroup.GroupedLayer(
          try ProductTests.matrix(neurons, columns, scheme), bias: try FloatVector(draws.floats(neurons)),
          epilogue: .none)
      }
      let epilogue: LinearGroup.Epilogue = expert % 2 == 0 ? .gate(.silu) : .activation(.gelu)
      return LinearGroup([.init(layers[0].weight, bias: layers[0].bias, epilogue: epilogue), layers[1]])
    }
    let rows = groups.map { _ in (0..<60).filter { _ in draw(0...2) == 0 } }.map { $0.isEmpty ? [3] : $0 }
    return Drawn(groups: groups, source: source, rows: rows, widths: [neurons, neurons])
  }

  /// What each group gives by itself, row by row.
  private static func alone(_ drawn: Drawn, on context: ComputeContext) throws -> [[[Float]]] {
    try zip(drawn.groups, drawn.rows).map { group, rows in
      let input = try activations(rows.map { drawn.source[$0] })
      let outputs = try drawn.widths.map { try Activations(columns: $0, capacity: rows.count) }
      if group.readsRounded(context) {
        input.quantize(count: rows.count, leavingOut: group.outlierColumns, on: context)
      }
      group(input, count: rows.count, into: outputs, on: context)
      return rows.indices.flatMap { row in outputs.map { $0[row] } }
    }
  }

  @Test(arguments: Kernels.supported, [Scheme.float32, .int8(.columns(32)), .int4(.columns(32)), .int8(.row)])
  func areThoseOfEachGroupAlone(_ tier: String, _ scheme: Scheme) throws {
    for threads in [1, 2, 5] {
      for form in ActivationForm.allCases {
        let context = try computing(tier, threads: threads, form)
        for seed in 0..<UInt64(12) {
          let drawn = try Self.drawn(seed, scheme)
          let expected = try Self.alone(drawn, on: context)
          var (jobs, places): ([GatheredProducts.ProductJob], [Int]) = ([], [])
          for (group, rows) in zip(drawn.groups, drawn.rows) {
            while places.count % GatheredProducts.alignment != 0 { places.append(0) }
            jobs.append(.init(group, rows: places.count..<places.count + rows.count))
            places += rows
          }
          let input = try Activations(columns: drawn.source.columns, capacity: places.count)
          let outputs = try drawn.widths.map { try Activations(columns: $0, capacity: places.count) }
          let products = GatheredProducts(jobs, on: context)
          products.gather(drawn.source, places, into: input)
          products(input, into: outputs)
          for (job, right) in zip(jobs, expected) {
            let found = job.rows.flatMap { row in outputs.map { $0[row] } }
            #expect(found == right, "seed \(seed), \(threads) threads, rows \(job.rows)")
          }
          // The same rows made ready where they lie.
          for row in places.indices { input[row] = drawn.source[places[row]] }
          products.quantize(input)
          products(input, into: outputs)
          for (job, right) in zip(jobs, expected) {
            #expect(job.rows.flatMap { row in outputs.map { $0[row] } } == right, "made ready, seed \(seed)")
          }
        }
      }
    }
  }

  @Test func addsRowsInTheirOrder() throws {
    var draws = SplitMix64(seed: 5)
    let added = try activations((0..<7).map { _ in draws.floats(50) })
    let parts: [[(row: Int, factor: Float)]] = [[(3, 0.5), (0, -2), (6, 1)], [], [(1, 1)], [(6, 3), (6, 0.25)]]
    for threads in [1, 3] {
      let context = try computing("scalar", threads: threads)
      let first = (0..<4).map { _ in draws.floats(50) }
      let sum = try activations(first)
      let flat = parts.joined().map { Activations.AddedRow(row: $0.row, factor: $0.factor) }
      sum.addRows(added, flat, starts: [0, 3, 3, 4, 6], on: context)
      for (row, own) in parts.enumerated() {
        var right = first[row]
        for part in own { right = zip(right, added[part.row]).map { $0 + part.factor * $1 } }
        #expect(sum[row] == right, "row \(row)")
      }
    }
  }
}
