/// Turns pieces into bytes of text as they come, holding back pieces of single bytes until their run ends: as in
/// the reference, a run that is no UTF-8 becomes a U+FFFD for each of its bytes.
struct PieceDecoder: Sendable {
  private var run: [UInt8] = []
  private var stripsSpace: Bool

  /// - Parameter continues: the text goes on from one before, so that a space at its beginning is one.
  init(_ parts: TokenizerParts, continues: Bool = false) {
    stripsSpace = parts.decoding.stripsSpace && !continues
  }

  /// Appends what a piece makes certain. Ids without a piece make nothing.
  mutating func push(_ id: Int, _ parts: TokenizerParts, to bytes: inout [UInt8]) {
    let vocabulary = parts.vocabulary
    guard id >= 0, id < vocabulary.count, vocabulary.kinds[id].contains(.present) else { return }
    if vocabulary.alphabet == .bytes {
      bytes += vocabulary.piece(id)
      return
    }
    var piece = vocabulary.piece(id)
    if vocabulary.kinds[id].contains(.literal) {
      piece = SpaceMark.toSpaces(vocabulary.bytes, vocabulary.range(id))[...]
    }
    if parts.decoding.joinsBytes, let byte = BytePiece.byte(of: piece) {
      run.append(byte)
      return
    }
    finish(to: &bytes)
    give(piece, to: &bytes)
  }

  /// Appends what was held back.
  mutating func finish(to bytes: inout [UInt8]) {
    guard !run.isEmpty else { return }
    if String(validating: run, as: UTF8.self) != nil {
      give(run[...], to: &bytes)
    } else {
      give(Array("\u{FFFD}".utf8)[...], to: &bytes)
      for _ in 1..<run.count { bytes += Array("\u{FFFD}".utf8) }
    }
    run.removeAll(keepingCapacity: true)
  }

  private mutating func give(_ text: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
    let isMark = stripsSpace && text.first == 0x20
    bytes += isMark ? text.dropFirst() : text
    if !text.isEmpty { stripsSpace = false }
  }
}
