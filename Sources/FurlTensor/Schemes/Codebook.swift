import FurlBase
import CFurlKernels
import Synchronization

/// Finds the 16 levels with the least squared error for a matrix.
///
/// Weights are divided by their block's value of the largest magnitude, its sign included (Blumenberg et al. 2025, "BOF4"),
/// and counted in bins by what their squared error weighs: the square of that value, times the column's weight. Levels
/// are 127ths, so the best set of them is found exactly, by dynamic programming over their places, with no start that it
/// depends on (k-means in one dimension; Wang and Song 2011, "Ckmeans.1d.dp").
struct Codebook {
  /// Bins between two neighbours of the levels that there may be; midpoints of levels lie between bins.
  private static let fineness = 4
  private static let reach = CodeTable.learnedSteps
  private static let bins = 2 * reach * fineness
  /// Rows that are read together.
  private static let sliceRows = 64
  /// Partial sums, whose number depends on nothing, so that theirs is one order.
  private static let parts = 16
  /// Of larger matrices some slices are read, evenly spread.
  private static let weightLimit = 1 << 24

  /// Sums over the weights of each bin: of what they weigh, times the value, and times its square.
  private struct Histogram {
    var weight = [Double](repeating: 0, count: Codebook.bins)
    var first = [Double](repeating: 0, count: Codebook.bins)
    var second = [Double](repeating: 0, count: Codebook.bins)

    mutating func add(_ other: Histogram) {
      for bin in 0..<Codebook.bins {
        weight[bin] += other.weight[bin]
        first[bin] += other.first[bin]
        second[bin] += other.second[bin]
      }
    }
  }

  /// The levels for a matrix, ascending.
  ///
  /// - Parameters:
  ///   - columnWeights: what squared errors in each column count; nil: all alike.
  /// - Throws: ``FurlError`` of kind `input` when the source cannot be read. What is not finite is left to the encoder.
  static func learn(
    _ source: WeightSource, block: Scheme.Block, columnWeights: [Float]?, pool: WorkerPool
  ) throws -> [Int8] {
    let slices = (source.rows + sliceRows - 1) / sliceRows
    let step = max(1, source.rows * source.columns / weightLimit)
    let taken = Array(stride(from: 0, to: slices, by: step))
    let histograms = Mutex([Histogram?](repeating: nil, count: parts))
    let failures = FirstFailure()
    pool.forEachAsTaken(parts) { part in
      do {
        var histogram = Histogram()
        let buffer = ReadBuffer()
        for slice in taken[taken.count * part / parts..<taken.count * (part + 1) / parts] {
          let rows = slice * sliceRows..<min((slice + 1) * sliceRows, source.rows)
          let values = try source.loadFloats(rows: rows, with: buffer)
          count(values, columns: source.columns, block: block, columnWeights, in: &histogram)
        }
        let whole = histogram
        histograms.withLock { $0[part] = whole }
      } catch {
        failures.add(error, at: part)
      }
    }
    try failures.rethrow()
    var sum = Histogram()
    for histogram in histograms.withLock({ $0 }) { if let histogram { sum.add(histogram) } }
    return best(sum)
  }

  private static func count(
    _ values: [Float], columns: Int, block: Scheme.Block, _ columnWeights: [Float]?, in histogram: inout Histogram
  ) {
    let size = if case .columns(let size) = block { size } else { columns }
    for row in stride(from: 0, to: values.count, by: columns) {
      for start in stride(from: 0, to: columns, by: size) {
        let range = start..<min(start + size, columns)
        var largest: Float = 0
        for column in range where abs(values[row + column]) > abs(largest) { largest = values[row + column] }
        guard largest != 0, largest.isFinite else { continue }
        let square = Double(largest) * Double(largest)
        for column in range {
          let value = Double(values[row + column]) / Double(largest) * Double(reach)
          guard value.isFinite else { continue }
          let bin = min(max(Int((value + Double(reach)) * Double(fineness)), 0), bins - 1)
          let weight = square * (columnWeights.map { Double($0[column]) } ?? 1)
          histogram.weight[bin] += weight
          histogram.first[bin] += weight * value
          histogram.second[bin] += weight * value * value
        }
      }
    }
  }

  /// The best levels, by dynamic programming: the least error of everything below a level, for each number of levels.
  private static func best(_ histogram: Histogram) -> [Int8] {
    func prefix(_ values: [Double]) -> [Double] {
      var sums = [0.0]
      for value in values { sums.append(sums[sums.count - 1] + value) }
      return sums
    }
    let (weight, first, second) = (prefix(histogram.weight), prefix(histogram.first), prefix(histogram.second))
    /// The error of the bins of a range when they get a level.
    func error(_ range: Range<Int>, _ level: Int) -> Double {
      let c = Double(level - reach)
      let (low, high) = (range.lowerBound, range.upperBound)
      return (second[high] - second[low]) - 2 * c * (first[high] - first[low]) + c * c * (weight[high] - weight[low])
    }
    // Places 0...254 are the levels -127...127; bins begin at the first.
    let places = 2 * reach + 1
    func bin(_ place: Int) -> Int { place * fineness }
    var costs = (0..<places).map { error(0..<bin($0), $0) }
    var choices: [[Int]] = []
    for _ in 1..<CodeTable.count {
      var next = [Double](repeating: .infinity, count: places)
      var choice = [Int](repeating: 0, count: places)
      for place in 1..<places {
        for below in 0..<place where costs[below].isFinite {
          let middle = (bin(below) + bin(place)) / 2
          let cost = costs[below] + error(bin(below)..<middle, below) + error(middle..<bin(place), place)
          if cost < next[place] { (next[place], choice[place]) = (cost, below) }
        }
      }
      choices.append(choice)
      costs = next
    }
    let ends = (0..<places).map { costs[$0] + error(bin($0)..<bins, $0) }
    var place = ends.indices.min { (ends[$0], $0) < (ends[$1], $1) } ?? places - 1
    var levels = [place]
    for choice in choices.reversed() {
      place = choice[place]
      levels.append(place)
    }
    return levels.reversed().map { Int8($0 - reach) }
  }
}
