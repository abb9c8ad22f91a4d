import FurlBase
import FurlTensor
import Testing

/// Sizes against a hand computation, and names.
@Suite struct LayoutTests {
  struct Size: Sendable {
    let scheme: String
    let shape: [Int]
    /// codes, scales, minimums
    let bytes: [Int]
  }

  /// Tiles are 16 x 32: 512 codes, 1024 nibbles to 512 bytes, 2048 bytes of floats; a scale is 2 bytes.
  @Test(arguments: [
    Size(scheme: "float32", shape: [1, 1], bytes: [2048]),
    Size(scheme: "float32", shape: [17, 33], bytes: [4 * 2048]),
    Size(scheme: "int8:32", shape: [16, 32], bytes: [512, 32]),
    Size(scheme: "int8:32", shape: [17, 33], bytes: [4 * 512, 4 * 32]),
    Size(scheme: "int8:128", shape: [48, 300], bytes: [3 * 10 * 512, 3 * 3 * 32]),
    Size(scheme: "int8:row", shape: [48, 300], bytes: [3 * 10 * 512, 3 * 32]),
    Size(scheme: "int4:64", shape: [50_257, 768], bytes: [3142 * 24 * 256, 3142 * 12 * 32]),
    Size(scheme: "int4-minimum:32", shape: [1, 65], bytes: [3 * 256, 3 * 32, 3 * 32]),
    Size(scheme: "float32", shape: [768], bytes: [3072]),
    Size(scheme: "int3:64", shape: [17, 300], bytes: [2 * 10 * 192, 2 * 5 * 32]),
    Size(scheme: "int2-minimum:row", shape: [16, 1000], bytes: [32 * 128, 32, 32]),
    Size(scheme: "nf4:64", shape: [16, 50_001], bytes: [1563 * 256, 782 * 32]),
    Size(scheme: "fp4:128", shape: [1, 576], bytes: [18 * 256, 5 * 32]),
  ])
  func bytesAreThoseOfAHandComputation(_ size: Size) throws {
    let layout = try PackedLayout(scheme: #require(Scheme(name: size.scheme)), shape: size.shape)
    #expect(layout.streams.map(\.byteCount) == size.bytes && layout.byteCount == size.bytes.reduce(0, +))
    let kinds: [PackedLayout.StreamKind] = size.shape.count == 1 ? [.values] : [.codes, .scales, .minimums]
    #expect(layout.streams.map(\.kind) == Array(kinds.prefix(size.bytes.count)))
  }

  /// Scales of one byte, a number of four bytes for each row, and the 16 levels of a table.
  @Test func smallScalesAndTablesHaveStreams() throws {
    func streams(_ name: String) throws -> [String: Int] {
      let layout = try PackedLayout(scheme: #require(Scheme(name: name)), shape: [33, 100])
      return Dictionary(uniqueKeysWithValues: layout.streams.map { ($0.kind.rawValue, $0.byteCount) })
    }
    #expect(try streams("int4:32:u8") == ["codes": 12 * 256, "scales": 3 * 4 * 16, "factors": 192])
    #expect(
      try streams("int2-minimum:64:u8") == [
        "codes": 12 * 128, "scales": 3 * 2 * 16, "minimums": 3 * 2 * 16, "factors": 192, "minimum_factors": 192,
      ])
    #expect(try streams("codebook4:row") == ["codes": 12 * 256, "scales": 96, "levels": 16])
    #expect(
      try streams("codebook4:128:u8") == ["codes": 12 * 256, "scales": 3 * 16, "factors": 192, "levels": 16])
    // Bits in memory of a matrix that fills its tiles: codes, a byte for 64 columns, four bytes for a row.
    let layout = try PackedLayout(scheme: #require(Scheme(name: "nf4:64:u8")), shape: [160, 640])
    #expect(layout.bitsPerWeight == 4 + 8.0 / 64 + 32.0 / 640)
  }

  @Test(arguments: [
    [], [0], [-1], [0, 5], [5, 0], [-3, -3], [2, 3, 4], [Int.max], [Int.max, Int.max], [1 << 21, 1 << 20],
    [Int.min, 1],
    [1, (1 << 40) + 1], [1 << 62, 2],
  ])
  func absurdShapesAreRefused(_ shape: [Int]) {
    for scheme in Scheme.every {
      #expect(throws: FurlError.self) { try PackedLayout(scheme: scheme, shape: shape) }
    }
  }

  @Test func theLargestShapesHaveASize() throws {
    for scheme in Scheme.every {
      for shape in [[1 << 40, 1], [1, 1 << 40], [1 << 20, 1 << 20]] {
        #expect(try PackedLayout(scheme: scheme, shape: shape).byteCount > 0)
      }
    }
  }

  @Test func aVectorIsNotQuantized() {
    #expect(throws: FurlError.self) { try PackedLayout(scheme: .int8(.row), shape: [4]) }
  }

  @Test(arguments: Scheme.every)
  func namesAreReadBack(_ scheme: Scheme) {
    #expect(Scheme(name: scheme.name) == scheme)
    #expect("\(scheme)" == scheme.name)
  }

  @Test func differentSchemesHaveDifferentNames() {
    #expect(Set(Scheme.every.map(\.name)).count == Scheme.every.count && Scheme.every.count == 53)
    #expect(Scheme.int4Minimum(.columns(64)).name == "int4-minimum:64" && Scheme.int8(.row).name == "int8:row")
    #expect(Scheme.nf4(.columns(64)).withSmallScales?.name == "nf4:64:u8")
    #expect(Scheme.nf4(.row).withSmallScales == nil && Scheme.float32.withSmallScales == nil)
  }

  @Test(arguments: [
    "", ":", "int8", "int4", "float32:32", "float32:", "float32:row", "int8:0", "int8:31", "int8:032", "int8:+32",
    "int8: 32", "int8:32:32", "int8:32:", "int8:row:32", "INT8:32", "int4:256", "int4:-32", "int1:32", "int8:Row",
    "int8:\u{0}32", "nf4", "nf4:32:f16", "nf4:row:u8", "float32:u8", "int4:32:u8:u8", "codebook:32",
    "int8:9999999999999999999999",
  ])
  func nonsenseIsNoScheme(_ name: String) {
    #expect(Scheme(name: name) == nil)
  }
}
