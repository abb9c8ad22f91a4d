import FurlBase
import FurlEvaluate
@testable import FurlReport
import FurlTestSupport
import Testing

@Suite struct PlotTests {
  /// Student's t and the intervals of means, by scipy (Tests/Fixtures/report/make_statistics.py).
  @Test func meansHaveScipysIntervals() throws {
    let reference = try JSON.parse(TestData.bytes(TestData.root + "/Tests/Fixtures/report/statistics.json"), file: nil)
    for pair in reference["t975"]?.array ?? [] {
      let degrees = try #require(pair[0]?.integer)
      let expected = try #require(pair[1]?.number)
      #expect(abs(SampleMean.quantile(degrees) - expected) < 6e-4, "\(degrees)")
    }
    for entry in reference["means"]?.array ?? [] {
      let samples = try #require(entry["samples"]?.array).compactMap(\.number)
      let found = try #require(SampleMean(samples))
      let interval = try #require(found.interval95)
      let low = try #require(entry["interval"]?[0]?.number)
      let high = try #require(entry["interval"]?[1]?.number)
      #expect(
        abs(interval.lowerBound - low) < 1e-3 * (high - low) && abs(interval.upperBound - high) < 1e-3 * (high - low))
    }
    #expect(SampleMean([]) == nil && SampleMean([.nan]) == nil && SampleMean([3])?.interval95 == nil)
  }

  @Test func theFrontierIsWhatNothingBeats() {
    func point(_ x: Double, _ y: Double, _ series: Int = 0) -> PointPlot.PlottedPoint {
      .init(label: "", x: x, y: y, series: series)
    }
    let points = [point(1, 1), point(2, 3), point(3, 2), point(4, 4), point(1, 1), point(9, 0, 1)]
    #expect(PointPlot.frontier(points, lowX: true) == [0, 1, 3, 5])
    #expect(PointPlot.frontier(points, lowX: false) == [3, 5])
    // What was refused neither lies on it nor keeps others from it.
    var refused = points
    refused[3].isSound = false
    #expect(PointPlot.frontier(refused, lowX: true) == [0, 1, 5])
    #expect(PointPlot.frontier(refused, lowX: false) == [1, 2, 5])
  }

  @Test(arguments: [
    [0.0, 1], [4.6, 28.4], [1, 1000], [0.001, 0.002], [5, 5], [0, 0], [-3, 3], [1e300, 1e301], [1e-300, 1e-299], [],
  ])
  func axesHoldTheirValues(_ values: [Double]) {
    for fromZero in [false, true] {
      let axis = Axis("t", values: values, fromZero: fromZero)
      #expect(axis.domain.lowerBound < axis.domain.upperBound)
      for value in values {
        #expect(axis.domain.contains(value))
        #expect((0...1).contains(axis.position(value)))
      }
      #expect(axis.ticks == axis.ticks.sorted() && axis.ticks.allSatisfy(axis.domain.contains) && axis.ticks.count < 40)
    }
  }

  /// A linear scale begins and ends where a tick says so, but for what shares cannot go beyond.
  @Test(arguments: [[0.3, 0.97], [4.6, 28.4], [11, 21], [3, 14], [-3, 3], [0, 0.73]])
  func axesBeginAtTicks(_ values: [Double]) {
    let axis = Axis("t", values: values, logarithmic: false)
    #expect(axis.ticks.first.map { abs($0 - axis.domain.lowerBound) < 1e-9 } == true, "\(axis)")
    #expect(axis.ticks.last.map { abs($0 - axis.domain.upperBound) < 1e-9 } == true, "\(axis)")
  }

  @Test func roundTicks() {
    #expect(Axis("t", values: [0, 1], limits: 0...1).ticks == [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1])
    #expect(Axis("t", values: [1, 100]).isLogarithmic && !Axis("t", values: [4.6, 28.4]).isLogarithmic)
    #expect(HTMLReport.round(20) == "20" && HTMLReport.round(0.5) == "0.5" && HTMLReport.round(1200) == "1200")
  }
}
