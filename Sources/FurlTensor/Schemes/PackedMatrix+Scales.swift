import CFurlKernels
import FurlBase

/// The real numbers that the codes of a matrix are multiples of: what can be changed without a change of codes or of size.
///
/// They are those of blocks, halves or bytes that a row's FP32 makes real; in GGUF's super-blocks halves for each of them.
package struct ScaleGroups: Sendable, Hashable {
  /// How they are stored.
  fileprivate enum GroupForm { case halves, bytes, superBlocks }

  /// Columns that share a number; the last group of a row may have fewer.
  package let columns: Int
  /// Groups of a row.
  package let count: Int
  /// Whether there is a second number, of what is added to the codes.
  package let hasMinimums: Bool
  fileprivate let form: GroupForm
}

extension PackedMatrix {
  /// Nil where weights are no multiples of real numbers: floating point, and scales that are exponents.
  package var scaleGroups: ScaleGroups? {
    func has(_ kind: PackedLayout.StreamKind) -> Bool { layout.streams.contains { $0.kind == kind } }
    if scheme.superBlock != nil {
      return ScaleGroups(
        columns: SuperBlockForm.columns, count: columns / SuperBlockForm.columns, hasMinimums: has(.minimumFactors),
        form: .superBlocks)
    }
    guard has(.scales), !scheme.hasScaleCodes || has(.factors) else { return nil }
    let count = scheme.blocks(columns: columns)
    return ScaleGroups(
      columns: count == 1 ? columns : scheme.blockTiles(columns: columns) * Tile.columns, count: count,
      hasMinimums: has(.minimums), form: scheme.hasScaleCodes ? .bytes : .halves)
  }

  /// The same codes with other scales, rounded as they are stored.
  ///
  /// - Parameters:
  ///   - scales: what the groups' numbers are multiplied with: [rows][groups].
  ///   - minimums: the same for what is added; nil: nothing.
  /// - Throws: ``FurlError`` of kind `defect` for a scheme without groups, another count or what is not finite; `unavailable` without memory.
  package func rescaled(_ scales: [Float], minimums: [Float]? = nil) throws -> PackedMatrix {
    guard let groups = scaleGroups, scales.count == rows * groups.count, scales.allSatisfy(\.isFinite),
      minimums?.allSatisfy(\.isFinite) ?? true,
      minimums.map({ groups.hasMinimums && $0.count == scales.count }) ?? true
    else { throw FurlError(.defect, "\(scheme) of \(rows) rows has other scales, or they are not finite") }
    var changed: [PackedLayout.StreamKind: ByteStorage] = [:]
    switch groups.form {
    case .halves:
      changed[.scales] = try halves(.scales, times: scales, groups.count)
      changed[.minimums] = try minimums.map { try halves(.minimums, times: $0, groups.count) }
    case .superBlocks:
      changed[.factors] = try halves(.factors, times: scales, groups.count)
      changed[.minimumFactors] = try minimums.map { try halves(.minimumFactors, times: $0, groups.count) }
    case .bytes:
      let isSigned = matrix.scale_zero != 0
      (changed[.scales], changed[.factors]) = try bytes(
        .scales, of: .factors, times: scales, groups.count, isSigned: isSigned)
      if let minimums {
        (changed[.minimums], changed[.minimumFactors]) = try bytes(
          .minimums, of: .minimumFactors, times: minimums, groups.count, isSigned: true)
      }
    }
    return try PackedMatrix(
      layout: layout, streams: zip(layout.streams, streams).map { stream, storage in changed[stream.kind] ?? storage })
  }

  private func copy(_ kind: PackedLayout.StreamKind) throws -> ByteStorage {
    guard let index = layout.place(of: kind) else {
      throw FurlError(.defect, "\(scheme) has no \(kind.rawValue)")
    }
    let copy = try ByteStorage(zeroed: streams[index].count)
    streams[index].withBytes { source in
      copy.withMutableBytes(0..<copy.count) { $0.copyMemory(from: source) }
    }
    return copy
  }

  /// - Returns: [row tile][group][16 rows].
  private func halves(
    _ kind: PackedLayout.StreamKind, times factors: [Float], _ groups: Int
  ) throws -> ByteStorage {
    let result = try copy(kind)
    result.withMutableBytes(0..<result.count) { bytes in
      let halves = bytes.assumingMemoryBound(to: UInt16.self)
      for (index, factor) in factors.enumerated() {
        let place = Tile.place(row: index / groups, group: index % groups, of: groups)
        halves[place] = furl_half_from_float(min(max(furl_float_from_half(halves[place]) * factor, -65504), 65504))
      }
    }
    return result
  }

  /// - Returns: the bytes, [row tile][group][16 rows], and what they are multiples of, [row tile][16 rows]: each row's largest
  ///   is the largest byte, as where weights are encoded.
  private func bytes(
    _ kind: PackedLayout.StreamKind, of factorKind: PackedLayout.StreamKind, times factors: [Float], _ groups: Int,
    isSigned: Bool
  ) throws -> (ByteStorage, ByteStorage) {
    let (codes, units) = (try copy(kind), try copy(factorKind))
    let (zero, least, steps): (Float, Float, Float) = isSigned ? (128, -127, 127) : (0, 0, 255)
    codes.withMutableBytes(0..<codes.count) { codes in
      units.withMutableBytes(0..<units.count) { units in
        let units = units.assumingMemoryBound(to: Float.self)
        for row in 0..<rows {
          let values = (0..<groups).map { group -> Float in
            let code = Float(codes[Tile.place(row: row, group: group, of: groups)]) - zero
            return code * units[row] * factors[row * groups + group]
          }
          let largest = values.reduce(0) { max($0, $1.magnitude) }
          let unit = min(largest, 65504) / steps
          units[row] = unit
          for (group, value) in values.enumerated() {
            let code = unit > 0 ? (value / unit).rounded(.toNearestOrEven) : 0
            let stored = min(max(code, least), steps) + zero
            codes[Tile.place(row: row, group: group, of: groups)] = UInt8(stored)
          }
        }
      }
    }
    return (codes, units)
  }
}

extension Tile {
  /// Where a row's number of a group lies: [row tile][group][16 rows].
  fileprivate static func place(row: Int, group: Int, of groups: Int) -> Int {
    (row / rows * groups + group) * rows + row % rows
  }
}
