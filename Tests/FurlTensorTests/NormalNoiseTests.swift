import FurlBase
import FurlTensor
import Foundation
import Testing

@Suite struct NormalNoiseTests {
  static func floats(_ bytes: [UInt8]) -> [Float] {
    stride(from: 0, to: bytes.count, by: 4).map { at in
      Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) })
    }
  }

  static func numbers(_ noise: NormalNoise, _ range: Range<Int>, mean: Float = 0, deviation: Float = 1) -> [Float] {
    floats(noise.bytes(range, mean: mean, deviation: deviation, as: .float32))
  }

  /// Shares of a normal distribution below -3, -2, -1, -0.5, 0, ... as tables of it give them.
  @Test func isNormal() {
    let count = 1 << 21
    let numbers = Self.numbers(NormalNoise(seed: 3), 0..<count).map(Double.init)
    let mean = numbers.reduce(0, +) / Double(count)
    let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
    let fourth = numbers.reduce(0) { $0 + pow($1 - mean, 4) } / Double(count) / (variance * variance)
    #expect(abs(mean) < 0.004 && abs(variance.squareRoot() - 1) < 0.002 && abs(fourth - 3) < 0.03)
    for (x, share) in [
      (-3.0, 0.001349898), (-2, 0.022750132), (-1, 0.158655254), (-0.5, 0.308537539), (0, 0.5), (1, 0.841344746),
      (2.5, 0.993790335),
    ] {
      let below = Double(numbers.count { $0 < x }) / Double(count)
      #expect(abs(below - share) < 5 * (share * (1 - share) / Double(count)).squareRoot() + 1e-5, "\(x)")
    }
    #expect(numbers.allSatisfy { abs($0) <= 4 } && numbers.contains { abs($0) > 3.7 })
    // Neighbours have nothing to do with each other.
    let product = zip(numbers, numbers.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / Double(count)
    #expect(abs(product) < 0.004)
  }

  @Test func anyPartIsTheSame() {
    let noise = NormalNoise(seed: 17, name: "h.0.attn")
    let whole = Self.numbers(noise, 0..<1001)
    for start in [0, 2, 500, 998] {
      for end in [start, start + 1, start + 3, 1001] where end <= 1001 {
        #expect(Self.numbers(noise, start..<end) == Array(whole[start..<end]))
      }
    }
    #expect(Self.numbers(NormalNoise(seed: 17, name: "h.0.attn"), 0..<1001) == whole)
    for other in [
      NormalNoise(seed: 18, name: "h.0.attn"), NormalNoise(seed: 17, name: "h.1.attn"), NormalNoise(seed: 17),
    ] {
      #expect(Set(Self.numbers(other, 0..<1001)).intersection(whole).count < 10)
    }
    #expect(Self.numbers(noise, 0..<64, mean: 1, deviation: 0.5) == whole.prefix(64).map { 1 + 0.5 * $0 })
  }

  /// The first words of SplitMix64 with seed 0 are published; the numbers are those probabilities' quantiles.
  @Test func numbersComeFromThePublishedWords() {
    let words: [UInt64] = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]
    let numbers = Self.numbers(NormalNoise(seed: 0), 0..<6)
    for (index, word) in words.enumerated() {
      for (half, lane) in [word >> 32, word & 0xFFFF_FFFF].enumerated() {
        let probability = (Double(lane) + 0.5) / 0x1p32
        let below = 0.5 * erfc(-Double(numbers[2 * index + half]) / 2.0.squareRoot())
        #expect(abs(below - probability) < 2e-5)
      }
    }
  }

  @Test func halvesAreTheRoundedFloats() {
    let noise = NormalNoise(seed: 5)
    let floats = Self.numbers(noise, 0..<4000, deviation: 0.02)
    let halves = noise.bytes(0..<4000, mean: 0, deviation: 0.02, as: .float16)
    let bfloats = noise.bytes(0..<4000, mean: 0, deviation: 0.02, as: .bfloat16)
    for (index, float) in floats.enumerated() {
      #expect(Float16(float).bitPattern == UInt16(halves[2 * index]) | UInt16(halves[2 * index + 1]) << 8)
      let near = Float(bitPattern: UInt32(bfloats[2 * index]) << 16 | UInt32(bfloats[2 * index + 1]) << 24)
      #expect(abs(near - float) <= abs(float) * 0x1p-8)
    }
  }
}
