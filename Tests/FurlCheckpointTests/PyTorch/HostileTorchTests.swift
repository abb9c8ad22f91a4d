import FurlBase
import FurlTensor
import FurlTestSupport
import Testing

/// Files that Python's pickle, zipfile and PyTorch made and that are no state dicts: refused by name, nothing executed.
@Suite struct HostileTorchTests {
  @Test(arguments: [
    ("system", "imports posix.system, which a checkpoint never needs; nothing was executed"),
    ("system-legacy", "imports posix.system, which a checkpoint never needs; nothing was executed"),
    ("system-first", "imports posix.system, which a checkpoint never needs; nothing was executed"),
    ("stack-global", "imports posix.system, which a checkpoint never needs; nothing was executed"),
    ("eval", "imports __builtin__.eval, which a checkpoint never needs; nothing was executed"),
    ("getattr", "imports __builtin__.getattr, which a checkpoint never needs; nothing was executed"),
    ("numpy", "imports numpy._core.multiarray.scalar, which a checkpoint never needs; nothing was executed"),
    ("load-from-bytes", "imports torch.storage._load_from_bytes, which is not supported; nothing was executed"),
    ("module", "imports torch.nn.modules.linear.Linear, which is not supported; nothing was executed"),
    ("sparse", "imports torch._utils._rebuild_sparse_tensor, which is not supported; nothing was executed"),
    ("float8", "imports torch._utils._rebuild_tensor_v3, which is not supported; nothing was executed"),
    ("set", "uses the pickle operation EMPTY_SET, which a state dict never needs; nothing was executed"),
    ("expanded", "w: is expanded: a stride of 0 repeats its numbers"),
    ("overlapping", "w: has strides [1, 1], which meet numbers twice"),
    ("two", "holds several state dicts, \"a\", \"b\"; which one is meant is not clear"),
    ("two-wrappers", "holds several state dicts, \"model\", \"state_dict\"; which one is meant is not clear"),
    ("list", "holds something else than a state dict"), ("tensor", "holds something else than a state dict"),
    ("nothing", "holds no tensors by name"), ("number-name", "has a tensor whose name is no text"),
    ("torchscript", "is a TorchScript program, not a checkpoint"),
    ("deflated", "data/0: is compressed in the ZIP archive"), ("bomb", "data.pkl: is compressed in the ZIP archive"),
    ("big-endian", "byteorder: says that numbers are not little-endian"),
  ])
  func filesOfOtherProgramsAreRefusedByName(_ name: String, _ expected: String) throws {
    let bytes = try TestData.bytes(TorchFixtures.folder + "/hostile/\(name).pt")
    let problem = try TorchFixtures.problem(bytes)
    #expect(problem.contains(expected), "\(problem)")
  }

  static func fixture(_ name: String) throws -> [UInt8] { try TestData.bytes(TorchFixtures.folder + "/" + name) }

  @Test(arguments: ["zip-protocol3.pt", "zip-protocol4.pt", "legacy.pt", "legacy-views.pt", "repacked-long.pt"])
  func everyCutIsRefused(_ name: String) throws {
    let whole = try Self.fixture(name)
    for count in whole.indices {
      #expect(throws: FurlError.self) { try TorchFixtures.open(Array(whole.prefix(count))) }
    }
  }

  @Test(arguments: ["zip.pt", "legacy.pt", "training.pt", "legacy-views.pt"])
  func noChangedBitsCrash(_ name: String) throws {
    let whole = try Self.fixture(name)
    var draws = SplitMix64(seed: 30)
    for index in whole.indices {
      var bytes = whole
      bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &draws)
      try TorchFixtures.survives(bytes)
    }
    for _ in 0..<2000 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...6, using: &draws) {
        let index = Int.random(in: 0..<bytes.count, using: &draws)
        switch Int.random(in: 0..<4, using: &draws) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &draws)
        case 1: bytes[index] = [0, 0x7F, 0x80, 0xFF].randomElement(using: &draws) ?? 0
        case 2: bytes.remove(at: index)
        default: bytes.insert(bytes[Int.random(in: 0..<bytes.count, using: &draws)], at: index)
        }
      }
      try TorchFixtures.survives(bytes)
    }
  }

  /// Operations in any order, which no pickler would write.
  @Test func noSequenceOfOperationsCrashes() throws {
    let pieces: [[UInt8]] = [
      ForgedPickle.mark, ForgedPickle.reduce, ForgedPickle.tuple, ForgedPickle.emptyDict, ForgedPickle.setItem,
      ForgedPickle.setItems, ForgedPickle.emptyTuple, ForgedPickle.persistent, ForgedPickle.build, [0x5D], [0x61],
      [0x65], [0x85], [0x86], [0x87], [0x93], [0x94], [0x71, 0], [0x71, 3], [0x68, 0], [0x68, 1], [0x68, 3], [0x4E],
      [0x88], ForgedPickle.text("w"), ForgedPickle.text("storage"), ForgedPickle.integer(-1),
      ForgedPickle.integer(.max),
      ForgedPickle.global("collections", "OrderedDict"), ForgedPickle.global("torch._utils", "_rebuild_tensor_v2"),
      ForgedPickle.global("torch", "FloatStorage"), ForgedPickle.global("torch", "Size"),
      ForgedPickle.storage(count: 2), ForgedPickle.tensor(ForgedPickle.storage(count: 2), shape: [2], strides: [1]),
      ForgedPickle.global("torch._utils", "_rebuild_parameter"),
    ]
    var draws = SplitMix64(seed: 31)
    for _ in 0..<4000 {
      let count = Int.random(in: 1...24, using: &draws)
      let body = (0..<count).flatMap { _ in pieces.randomElement(using: &draws) ?? [] }
      let pickle = ForgedPickle.begin + body + ForgedPickle.stop
      try TorchFixtures.survives(ForgedZip(pickle: pickle, storages: [("0", [1, 2, 3, 4, 5, 6, 7, 8])]).bytes)
    }
  }
}
