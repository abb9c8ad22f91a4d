import FurlBase
import FurlNumerics
import FurlTensor
import FurlTestSupport
import Testing

@Suite struct LogSoftmaxTests {
  /// Ten thousand logits and single ones, small and large, against each other and against probabilities that add up to 1.
  @Test(arguments: [1, 2, 17, 10_000], [Float(0), 80, -3e4])
  func logarithmsOfProbabilities(_ count: Int, _ offset: Float) throws {
    var draws = SplitMix64(seed: UInt64(count))
    let logits = (0..<count).map { _ in Float(draws.unit() * 20) + offset }
    let double = LogSoftmax.double(logits.span)
    #expect(abs(double.reduce(0) { $0 + Elementary.exp($1) } - 1) < 1e-9)
    var worst = Worst()
    for index in logits.indices {
      worst.add(double[index] - double[0], Double(logits[index]) - Double(logits[0]), bound: 1e-9, "double \(index)")
    }
    var float = [Float](repeating: 0, count: count)
    float.withUnsafeMutableBufferPointer { LogSoftmax.float(logits.span, into: $0) }
    // Half a place of the offset, and of the exponentials.
    let bound = 2e-6 * (20 + Double(abs(offset)))
    for index in logits.indices { worst.add(Double(float[index]), double[index], bound: bound, "float \(index)") }
    #expect(worst.share <= 1, "\(worst.place)")
  }
}
