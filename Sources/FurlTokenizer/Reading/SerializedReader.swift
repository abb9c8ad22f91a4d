import FurlBase

/// Reads ``SerializedForm``. The bytes are not trusted: every count, length and id is checked before its use.
struct SerializedReader {
  private let bytes: [UInt8]
  private let file: String?
  private var position = 0

  static func read(_ bytes: [UInt8], file: String?) throws -> TokenizerParts {
    var reader = SerializedReader(bytes: bytes, file: file)
    return try reader.parts()
  }

  private init(bytes: [UInt8], file: String?) {
    self.bytes = bytes
    self.file = file
  }

  private func error(_ part: String, _ problem: String) -> FurlError {
    .input(file, "tokenizer, \(part)", problem, remedy: "the file is damaged; make it anew")
  }

  // MARK: Integers

  // Names of parts are made when something is wrong with one: there are a hundred thousand merges.

  private func need(_ count: Int, _ part: @autoclosure () -> String) throws {
    guard count <= bytes.count - position else { throw error(part(), "ends after \(bytes.count) bytes") }
  }

  private mutating func byte(_ part: @autoclosure () -> String) throws -> UInt8 {
    try need(1, part())
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func word(_ part: String, upTo limit: Int) throws -> Int {
    try need(4, part)
    let value = (0..<4).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
    position += 4
    guard value <= limit else { throw error(part, "\(value) is more than \(limit)") }
    return value
  }

  private mutating func short(_ part: @autoclosure () -> String, upTo limit: Int) throws -> Int {
    var value = 0
    for shift in stride(from: 0, to: 35, by: 7) {
      let next = try byte(part())
      value |= Int(next & 0x7F) << shift
      guard next >= 0x80 else {
        // One form for a value, so that equal tokenizers have equal bytes.
        guard value <= limit, next != 0 || shift == 0 else { break }
        return value
      }
    }
    throw error(part(), "a number is out of range")
  }

  // MARK: Parts

  private mutating func parts() throws -> TokenizerParts {
    try need(SerializedForm.magic.count, "header")
    guard bytes.starts(with: SerializedForm.magic) else { throw error("header", "is not that of a tokenizer") }
    position = SerializedForm.magic.count
    let version = try byte("header")
    guard SerializedForm.versions.contains(version) else {
      throw FurlError.input(
        file, "tokenizer, header", "has the version \(version)",
        remedy: "use a Furl that knows it; this one knows 1 to \(SerializedForm.versions.upperBound)")
    }
    let known = version == 1 ? SerializedForm.SerializedFlags.first : .all
    let flags = SerializedForm.SerializedFlags(rawValue: UInt32(try word("flags", upTo: Int(known.rawValue))))
    let count = try word("count of ids", upTo: Vocabulary.maximumCount)
    let mergeCount = try word("count of merges", upTo: flags.contains(.hasPlaces) ? 0 : MergeTable.maximumCount)
    let pieceBytes = try word("bytes of pieces", upTo: Vocabulary.maximumBytes)
    let bos = try word("BOS", upTo: count)
    let eos = try word("EOS", upTo: count)
    let addedCount = try word("count of added tokens", upTo: count)
    let stageCount = try word("count of stages", upTo: SerializedForm.mostStages)
    let unknown = version == 1 ? 0 : try word("unknown piece", upTo: count)

    let kinds = try self.kinds(count)
    let merges = try self.merges(mergeCount, count)
    let places = flags.contains(.hasPlaces) ? try self.places(kinds) : []
    let vocabulary = try self.vocabulary(kinds, merges, pieceBytes, flags.contains(.isMarked) ? .marked : .bytes)
    let added = try (0..<addedCount).map { _ in try addedToken(vocabulary) }
    guard Set(added.map(\.id)).count == added.count else { throw error("added tokens", "one is there twice") }
    let stages = try (0..<stageCount).map { _ in try stage(version) }
    guard position == bytes.count else { throw error("end", "\(bytes.count - position) bytes too many") }
    for id in [bos, eos, unknown] where id > 0 && !vocabulary.kinds[id - 1].contains(.present) {
      throw error(id == unknown ? "unknown piece" : "BOS and EOS", "the id \(id - 1) has no piece")
    }
    let parts = TokenizerParts(
      vocabulary: vocabulary, merges: try MergeTable(merges, file: file), places: places, added: added,
      normalization: Normalization(
        composes: flags.contains(.composes), prependsSpace: flags.contains(.prependsSpace),
        marksSpaces: flags.contains(.marksSpaces)),
      stages: stages,
      fallback: Fallback(
        usesBytes: flags.contains(.usesBytes), unknownID: unknown > 0 ? unknown - 1 : nil,
        fusesUnknown: flags.contains(.fusesUnknown), separates: flags.contains(.separates)),
      decoding: Decoding(
        joinsBytes: flags.contains(.joinsBytes), stripsSpace: flags.contains(.stripsSpace)),
      ignoresMerges: flags.contains(.ignoresMerges), bosID: bos > 0 ? bos - 1 : nil, eosID: eos > 0 ? eos - 1 : nil,
      addsBOS: flags.contains(.addsBOS))
    try check(parts)
    return parts
  }

  /// What belongs together: without it the text would be taken for something else than it is.
  private func check(_ parts: TokenizerParts) throws {
    let marks = parts.stages.filter { if case .marks = $0.rule { true } else { false } }
    let isMarked = parts.normalization.marksSpaces || !marks.isEmpty
    guard isMarked == (parts.vocabulary.alphabet == .marked), !parts.normalization.prependsSpace || isMarked,
      parts.places.isEmpty || isMarked
    else { throw error("flags", "contradict each other") }
    guard parts.places.isEmpty || parts.vocabulary.longestPiece <= GGUFTokenizer.longestPiece else {
      throw error("pieces", "one has more than \(GGUFTokenizer.longestPiece) bytes")
    }
  }

  /// The kinds of all ids, with the bit for stored pieces.
  private mutating func kinds(_ count: Int) throws -> [UInt8] {
    var kinds: [UInt8] = []
    kinds.reserveCapacity(count)
    while kinds.count < count {
      let kind = try byte("kinds")
      let present = PieceKind.present.rawValue
      guard kind & 0x70 == 0, kind & present != 0 || kind == 0 else { throw error("kinds", "\(kind) is not a kind") }
      let run = try short("kinds", upTo: count - kinds.count)
      guard run > 0 else { throw error("kinds", "an empty run") }
      kinds += repeatElement(kind, count: run)
    }
    return kinds
  }

  private mutating func merges(_ mergeCount: Int, _ count: Int) throws -> [MergeTable.Merge] {
    let width = SerializedForm.idWidth(count)
    try need(mergeCount * width * 2, "merges")
    var merges: [MergeTable.Merge] = []
    merges.reserveCapacity(mergeCount)
    for rank in 0..<mergeCount {
      var (left, right) = (0, 0)
      for plane in 0..<width {
        left |= Int(bytes[position + plane * mergeCount + rank]) << (8 * plane)
        right |= Int(bytes[position + (width + plane) * mergeCount + rank]) << (8 * plane)
      }
      guard left < count, right < count else { throw error("merge \(rank)", "an id is not below \(count)") }
      merges.append(MergeTable.Merge(left: UInt32(left), right: UInt32(right), result: 0))
    }
    position += mergeCount * width * 2
    var expected = 0
    for rank in 0..<mergeCount {
      let result = try difference("merge \(rank)", expected, below: count)
      merges[rank].result = UInt32(result)
      expected = result + 1
    }
    return merges
  }

  /// The places of all ids; those of no piece of the model are never asked for.
  private mutating func places(_ kinds: [UInt8]) throws -> [UInt32] {
    var places = [UInt32](repeating: 0, count: kinds.count)
    var expected = 0
    for id in kinds.indices where PieceKind(rawValue: kinds[id]).contains(.model) {
      let place = try difference("place of \(id)", expected, below: kinds.count)
      places[id] = UInt32(place)
      expected = place + 1
    }
    return places
  }

  private mutating func difference(_ part: @autoclosure () -> String, _ expected: Int, below count: Int) throws -> Int {
    let code = try short(part(), upTo: 4 * Vocabulary.maximumCount)
    let value = expected + (code & 1 == 0 ? code / 2 : -(code + 1) / 2)
    guard value >= 0, value < count else { throw error(part(), "\(value) is not below \(count)") }
    return value
  }

  /// Reads the stored pieces and puts the others together.
  private mutating func vocabulary(
    _ kinds: [UInt8], _ merges: [MergeTable.Merge], _ total: Int, _ alphabet: Alphabet
  ) throws -> Vocabulary {
    // For every id the range of a piece in `pieces`, or an empty one while it is not known.
    var pieces: [UInt8] = []
    var ranges = [Range<Int>](repeating: 0..<0, count: kinds.count)
    var start = 0
    for id in kinds.indices where kinds[id] & SerializedForm.storedBit != 0 {
      let length = try short("pieces", upTo: Vocabulary.maximumPiece)
      guard length > 0 else { throw error("pieces", "the piece of the id \(id) is empty") }
      ranges[id] = start..<start + length
      start += length
    }
    try need(start, "pieces")
    guard start <= total else { throw error("pieces", "more bytes than the header says") }
    pieces.reserveCapacity(total)
    pieces += bytes[position..<position + start]
    position += start

    func isBytes(_ id: UInt32) -> Bool {
      let kind = PieceKind(rawValue: kinds[Int(id)] & ~SerializedForm.storedBit)
      return kind.contains([.present, .model]) && !kind.contains(.literal)
    }
    for (rank, merge) in merges.enumerated() {
      let (left, right, result) = (ranges[Int(merge.left)], ranges[Int(merge.right)], ranges[Int(merge.result)])
      guard isBytes(merge.left), isBytes(merge.right), isBytes(merge.result) else {
        let id = [merge.left, merge.right, merge.result].first { !isBytes($0) } ?? 0
        throw error("merge \(rank)", "the id \(id) is no piece of bytes")
      }
      guard !left.isEmpty, !right.isEmpty else { throw error("merge \(rank)", "a part is not known yet") }
      let length = left.count + right.count
      if result.isEmpty {
        guard length <= Vocabulary.maximumPiece, pieces.count + length <= total else {
          throw error("merge \(rank)", "makes a piece that is too long")
        }
        ranges[Int(merge.result)] = pieces.count..<pieces.count + length
        for index in left { pieces.append(pieces[index]) }
        for index in right { pieces.append(pieces[index]) }
      } else {
        guard result.count == length, pieces[result].starts(with: pieces[left]),
          pieces[result].dropFirst(left.count).elementsEqual(pieces[right])
        else { throw error("merge \(rank)", "makes a piece that is not its two parts") }
      }
    }
    guard pieces.count == total else { throw error("pieces", "fewer bytes than the header says") }

    var vocabulary = Vocabulary(capacity: kinds.count, bytes: total, alphabet: alphabet)
    for id in kinds.indices {
      guard kinds[id] == 0 || !ranges[id].isEmpty else { throw error("pieces", "the piece of the id \(id) is missing") }
      vocabulary.append(pieces[ranges[id]], PieceKind(rawValue: kinds[id] & ~SerializedForm.storedBit))
    }
    return vocabulary
  }

  private mutating func addedToken(_ vocabulary: Vocabulary) throws -> AddedToken {
    let id = try word("added tokens", upTo: vocabulary.count)
    let flags = AddedToken.AddedTokenFlags(rawValue: try byte("added tokens"))
    guard id < vocabulary.count, vocabulary.kinds[id].contains(.present) else {
      throw error("added tokens", "the id \(id) has no piece")
    }
    guard flags.isSubset(of: .all) else { throw error("added tokens", "\(flags.rawValue) is not a set of flags") }
    return AddedToken(id: id, flags: flags)
  }

  private mutating func stage(_ version: UInt8) throws -> Stage {
    let code = try byte("stages")
    let behavior = SplitBehavior(rawValue: try byte("stages"))
    let inverts = try byte("stages")
    let length = try short("stages", upTo: SerializedForm.longestPattern)
    try need(length, "stages")
    let text = String(validating: bytes[position..<position + length], as: UTF8.self)
    position += length
    guard version > 1 || code <= 3, let behavior, inverts <= 1, let text, let rule = Stage.Rule(code: code, text: text)
    else {
      throw error("stages", "is not a stage")
    }
    do {
      return try Stage(rule, behavior, inverts: inverts == 1)
    } catch let error as PatternError {
      throw self.error("stages", error.problem)
    }
  }
}
