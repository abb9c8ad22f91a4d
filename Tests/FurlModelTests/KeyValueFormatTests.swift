import FurlTokenizer
import FurlModel
import FurlTensor
import FurlTestSupport
import Foundation
import Testing

/// What keeping keys and values in fewer bits does to a model's predictions.
@Suite struct KeyValueFormatTests {
  struct Damage {
    var positions = 0
    var sameBest = 0
    var divergence = 0.0
    /// Of a logit, relative to the spread of its row.
    var largest = 0.0
  }

  /// minipy on text it was not trained on, against an FP32 cache.
  private func damage(_ format: KeyValueCache.CacheFormat) throws -> Damage {
    let context = try Fixtures.context()
    let file = try ModelFile(path: TestData.minipy)
    let model = try file.load(pool: context.pool)
    let text = String(decoding: try TestData.bytes(TestData.minipy + "/validation.txt").prefix(12_000), as: UTF8.self)
    let ids = try file.tokenizer().encode(text)
    let exact = try Session(model, context: context, format: .float32)
    let coarse = try Session(model, context: context, format: format)
    var damage = Damage()
    for start in stride(from: 0, to: min(ids.count, 2048), by: 512) {
      let window = Array(ids[start..<min(start + 512, ids.count)])
      try Likelihood(exact, coarse).forEachPosition(window) { _, logits, row in
        let p = logits[0][row].map { Double($0) }
        let q = logits[1][row].map { Double($0) }
        let mean = p.reduce(0, +) / Double(p.count)
        let spread = (p.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(p.count)).squareRoot()
        damage.positions += 1
        damage.largest = max(damage.largest, (zip(p, q).map { abs($0 - $1) }.max() ?? .infinity) / spread)
        damage.divergence += Likelihood.divergence(
          of: Likelihood.logProbabilities(logits[0], row: row), from: Likelihood.logProbabilities(logits[1], row: row))
        if logits[0].argmax(row: row, context.kernels) == logits[1].argmax(row: row, context.kernels) {
          damage.sameBest += 1
        }
      }
    }
    return damage
  }

  /// At most so much, where FP16 measured 0.04 and 1.0e-7 with every best token the same, 8 bits 0.22, 3.2e-5 and all
  /// but 3 of 2048.
  @Test(
    arguments: [
      (KeyValueCache.CacheFormat.float16, 0.1, 1e-6, 0.998), (.int8, 0.4, 1e-4, 0.995),
    ] as [(KeyValueCache.CacheFormat, Double, Double, Double)])
  func predictionsStay(_ bound: (format: KeyValueCache.CacheFormat, logit: Double, divergence: Double, same: Double))
    throws
  {
    let damage = try damage(bound.format)
    #expect(damage.positions > 1000)
    #expect(damage.largest > 0 && damage.largest <= bound.logit)
    #expect(damage.divergence / Double(damage.positions) <= bound.divergence)
    #expect(Double(damage.sameBest) >= bound.same * Double(damage.positions))
  }
}
