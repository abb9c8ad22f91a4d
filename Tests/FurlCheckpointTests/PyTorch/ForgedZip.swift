import FurlTestSupport

/// A ZIP archive put together by hand, so that every field can lie. Format: PKWARE's APPNOTE.TXT.
struct ForgedZip {
  struct Entry {
    var name: String
    var data: [UInt8]
    /// What the directory says; the header says the same unless `header` changes it.
    var method: UInt16 = 0
    var flags: UInt16 = 0
    var size: UInt32?
    var full: UInt32?
    var offset: UInt32?
    /// An extra field of the directory.
    var extra: [UInt8] = []
    /// Bytes between the header and the data.
    var padding: [UInt8] = []
    /// Changes the bytes of the header.
    var header: @Sendable (inout [UInt8]) -> Void = { _ in }

    init(_ name: String, _ data: [UInt8]) {
      self.name = name
      self.data = data
    }
  }

  var entries: [Entry]
  /// Changes the 64-bit end record and its locator (76 bytes), which are left out when they are empty.
  var longEnd: @Sendable (inout [UInt8]) -> Void = { $0 = [] }
  /// Changes the end record (22 bytes).
  var end: @Sendable (inout [UInt8]) -> Void = { _ in }
  var count: Int?
  /// What the locator of the 64-bit end record adds to its place.
  var longEndShift = 0

  init(_ entries: [Entry]) { self.entries = entries }

  /// What `torch.save` would write: the objects and the storages by their keys.
  init(pickle: [UInt8], storages: [(key: String, data: [UInt8])] = []) {
    entries = [Entry("archive/data.pkl", pickle)] + storages.map { Entry("archive/data/\($0.key)", $0.data) }
  }

  static func little<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
    (0..<MemoryLayout<Integer>.size).map { UInt8(truncatingIfNeeded: value >> (8 * Integer($0))) }
  }

  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    var directory: [UInt8] = []
    for entry in entries {
      let name = Array(entry.name.utf8)
      let offset = entry.offset ?? UInt32(bytes.count)
      let full = entry.full ?? UInt32(entry.data.count)
      let size = entry.size ?? full
      var header = Self.little(UInt32(0x0403_4B50)) + Self.little(UInt16(0)) + Self.little(entry.flags)
      header += Self.little(entry.method) + Self.little(UInt64(0)) + Self.little(size) + Self.little(full)
      header += Self.little(UInt16(name.count)) + Self.little(UInt16(entry.padding.count))
      header += name + entry.padding
      entry.header(&header)
      bytes += header + entry.data
      directory += Self.little(UInt32(0x0201_4B50)) + Self.little(UInt32(0)) + Self.little(entry.flags)
      directory += Self.little(entry.method) + Self.little(UInt64(0)) + Self.little(size) + Self.little(full)
      directory += Self.little(UInt16(name.count)) + Self.little(UInt16(entry.extra.count)) + Self.little(UInt16(0))
      directory += Self.little(UInt16(0)) + [UInt8](repeating: 0, count: 6) + Self.little(offset)
      directory += name + entry.extra
    }
    let (start, count) = (bytes.count, count ?? entries.count)
    bytes += directory
    var long = Self.little(UInt32(0x0606_4B50)) + Self.little(UInt64(44)) + [UInt8](repeating: 0, count: 12)
    long += Self.little(UInt64(count)) + Self.little(UInt64(count)) + Self.little(UInt64(directory.count))
    long += Self.little(UInt64(start)) + Self.little(UInt32(0x0706_4B50)) + Self.little(UInt32(0))
    long += Self.little(Int64(bytes.count + longEndShift)) + Self.little(UInt32(1))
    longEnd(&long)
    var end = Self.little(UInt32(0x0605_4B50)) + Self.little(UInt32(0)) + Self.little(UInt16(truncatingIfNeeded: count))
    end += Self.little(UInt16(truncatingIfNeeded: count)) + Self.little(UInt32(directory.count))
    end += Self.little(UInt32(start)) + Self.little(UInt16(0))
    self.end(&end)
    return bytes + long + end
  }
}
