import FurlBase
@testable import FurlCheckpoint
import FurlTensor
import FurlTestSupport

/// Containers of other things: gzip, ZIP, pickle, and what `torch.save` makes of the last two.
let packedTargets = [
  FuzzTarget(name: "gzip") {
    // By Python's zlib: nothing, a stored block, fixed codes, codes of its own, every field of the header; two members.
    let members = [
      "1f8b080000000000000303000000000000000000", "1f8b0800000000000003010200fdff61626d48839e02000000",
      "1f8b08000000000000034b4c848124100100a14637240f000000",
      "1f8b08000000000000039dcab50180300000c1957019e7094488e03a3d2535d47734085a3a240a8da1c7e2f084284ed22c2fcaaae63d1fb7683ba9"
        + "b4e9adf36118a77959b7fd38affb8f3ce6451339aa000000",
      "1f8b081f000000000003020001026100620000004b040043beb7e801000000",
    ]
    return (members + [members[1] + members[2]]).map(bytes(hexadecimal:))
  } run: { input, _ in
    _ = try Gzip.decompress(input, file: "input", limit: 1 << 20)
  },
  FuzzTarget(name: "zip") {
    try pytorchFiles { $0.starts(with: [0x50, 0x4B]) } + [StoredZip.archive([("a", [1, 2, 3]), ("b/c", [])])]
  } run: { input, workspace in
    let file = try MappedFile(path: workspace.write(input, to: "input.zip"))
    let archive = try ZipArchive(file)
    for entry in archive.entries { _ = file.read(entry.data) }
    try archive.refuseCompressed()
  },
  FuzzTarget(name: "pickle") {
    try pytorchFiles { !$0.starts(with: [0x50, 0x4B]) } + pickles()
  } run: { input, _ in
    var pickle = Pickle(input, path: "input", name: nil)
    while pickle.position < input.count {
      _ = try pickle.load()
      for dictionary in pickle.dictionaries {
        for case (.text(let key), _) in dictionary.pairs { _ = try pickle.text(key) }
      }
    }
  },
  // A file as it stands, or behind a first byte of "z" a pickle to which the archive is made.
  FuzzTarget(name: "torch") {
    try pytorchFiles { _ in true } + pickles().map { [UInt8(ascii: "z")] + $0 }
  } run: { input, workspace in
    var bytes = input
    if input.first == UInt8(ascii: "z") {
      let storage = [UInt8](repeating: 0x3C, count: 64)
      bytes = StoredZip.archive([
        ("m/data.pkl", Array(input.dropFirst())), ("m/byteorder", Array("little".utf8)), ("m/data/0", storage),
        ("m/data/1", Array(storage.prefix(32))), ("m/data/2", []), ("m/version", Array("3\n".utf8)),
      ])
    }
    for (name, tensor) in try TorchFile(path: workspace.write(bytes, to: "input.pt")).tensors {
      FuzzRun.accept { try read(tensor, name) }
    }
  },
]

private func bytes(hexadecimal digits: String) -> [UInt8] {
  let values = digits.compactMap(\.hexDigitValue)
  return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
}

/// Reads every number of a tensor that is a vector or a matrix.
func read(_ tensor: StoredTensors.Tensor, _ name: String) throws {
  guard let type = tensor.type, tensor.shape.allSatisfy({ $0 > 0 }) else { return }
  switch tensor.shape.count {
  case 1 where type.blockSize == 1:
    _ = try WeightSource.vector(
      file: tensor.file, type: type, offset: tensor.offset, count: tensor.shape[0], stride: tensor.strides[0]
    ).readAll()
  case 2:
    _ = try WeightSource(
      file: tensor.file, type: type, offset: tensor.offset, rows: tensor.shape[0], columns: tensor.shape[1],
      rowStride: tensor.strides[0], columnStride: tensor.strides[1]
    ).readAll()
  default: break
  }
}

/// The small fixtures that PyTorch wrote.
private func pytorchFiles(_ fits: ([UInt8]) -> Bool) throws -> [[UInt8]] {
  let folder = TestData.root + "/Tests/Fixtures/pytorch"
  return try (files(folder, ending: ".pt") + files(folder + "/hostile", ending: ".pt")).map(TestData.bytes)
    .filter { $0.count <= 4096 && fits($0) }
}

/// The objects in those of them that are archives.
private func pickles() throws -> [[UInt8]] {
  let folder = TestData.root + "/Tests/Fixtures/pytorch"
  return try (files(folder, ending: ".pt") + files(folder + "/hostile", ending: ".pt")).flatMap { path in
    let file = try MappedFile(path: path)
    return (try? ZipArchive(file))?.entries.filter { $0.name.hasSuffix("data.pkl") && $0.data.count <= 4096 }
      .map { file.read($0.data) } ?? []
  }
}

/// Writes ZIP archives that compress nothing, as PyTorch does.
enum StoredZip {
  static func archive(_ entries: [(name: String, data: [UInt8])]) -> [UInt8] {
    var (bytes, directory): ([UInt8], [UInt8]) = ([], [])
    for (name, data) in entries {
      func sizes() -> [UInt8] {
        // Time, date and check sum, which nobody looks at; then both sizes and the name's length.
        [UInt8](repeating: 0, count: 8) + little(UInt32(data.count)) + little(UInt32(data.count))
          + little(UInt16(name.utf8.count)) + little(UInt16(0))
      }
      let offset = UInt32(bytes.count)
      bytes += little(UInt32(0x0403_4B50)) + little(UInt16(20)) + [0, 0, 0, 0] + sizes() + name.utf8 + data
      directory += little(UInt32(0x0201_4B50)) + little(UInt16(20)) + little(UInt16(20)) + [0, 0, 0, 0] + sizes()
      directory += [UInt8](repeating: 0, count: 10) + little(offset) + name.utf8
    }
    let count = little(UInt16(entries.count))
    return bytes + directory + little(UInt32(0x0605_4B50)) + [0, 0, 0, 0] + count + count
      + little(UInt32(directory.count)) + little(UInt32(bytes.count)) + [0, 0]
  }

  private static func little(_ value: some FixedWidthInteger) -> [UInt8] { GGUFText.bytes(value) }
}
