import FurlCheckpoint
import FurlBase
import FurlTestSupport
import Testing

/// One test for each way in which a ZIP archive can be wrong.
@Suite struct ZipArchiveTests {
  static var good: ForgedZip {
    ForgedZip(pickle: ForgedPickle.one(), storages: [("0", PickleTests.six), ("1", [9, 9])])
  }

  /// Writes a number over a header's bytes.
  static func set<Integer: FixedWidthInteger>(_ value: Integer, at offset: Int) -> @Sendable (inout [UInt8]) -> Void {
    let bytes = ForgedZip.little(value)
    return { $0.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
  }

  static func opens(_ archive: ForgedZip) throws -> Bool {
    try TorchFixtures.values(TorchFixtures.open(archive.bytes).tensors[0].tensor) == [1, 2, 3, 4, 5, 6]
  }

  @Test func goodArchivesAreRead() throws {
    #expect(try Self.opens(Self.good))
    var archive = Self.good
    archive.longEnd = { _ in }
    #expect(try Self.opens(archive))
    // All of the short end record may be left to the long one.
    archive.end = { $0.replaceSubrange(8..<20, with: [UInt8](repeating: 0xFF, count: 12)) }
    #expect(try Self.opens(archive))
    // Sizes of 64 bits in the directory and in the header.
    archive = Self.good
    let sizes = ForgedZip.little(UInt64(24))
    archive.entries[1].size = .max
    archive.entries[1].full = .max
    archive.entries[1].extra = [9, 9, 1, 0, 7, 1, 0, 16, 0] + sizes + sizes
    archive.entries[1].padding = [1, 0, 16, 0] + sizes + sizes
    #expect(try Self.opens(archive))
    // Padding so that data is aligned, sizes behind the data, a comment at the end.
    archive = Self.good
    archive.entries[1].padding = [0x46, 0x42, 60, 0] + [UInt8](repeating: 0x5A, count: 60)
    archive.entries[1].flags = 8
    archive.entries[1].header = { $0.replaceSubrange(18..<26, with: [UInt8](repeating: 0, count: 8)) }
    archive.end = { $0 = Array($0.dropLast(2)) + [3, 0] + Array("PK\u{5}".utf8) }
    #expect(try Self.opens(archive))
  }

  static func problem(_ change: (inout ForgedZip) -> Void) throws -> String {
    var archive = good
    change(&archive)
    return try TorchFixtures.problem(archive.bytes)
  }

  static func entry(_ change: (inout ForgedZip.Entry) -> Void) throws -> String {
    try problem { change(&$0.entries[1]) }
  }

  @Test func encryptedAndCompressedEntriesAreRefused() throws {
    for flag in [1, 0x40, 0x2000] as [UInt16] {
      #expect(try Self.entry { $0.flags = flag }.contains("archive/data/0: is encrypted"))
    }
    for method in [8, 9, 12, 14, 93, 0xFFFF] as [UInt16] {
      #expect(try Self.entry { $0.method = method }.contains("archive/data/0: is compressed"))
    }
    // A bomb says what it would become; nothing of it is inflated.
    #expect(
      try Self.problem {
        $0.entries[0].method = 8
        $0.entries[0].size = UInt32($0.entries[0].data.count)
        $0.entries[0].full = .max - 1
      }.contains("archive/data.pkl: is compressed"))
  }

  @Test func sizesThatLieAreRefused() throws {
    #expect(try Self.entry { $0.size = 20 }.contains("has two sizes in the ZIP directory, 20 and 24"))
    #expect(try Self.entry { $0.full = 23 }.contains("the file has 23 bytes"))
    #expect(try Self.entry { $0.full = 25 }.contains("data/1: overlaps \"archive/data/0\""))
    #expect(try Self.entry { $0.full = 1 << 31 }.contains("data/0: reaches out of the ZIP archive"))
    #expect(try Self.entry { $0.full = .max }.contains("data/0: has a size that does not fit"))
    #expect(try Self.entry { $0.header = Self.set(UInt32(20), at: 18) }.contains("has a size in its header"))
    #expect(try Self.entry { $0.header = Self.set(UInt32(20), at: 22) }.contains("has a size in its header"))
    #expect(try Self.entry { $0.header = Self.set(UInt32.max, at: 22) }.contains("has a size in its header"))
  }

  @Test(arguments: [.max, 1 << 63, UInt64(Int64.max), 1 << 62, 1 << 40, 25] as [UInt64])
  func longSizesThatLieAreRefused(_ size: UInt64) throws {
    let problem = try Self.entry {
      $0.size = .max
      $0.full = .max
      $0.extra = [1, 0, 16, 0] + ForgedZip.little(size) + ForgedZip.little(size)
      $0.padding = $0.extra
    }
    let expected = ["does not fit in its ZIP archive", "reaches out of the ZIP archive", "overlaps"]
    #expect(expected.contains { problem.contains($0) }, "\(problem)")
    // A field that is too short for what it should say.
    #expect(
      try Self.entry {
        $0.full = .max
        $0.extra = [1, 0, 4, 0, 1, 2, 3, 4]
      }.contains("has a size that does not fit"))
  }

  @Test func placesThatLieAreRefused() throws {
    for offset in [1, 7, 30] as [UInt32] {
      #expect(try Self.entry { $0.offset = offset }.contains("data/0: has no header at the place"))
    }
    for offset in [.max, 1 << 31, 100_000] as [UInt32] {
      let problem = try Self.entry { $0.offset = offset }
      #expect(problem.contains("begins behind the entries") || problem.contains("does not fit"))
    }
    // Another entry's header.
    #expect(try Self.entry { $0.offset = 0 }.contains("has a header that the ZIP directory contradicts"))
  }

  @Test func headersThatContradictAreRefused() throws {
    for (offset, value) in [(6, 1), (6, 8), (8, 8), (30, 0x78)] as [(Int, UInt16)] {
      let problem = try Self.entry { $0.header = Self.set(value, at: offset) }
      #expect(problem.contains("data/0: has a header that the ZIP directory contradicts"), "\(problem)")
    }
    for offset in [26, 28] {
      #expect(!(try Self.entry { $0.header = Self.set(UInt16.max, at: offset) }).isEmpty)
    }
  }

  @Test func namesThatAreWrongAreRefused() throws {
    #expect(try Self.entry { $0.name = "archive/data/1" }.contains("archive/data/1: appears twice"))
    #expect(try Self.entry { $0.name = "" }.contains("whose name is empty"))
    #expect(try Self.entry { $0.name = String(repeating: "n", count: 2000) }.contains("too long"))
    #expect(try Self.problem { $0.entries[0].name = "data.pkl" }.contains("0 data.pkl in it"))
    #expect(try Self.entry { $0.name = "other/data.pkl" }.contains("2 data.pkl in it"))
    #expect(try Self.problem { $0.entries = [.init("a", [])] }.contains("0 data.pkl in it"))
  }

  @Test func overlappingEntriesAreRefused() throws {
    // Two names for one place: the second header is the data of the first.
    let inner = ForgedZip([.init("archive/data/1", PickleTests.six)]).bytes.prefix(30 + 14 + 24)
    let problem = try Self.problem {
      $0.entries[1].data = Array(inner)
      $0.entries[2].data = PickleTests.six
      $0.entries[2].offset = UInt32(
        ForgedZip([$0.entries[0]]).bytes.count - 22 - 46 - 16 + 30 + "archive/data/0".utf8.count)
    }
    #expect(problem.contains("overlaps"), "\(problem)")
  }

  @Test func endsThatLieAreRefused() throws {
    let (parts, nowhere) = ("is one part of a ZIP archive of several", "has a ZIP directory that does not end where")
    for (offset, value, expected) in [
      (4, 1, parts), (6, 1, parts), (8, 2, parts), (12, 1, nowhere), (16, 1, nowhere), (20, 1, "has no ZIP end record"),
      (0, 0, "has no ZIP end record"),
    ] as [(Int, UInt16, String)] {
      let problem = try Self.problem { $0.end = Self.set(value, at: offset) }
      #expect(problem.contains(expected), "\(offset): \(problem)")
    }
    #expect(try Self.problem { $0.count = 2 }.contains("has 3 entries in its ZIP directory; its end record says 2"))
    #expect(try Self.problem { $0.count = 4 }.contains("says that it has 4 ZIP entries, for which"))
    #expect(try Self.problem { $0.count = 60_000 }.contains("for which its directory has no room"))
  }

  @Test func longEndsThatLieAreRefused() throws {
    let (parts, nowhere) = ("is one part of a ZIP archive of several", "has a ZIP end record that leads nowhere")
    let short = "has a ZIP directory that does not end where"
    for (offset, value, expected) in [
      (0, 0, nowhere), (4, 45, nowhere), (4, .max, nowhere), (16, 1, parts), (24, 4, parts), (32, 4, "that disagree"),
      (40, 1, "that disagree"), (48, 1, "that disagree"), (60, 1, parts), (64, .max, nowhere), (64, 0, nowhere),
      (64, 1 << 63, nowhere), (72, 2, parts),
    ] as [(Int, UInt64, String)] {
      let problem = try Self.problem { archive in
        archive.longEnd =
          offset == 60 || offset == 72
          ? Self.set(UInt32(value), at: offset) : Self.set(value, at: offset)
      }
      #expect(problem.contains(expected), "\(offset): \(problem)")
    }
    for shift in [-1, 1, 1000, -1000] {
      #expect(
        try Self.problem {
          $0.longEnd = { _ in }
          $0.longEndShift = shift
        }.contains(nowhere))
    }
    // The short record leaves all to the long one, which lies about where the directory is.
    for (offset, value) in [(40, .max), (48, .max), (48, 1 << 63), (40, 1), (48, 1), (40, 0)] as [(Int, UInt64)] {
      let problem = try Self.problem {
        $0.longEnd = Self.set(value, at: offset)
        $0.end = { $0.replaceSubrange(8..<20, with: [UInt8](repeating: 0xFF, count: 12)) }
      }
      #expect(problem.contains(short), "\(offset): \(problem)")
    }
  }

  @Test func directoriesThatAreTooLongAreRefused() throws {
    let names = (0..<90_000).map { ForgedZip.Entry("archive/\($0)", []) }
    #expect(try Self.problem { $0.entries += names }.contains("has a ZIP directory of"))
  }

  @Test func filesThatAreNoArchivesAreRefused() throws {
    for bytes in [[], [0x50], Array("PK\u{3}\u{4}".utf8), Array("PK\u{5}\u{6}".utf8), Array("hello world".utf8)] {
      #expect(throws: FurlError.self) { try TorchFixtures.open(bytes) }
    }
    let page = [UInt8]("PK\u{3}\u{4}".utf8) + [UInt8](repeating: 0, count: 100_000)
    #expect(try TorchFixtures.problem(page) == "has no ZIP end record")
  }
}
