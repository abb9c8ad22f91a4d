package import FurlBase
package import FurlTensor
import Foundation

extension TestData {
  /// A mapped file of some bytes. Its name is gone when this returns; the mapping stays.
  package static func mapped(_ bytes: [UInt8]) throws -> MappedFile {
    try withTemporaryFile(bytes, "bytes") { try MappedFile(path: $0) }
  }

  /// A matrix of weights in a file: [rows][columns] FP32.
  package static func source(_ values: [Float], rows: Int, columns: Int) throws -> WeightSource {
    try WeightSource(
      file: mapped(littleEndian(values)), type: .float32, offset: 0, rows: rows, columns: columns, rowStride: columns)
  }

  /// The bytes of FP32 numbers.
  package static func littleEndian(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
  }

  /// The bytes of 16-bit patterns (F16, BF16).
  package static func littleEndian(_ patterns: [UInt16]) -> [UInt8] {
    patterns.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
  }
}

extension SplitMix64 {
  /// Numbers in -1...1, evenly spread.
  package mutating func floats(_ count: Int, scale: Float = 1) -> [Float] {
    (0..<count).map { _ in Float(unit() * 2 - 1) * scale }
  }
}

/// The largest share of its bound that a difference took; a test wants at most 1.
package struct Worst {
  package private(set) var share = 0.0
  /// Where that was.
  package private(set) var place = ""

  package init() {}

  package mutating func add(_ value: Double, _ expected: Double, bound: Double, _ place: @autoclosure () -> String) {
    let difference = abs(value - expected)
    let share = difference == 0 ? 0 : difference.isFinite ? difference / bound : .infinity
    if !(share <= self.share) {
      self.share = share.isNaN ? .infinity : share
      self.place = "\(place()): \(value) instead of \(expected), bound \(bound)"
    }
  }
}
