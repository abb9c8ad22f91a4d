import FurlBase

/// The entries of a ZIP archive, as PyTorch writes it: nothing is compressed, so data is used where it lies.
///
/// Format: PKWARE's APPNOTE.TXT, with its 64-bit extensions. The directory at the end of the file is checked against
/// the header of every entry: names, sizes, and that entries lie in the file and apart from each other. Nothing is
/// ever inflated.
struct ZipArchive {
  struct ZipEntry {
    let name: String
    /// The bytes of the file that are the entry's data.
    let data: Range<Int>
    let isCompressed: Bool
    fileprivate let start: Int
  }

  let file: MappedFile
  /// In the order of the directory.
  let entries: [ZipEntry]

  /// A directory of 7,000 tensors takes 0.5 MB.
  private static let directoryLimit = 4 << 20

  /// - Throws: ``FurlError`` of kind `input`, naming the entry.
  init(_ file: MappedFile) throws {
    self.file = file
    let end = try ZipEnd(file)
    guard end.directory.count <= ZipArchive.directoryLimit else {
      throw FurlError.input(
        file.path, "has a ZIP directory of \(end.directory.count) bytes; at most \(ZipArchive.directoryLimit) are read")
    }
    var cursor = ByteCursor(file.read(end.directory))
    var entries: [ZipEntry] = []
    var names: Set<String> = []
    while cursor.remaining > 0 {
      let record = try ZipRecord(&cursor, path: file.path)
      guard names.insert(record.name).inserted else {
        throw FurlError.input(file.path, record.name, "appears twice in the ZIP directory")
      }
      entries.append(
        ZipEntry(
          name: record.name, data: try record.data(in: file, before: end.directory.lowerBound),
          isCompressed: record.method != 0, start: record.offset))
    }
    guard entries.count == end.entryCount else {
      throw FurlError.input(
        file.path, "has \(entries.count) entries in its ZIP directory; its end record says \(end.entryCount)")
    }
    self.entries = entries
    try refuseOverlaps()
  }

  /// - Throws: ``FurlError`` if the data of an entry is not what lies in the file.
  func refuseCompressed() throws {
    guard let entry = entries.first(where: \.isCompressed) else { return }
    throw FurlError.input(
      file.path, entry.name, "is compressed in the ZIP archive; weights are used where they lie",
      remedy: "unpack the archive and pack it again without compression (zip -0), or save it again with PyTorch")
  }

  private func refuseOverlaps() throws {
    let ordered = entries.sorted { ($0.start, $0.data.upperBound) < ($1.start, $1.data.upperBound) }
    for (entry, next) in zip(ordered, ordered.dropFirst()) where next.start < entry.data.upperBound {
      throw FurlError.input(file.path, next.name, "overlaps \"\(entry.name)\" in the ZIP archive")
    }
  }
}

/// What the end of a ZIP archive says about its directory.
private struct ZipEnd {
  var directory: Range<Int>
  var entryCount: Int

  init(_ file: MappedFile) throws {
    func damaged(_ problem: String) -> FurlError {
      .input(file.path, problem, remedy: "the file is damaged or cut off")
    }
    guard let end = ZipEnd.find(in: file) else { throw damaged("has no ZIP end record") }
    var cursor = ByteCursor(file.read(end + 4..<end + 20))
    guard let disk = cursor.integer(UInt16.self), let directoryDisk = cursor.integer(UInt16.self),
      let onDisk = cursor.integer(UInt16.self), let total = cursor.integer(UInt16.self),
      let size = cursor.integer(UInt32.self), let offset = cursor.integer(UInt32.self)
    else { throw damaged("has no ZIP end record") }
    var claims = (count: UInt64(total), size: UInt64(size), offset: UInt64(offset))
    var limit = end
    var isWhole = disk == 0 && directoryDisk == 0 && onDisk == total
    if end >= 20, file.integer(at: end - 20, as: UInt32.self) == 0x0706_4B50 {
      // The 64-bit end record says the same again, and what the short one has no room for.
      let position = file.integer(at: end - 12, as: UInt64.self)
      guard end >= 76, position <= UInt64(end - 76), file.integer(at: Int(position), as: UInt32.self) == 0x0606_4B50,
        file.integer(at: Int(position) + 4, as: UInt64.self) == UInt64(end - 20 - 12 - Int(position))
      else { throw damaged("has a ZIP end record that leads nowhere") }
      limit = Int(position)
      func field(_ offset: Int) -> UInt64 { file.integer(at: limit + offset) }
      let long = (count: field(32), size: field(40), offset: field(48))
      isWhole =
        field(16) == 0 && field(24) == long.count
        && (file.integer(at: end - 16, as: UInt32.self), file.integer(at: end - 4, as: UInt32.self)) == (0, 1)
      guard total == .max || claims.count == long.count, size == .max || claims.size == long.size,
        offset == .max || claims.offset == long.offset
      else { throw damaged("has two ZIP end records that disagree") }
      claims = long
    }
    guard isWhole else { throw damaged("is one part of a ZIP archive of several") }
    guard claims.offset <= UInt64(limit), claims.size == UInt64(limit) - claims.offset else {
      throw damaged("has a ZIP directory that does not end where its end record begins")
    }
    directory = Int(claims.offset)..<limit
    guard claims.count <= UInt64(directory.count / 46) else {
      throw damaged("says that it has \(claims.count) ZIP entries, for which its directory has no room")
    }
    entryCount = Int(claims.count)
  }

  /// The last end record whose comment reaches to the end of the file.
  private static func find(in file: MappedFile) -> Int? {
    guard file.count >= 22 else { return nil }
    let start = max(0, file.count - 22 - Int(UInt16.max))
    let tail = file.read(start..<file.count)
    for position in (0...tail.count - 22).reversed() where tail[position] == 0x50 {
      guard tail[position + 1] == 0x4B, tail[position + 2] == 5, tail[position + 3] == 6 else { continue }
      let comment = Int(tail[position + 20]) | Int(tail[position + 21]) << 8
      if position + 22 + comment == tail.count { return start + position }
    }
    return nil
  }
}

/// What the directory says about an entry.
private struct ZipRecord {
  let name: String
  let offset: Int
  private let nameBytes: ArraySlice<UInt8>
  let method: UInt16
  private let flags: UInt16
  /// Bytes in the file.
  private let stored: Int
  /// Bytes of the content.
  private let full: Int

  /// Takes the next record.
  init(_ cursor: inout ByteCursor, path: String) throws {
    let damaged = FurlError.input(path, "has a damaged ZIP directory")
    guard cursor.integer(UInt32.self) == 0x0201_4B50, cursor.take(4) != nil, let flags = cursor.integer(UInt16.self),
      let method = cursor.integer(UInt16.self), cursor.take(8) != nil, let stored = cursor.integer(UInt32.self),
      let full = cursor.integer(UInt32.self), let nameLength = cursor.integer(UInt16.self),
      let extraLength = cursor.integer(UInt16.self), let commentLength = cursor.integer(UInt16.self),
      let disk = cursor.integer(UInt16.self), cursor.take(6) != nil, let start = cursor.integer(UInt32.self),
      let nameRange = cursor.take(Int(nameLength)), let extra = cursor.take(Int(extraLength)),
      cursor.take(Int(commentLength)) != nil
    else { throw damaged }
    nameBytes = cursor.bytes[nameRange]
    guard let name = String(validating: nameBytes, as: UTF8.self), !name.isEmpty, name.utf8.count <= 1024 else {
      throw FurlError.input(path, "has a ZIP entry whose name is empty, too long or not UTF-8")
    }
    self.name = name
    func wrong(_ problem: String) -> FurlError { .input(path, name, problem) }
    guard flags & 0x2041 == 0 else { throw wrong("is encrypted in the ZIP archive") }
    guard disk == 0 else { throw wrong("lies in another part of the ZIP archive") }
    var fields = ZipRecord.longFields(cursor.bytes, extra)
    /// What does not fit in 32 bits stands in the extra field, in this order.
    func long(_ short: UInt32) throws -> Int {
      guard short == .max else { return Int(short) }
      guard let value = fields?.integer(UInt64.self), let number = Int(exactly: value) else {
        throw wrong("has a size that does not fit in its ZIP archive")
      }
      return number
    }
    self.full = try long(full)
    self.stored = try long(stored)
    offset = try long(start)
    self.flags = flags
    self.method = method
    guard method != 0 || self.stored == self.full else {
      throw wrong("has two sizes in the ZIP directory, \(self.stored) and \(self.full)")
    }
  }

  /// The 64-bit fields among an entry's extra fields.
  private static func longFields(_ bytes: [UInt8], _ range: Range<Int>) -> ByteCursor? {
    var cursor = ByteCursor(Array(bytes[range]))
    while let kind = cursor.integer(UInt16.self), let count = cursor.integer(UInt16.self),
      let content = cursor.take(Int(count))
    {
      if kind == 1 { return ByteCursor(Array(cursor.bytes[content])) }
    }
    return nil
  }

  /// Where the data lies: behind the entry's own header, which has to agree.
  func data(in file: MappedFile, before end: Int) throws -> Range<Int> {
    func wrong(_ problem: String) -> FurlError { .input(file.path, name, problem) }
    guard offset <= end - 30 else { throw wrong("begins behind the entries of the ZIP archive") }
    var cursor = ByteCursor(file.read(offset..<offset + 30))
    guard cursor.integer(UInt32.self) == 0x0403_4B50, cursor.take(2) != nil,
      let ownFlags = cursor.integer(UInt16.self), let ownMethod = cursor.integer(UInt16.self), cursor.take(8) != nil,
      let ownStored = cursor.integer(UInt32.self), let ownFull = cursor.integer(UInt32.self),
      let nameLength = cursor.integer(UInt16.self), let extraLength = cursor.integer(UInt16.self)
    else { throw wrong("has no header at the place that the ZIP directory says") }
    let nameStart = offset + 30
    let (extraStart, start) = (nameStart + Int(nameLength), nameStart + Int(nameLength) + Int(extraLength))
    guard start <= end, stored <= end - start else { throw wrong("reaches out of the ZIP archive") }
    guard ownMethod == method, ownFlags == flags, file.read(nameStart..<extraStart).elementsEqual(nameBytes) else {
      throw wrong("has a header that the ZIP directory contradicts")
    }
    // With bit 3 the sizes follow the data; the header's are empty then.
    guard flags & 8 == 0 else { return start..<start + stored }
    var fields = ZipRecord.longFields(file.read(extraStart..<start), 0..<Int(extraLength))
    for (own, size) in [(ownFull, full), (ownStored, stored)] {
      let own = own == .max ? fields?.integer(UInt64.self) : UInt64(own)
      guard own == UInt64(size) else { throw wrong("has a size in its header that the ZIP directory contradicts") }
    }
    return start..<start + stored
  }
}
