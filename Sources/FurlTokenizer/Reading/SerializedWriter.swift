/// Writes ``SerializedForm``.
enum SerializedWriter {
  static func write(_ parts: TokenizerParts) -> [UInt8] {
    let vocabulary = parts.vocabulary
    let merges = parts.merges.list
    let flags = SerializedForm.SerializedFlags(parts)
    let hasMarks = parts.stages.contains { if case .marks = $0.rule { true } else { false } }
    let isFirst = flags.isSubset(of: .first) && parts.fallback.unknownID == nil && !hasMarks

    var bytes = SerializedForm.magic + [isFirst ? 1 : 2]
    var header = [
      Int(flags.rawValue), vocabulary.count, merges.count, vocabulary.bytes.count, parts.bosID.map { $0 + 1 } ?? 0,
      parts.eosID.map { $0 + 1 } ?? 0, parts.added.count, parts.stages.count,
    ]
    if !isFirst { header.append(parts.fallback.unknownID.map { $0 + 1 } ?? 0) }
    for value in header { word(value, to: &bytes) }

    let isStored = SerializedForm.storedPieces(vocabulary, merges)
    let kinds = vocabulary.kinds.indices.map {
      vocabulary.kinds[$0].rawValue | (isStored[$0] ? SerializedForm.storedBit : 0)
    }
    runs(kinds, to: &bytes)
    for ids in [merges.map(\.left), merges.map(\.right)] {
      for plane in 0..<SerializedForm.idWidth(vocabulary.count) {
        bytes += ids.map { UInt8(truncatingIfNeeded: $0 >> (8 * UInt32(plane))) }
      }
    }
    differences(merges.map(\.result), to: &bytes)
    let byModel = parts.places.indices.filter { vocabulary.kinds[$0].contains(.model) }
    differences(byModel.map { parts.places[$0] }, to: &bytes)
    let stored = vocabulary.kinds.indices.filter { isStored[$0] }
    for id in stored { short(vocabulary.range(id).count, to: &bytes) }
    for id in stored { bytes += vocabulary.piece(id) }
    for token in parts.added {
      word(token.id, to: &bytes)
      bytes.append(token.flags.rawValue)
    }
    for stage in parts.stages {
      let (code, text) = stage.rule.stored
      bytes += [code, stage.behavior.rawValue, stage.inverts ? 1 : 0]
      short(text.utf8.count, to: &bytes)
      bytes += Array(text.utf8)
    }
    return bytes
  }

  /// Every number as what it has more than the one before it plus one, zigzag.
  private static func differences(_ values: [UInt32], to bytes: inout [UInt8]) {
    var expected = 0
    for value in values {
      let difference = Int(value) - expected
      short(difference >= 0 ? 2 * difference : -2 * difference - 1, to: &bytes)
      expected = Int(value) + 1
    }
  }

  private static func word(_ value: Int, to bytes: inout [UInt8]) {
    for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  private static func short(_ value: Int, to bytes: inout [UInt8]) {
    var value = value
    while value > 0x7F {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }

  private static func runs(_ values: [UInt8], to bytes: inout [UInt8]) {
    var start = 0
    while start < values.count {
      let end = values[start...].firstIndex { $0 != values[start] } ?? values.count
      bytes.append(values[start])
      short(end - start, to: &bytes)
      start = end
    }
  }
}
