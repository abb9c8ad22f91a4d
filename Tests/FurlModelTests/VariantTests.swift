import FurlBase
import FurlCheckpoint
import FurlModel
import FurlTensor
import FurlTestSupport
import Testing

/// Configurations of every family with one thing changed, against what transformers computes from them
/// (`Fixtures/variants/make_variants.py`): the same logits, or a refusal that names the key; never others in silence.
@Suite struct VariantTests {
  struct Variant: Sendable {
    let name: String
    let config: JSON
    let tensors: [(name: String, shape: [Int])]
    let copies: [String: String]
    let logits: [Float]
    /// A word of the refusal; nil for what Furl computes.
    let refused: String?
  }

  /// A file of variants: its texts' ids and what is in it.
  private struct Document {
    let ids: [Int]
    let variants: [Variant]

    init(_ name: String) throws {
      let document = try JSON.parse(
        TestData.bytes(TestData.root + "/Tests/Fixtures/variants/\(name).json"), file: nil)
      ids = document["ids"]?.array?.compactMap(\.integer) ?? []
      variants = try VariantTests.variants(document)
    }
  }

  private static func variants(_ document: JSON) throws -> [Variant] {
    let layouts = document["layouts"]?.array ?? []
    let rows = document["logits"]?.array ?? []
    return try (document["variants"]?.array ?? []).map { entry in
      let family = try #require(entry["family"]?.string)
      let set = try #require(entry["set"]?.members)
      let gone = Set(set.map(\.key) + (entry["remove"]?.array ?? []).compactMap(\.string))
      let base = try #require(document["bases"]?[family]?.members).filter { !gone.contains($0.key) }
      let (layoutIndex, rowIndex) = (try #require(entry["layout"]?.integer), try #require(entry["logits"]?.integer))
      let (layout, row) = (try #require(layouts[layoutIndex].array), try #require(rows[rowIndex].array))
      return Variant(
        name: try #require(entry["name"]?.string), config: .object(base + set),
        tensors: layout.map { ($0[0]?.string ?? "", $0[1]?.array?.compactMap(\.integer) ?? []) },
        copies: Dictionary(
          uniqueKeysWithValues: (entry["copies"]?.members ?? []).map { ($0.key, $0.value.string ?? "") }),
        logits: row.compactMap { $0.number.map { Float($0) } }, refused: entry["refused"]?.string)
    }
  }

  /// The numbers of a tensor: SplitMix64 on the FNV-1a hash of its name.
  static func weights(_ name: String, _ shape: [Int]) -> [Float] {
    let seed = name.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    let isFactor = ["weight", "scale", "scalar"].contains(where: name.hasSuffix)
    let center = shape.count == 1 && isFactor ? 1.0 : 0.0
    return (0..<shape.reduce(1, *)).map { index in
      var bits = seed &+ UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15
      bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
      bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
      bits ^= bits >> 31
      return Float(center + 0.4 * (Double(bits >> 40) / Double(1 << 23) - 1))
    }
  }

  private let context = ComputeContext(pool: WorkerPool(threads: 1), kernels: try! Kernels())

  /// The largest difference of a logit.
  private func difference(_ variant: Variant, _ ids: [Int], _ tensors: inout [String: [UInt8]]) throws -> Float {
    let stored = variant.tensors.map { name, shape in
      let source = variant.copies[name] ?? name
      let key = "\(source) \(shape)"
      let bytes = tensors[key] ?? TestData.littleEndian(Self.weights(source, shape))
      tensors[key] = bytes
      return SafetensorsText.Tensor(name, "F32", shape, bytes)
    }
    let checkpoint = try TestData.withTemporaryFolder { folder in
      try TestData.write(Array(variant.config.compactText.utf8), to: folder + "/config.json")
      try TestData.write(SafetensorsText(stored).bytes, to: folder + "/model.safetensors")
      return try Checkpoint(folder: folder)
    }
    let session = try Session(
      LanguageModel(checkpoint, pool: context.pool), context: context, contextLength: ids.count)
    var last: [Float] = []
    try Likelihood(session).forEachPosition(ids) { position, logits, row in
      if position == ids.count - 1 { last = logits[0][row] }
    }
    guard last.count == variant.logits.count, last.allSatisfy(\.isFinite) else { return .infinity }
    return zip(last, variant.logits).reduce(0) { max($0, abs($1.0 - $1.1)) }
  }

  /// (file, families, variants that are computed at least)
  @Test(arguments: [("variants", 6, 400), ("modern", 23, 700), ("gemma4", 1, 60)])
  func theLogitsAreThoseOfTransformersOrTheKeyIsRefused(_ file: String, families: Int, computed: Int) throws {
    let document = try Document(file)
    let variants = document.variants
    var tensors: [String: [UInt8]] = [:]
    var counts = (computed: 0, refused: 0)
    for variant in variants {
      do {
        let difference = try difference(variant, document.ids, &tensors)
        #expect(variant.refused == nil, "\(variant.name) is taken")
        let size = variant.logits.reduce(0) { max($0, abs($1)) }
        #expect(difference <= 2e-4 * max(1, size / 4), "\(variant.name): off by \(difference)")
        counts.computed += 1
      } catch let error as FurlError {
        let word = variant.refused
        #expect(word != nil, "\(variant.name) is refused: \(error)")
        #expect(error.kind == .input && word.map(error.description.contains) != false, "\(variant.name): \(error)")
        counts.refused += 1
      }
    }
    // What is refused stands in the fixture by name; that all of it is there says that little is.
    #expect(counts.computed >= computed && counts.computed > 2 * counts.refused, "\(counts)")
    #expect(Set(variants.map { $0.name.prefix { $0 != "/" } }).count == families)
  }
}
