import FurlBase
import FurlTensor

extension TestData {
  package static func weights(_ rows: Int, _ columns: Int, seed: UInt64) -> [Float] {
    var draws = SplitMix64(seed: seed)
    return (0..<rows * columns).map { _ in Float(draws.unit() + draws.unit() + draws.unit() - 1.5) * 0.1 }
  }
}
