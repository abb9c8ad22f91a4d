import FurlBase

/// The fixed parts of a `.furl` file: header, alignment, footer. FORMAT.md describes them.
enum Container {
  /// The versions that this code reads. A file says the oldest that can describe its model.
  static let formatVersions: ClosedRange<UInt32> = 1...2
  static let alignment = 64
  static let headerBytes = 64
  static let footerBytes = 128
  /// Line ends of both kinds and a DOS end of file: a copy in text mode cannot keep them all.
  static let magic: [UInt8] = Array("FURL\r\n\u{1A}\n".utf8)
  static let footerMagic: [UInt8] = Array("FURL-END".utf8)

  /// A decoded stream is at most so many times its stored size, so a small file cannot ask for much memory.
  static let streamRatio = 1024
  static let indexLimit = 32 << 20
  static let tokenizerLimit = 256 << 20
  /// The index and the tokenizer are texts: what they may decode to, by what the file is known to hold of them.
  static func textLimit(stored: Int) -> Int { stored * 64 + (1 << 20) }

  /// The first multiple of 64 that is not below `offset`.
  static func aligned(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }

  /// The header of the first version.
  static var header: [UInt8] { header(version: formatVersions.lowerBound) }

  static func header(version: UInt32) -> [UInt8] {
    padded(magic + littleEndian(version), to: headerBytes)
  }

  static func padded(_ bytes: [UInt8], to count: Int) -> [UInt8] {
    bytes + [UInt8](repeating: 0, count: count - bytes.count)
  }

  static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}

/// What the last 128 bytes say.
struct Footer: Equatable {
  var formatVersion = Container.formatVersions.lowerBound
  var indexOffset: Int
  /// As stored.
  var indexLength: Int
  var indexDecodedLength: Int
  /// Of the index as stored.
  var indexDigest: Digest
  var fileLength: Int

  /// The 128 bytes. The last 32 are the digest of the header and of all before them.
  var bytes: [UInt8] {
    var bytes = Container.footerMagic
    bytes += Container.littleEndian(formatVersion) + Container.littleEndian(UInt32(0))
    for value in [indexOffset, indexLength, indexDecodedLength, fileLength] {
      bytes += Container.littleEndian(Int64(value))
    }
    bytes += indexDigest.bytes
    bytes = Container.padded(bytes, to: Container.footerBytes - 32)
    return bytes + Digest(of: Container.header(version: formatVersion) + bytes).bytes
  }

  /// Reads and checks header and footer.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names what is wrong.
  init(of file: MappedFile) throws {
    func cut(_ problem: String) -> FurlError { Footer.cut(file, problem) }
    formatVersion = try Footer.version(of: file)
    let start = file.count - Container.footerBytes
    let stored = file.read(start..<file.count)
    guard Array(stored.prefix(8)) == Container.footerMagic else {
      throw cut("is cut off or damaged: it does not end as an artifact")
    }
    guard Digest(of: Container.header(version: formatVersion) + stored.dropLast(32)).bytes == Array(stored.suffix(32))
    else {
      throw cut("has a damaged footer")
    }
    func integer(_ offset: Int) throws -> Int {
      guard let value = Int(exactly: file.integer(at: start + offset, as: UInt64.self)) else {
        throw cut("has a footer that points outside of the file")
      }
      return value
    }
    indexOffset = try integer(16)
    indexLength = try integer(24)
    indexDecodedLength = try integer(32)
    fileLength = try integer(40)
    guard fileLength == file.count else {
      throw cut("has \(file.count) bytes, and its footer says \(fileLength)")
    }
    guard indexOffset >= Container.headerBytes, indexOffset % Container.alignment == 0, indexOffset <= start,
      indexLength <= start - indexOffset, Container.aligned(indexOffset + indexLength) == start
    else { throw cut("has a footer that points outside of the file") }
    guard indexDecodedLength <= min(Container.indexLimit, Container.textLimit(stored: indexLength)) else {
      throw cut("has an index of \(indexDecodedLength) bytes, which is more than allowed")
    }
    indexDigest = Digest(of: file, indexOffset..<indexOffset + indexLength)
    guard indexDigest.bytes == Array(stored[48..<80]) else { throw cut("has a damaged index") }
    guard stored == bytes else { throw cut("has a damaged footer") }
  }

  /// The error for a file that has lost something on its way.
  private static func cut(_ file: MappedFile, _ problem: String) -> FurlError {
    .input(file.path, problem, remedy: "copy the file again, or compress again")
  }

  /// The version that a whole header names.
  private static func version(of file: MappedFile) throws -> UInt32 {
    guard beginsAsArtifact(file) else {
      throw FurlError.input(
        file.path, "is not a Furl artifact", remedy: "give a .furl file, as furl compress writes it")
    }
    guard file.count >= Container.headerBytes + Container.footerBytes else {
      throw cut(file, "is cut off: it has only \(file.count) bytes")
    }
    let version = file.integer(at: 8, as: UInt32.self)
    let newest = Container.formatVersions.upperBound
    guard version <= newest else {
      throw FurlError.input(
        file.path, "was made by a newer Furl (format \(version); this one reads up to \(newest))",
        remedy: "use a newer Furl")
    }
    let known = max(version, Container.formatVersions.lowerBound)
    guard file.read(0..<Container.headerBytes) == Container.header(version: known) else {
      throw cut(file, "has a damaged header")
    }
    return known
  }

  init(
    formatVersion: UInt32 = Container.formatVersions.lowerBound, indexOffset: Int, indexLength: Int,
    indexDecodedLength: Int, indexDigest: Digest
  ) {
    self.formatVersion = formatVersion
    self.indexOffset = indexOffset
    self.indexLength = indexLength
    self.indexDecodedLength = indexDecodedLength
    self.indexDigest = indexDigest
    fileLength = Container.aligned(indexOffset + indexLength) + Container.footerBytes
  }

  static func beginsAsArtifact(_ file: MappedFile) -> Bool {
    file.count >= Container.magic.count && file.read(0..<Container.magic.count) == Container.magic
  }
}
