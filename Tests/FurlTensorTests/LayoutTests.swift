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
  ])
  func bytesAreThoseOfAHandComputation(_ size: Size) throws {
    let layout = try PackedLayout(scheme: #require(Scheme(name: size.scheme)), shape: size.shape)
    #expect(layout.streams.map(\.byteCount) == size.bytes && layout.byteCount == size.bytes.reduce(0, +))
    let kinds: [PackedLayout.StreamKind] = size.shape.count == 1 ? [.values] : [.codes, .scales, .minimums]
    #expect(layout.streams.map(\.kind) == Array(kinds.prefix(size.bytes.count)))
  }

  @Test(arguments: [
    [], [0], [-1], [0, 5], [5, 0], [-3, -3], [2, 3, 4], [Int.max], [Int.max, Int.max], [1 << 21, 1 << 20], [Int.min, 1],
    [1, (1 << 40) + 1], [1 << 63 - 1, 2],
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

  @Test func thereAreThirteenNames() {
    #expect(Set(Scheme.every.map(\.name)).count == 13)
    #expect(Scheme.int4Minimum(.columns(64)).name == "int4-minimum:64" && Scheme.int8(.row).name == "int8:row")
  }

  @Test(arguments: [
    "", ":", "int8", "int4", "float32:32", "float32:", "float32:row", "int8:0", "int8:31", "int8:032", "int8:+32",
    "int8: 32", "int8:32:32", "int8:32:", "int8:row:32", "INT8:32", "int4:256", "int4:-32", "int2:32", "int8:Row",
    "int8:\u{0}32", "nf4:32", "int8:9999999999999999999999",
  ])
  func nonsenseIsNoScheme(_ name: String) {
    #expect(Scheme(name: name) == nil)
  }
}
