import FurlSpec
import FurlTensor

/// A safetensors file: a length, a JSON header and the tensors behind it.
///
/// Format: https://github.com/huggingface/safetensors. Every field of the header is checked when the file is
/// opened: types, shapes, ranges that lie in the file, do not overlap and leave no hole.
public struct SafetensorsFile: Sendable {
  /// A tensor of the file.
  public struct Entry: Sendable, Hashable {
    public let name: String
    /// As the header says it: `F32`, `I64`.
    public let typeName: String
    public let shape: [Int]
    /// The bytes in the file.
    public let range: Range<Int>

    /// The type, if it is one that weights are read from.
    public var type: SourceType? { SourceType(rawValue: typeName) }
  }

  public let file: MappedFile
  /// In the order of the header.
  public let entries: [Entry]

  /// The header of a 7B model takes less than 0.2 MB; the format's own limit of 100 MB would cost seconds and a
  /// gigabyte before a hostile header is refused.
  private static let headerLimit = 3 << 20
  /// Bits of a number of each type of the format.
  private static let typeBits: [String: Int] = [
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32,
    "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
  ]

  /// - Throws: ``FurlError`` of kind `input` that names the tensor and what is wrong.
  public init(path: String) throws {
    let file = try MappedFile(path: path)
    guard file.count >= 8 else { throw FurlError.input(path, "is too short for a safetensors file") }
    let length = file.integer(at: 0, as: UInt64.self)
    guard length >= 2, length <= UInt64(file.count - 8) else {
      throw FurlError.input(
        path, "has a header of \(length) bytes, which does not fit", remedy: "the file is damaged or cut off")
    }
    guard length <= UInt64(SafetensorsFile.headerLimit) else {
      throw FurlError.input(
        path, "has a header of \(length) bytes; at most \(SafetensorsFile.headerLimit) are read",
        remedy: "save the model in shards, or without its metadata")
    }
    let dataStart = 8 + Int(length)
    let header = try JSON.parse(file.read(8..<dataStart), file: path)
    guard case .object(let members) = header else { throw FurlError.input(path, "the header is not a mapping") }
    self.file = file
    entries = try members.filter { $0.key != "__metadata__" }.map {
      try SafetensorsFile.entry($0, path: path, dataStart: dataStart, end: file.count)
    }
    if let metadata = header["__metadata__"], metadata.members?.allSatisfy({ $0.value.string != nil }) != true {
      throw FurlError.input(path, "__metadata__", "must be a mapping of texts")
    }
    var position = dataStart
    for entry in entries.sorted(by: {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }) {
      guard entry.range.lowerBound == position else {
        let problem = entry.range.lowerBound < position ? "overlaps another tensor" : "follows a hole"
        throw FurlError.input(path, entry.name, "\(problem) at byte \(entry.range.lowerBound)")
      }
      position = entry.range.upperBound
    }
    guard position == file.count else {
      throw FurlError.input(path, "has \(file.count - position) bytes that belong to no tensor")
    }
  }

  private static func entry(_ member: JSON.Member, path: String, dataStart: Int, end: Int) throws -> Entry {
    func wrong(_ problem: String) -> FurlError { .input(path, member.key, problem) }
    guard let fields = member.value.members, Set(fields.map(\.key)) == ["dtype", "shape", "data_offsets"] else {
      throw wrong("must have dtype, shape and data_offsets and nothing else")
    }
    guard let typeName = member.value["dtype"]?.string, let bits = typeBits[typeName] else {
      throw wrong("has an unknown dtype")
    }
    guard let shape = member.value["shape"]?.array?.map(\.integer), shape.count <= 8 else {
      throw wrong("has no shape")
    }
    var size = bits / 8
    for extent in shape {
      guard let extent, extent >= 0 else { throw wrong("has a shape that is not made of whole numbers") }
      let (product, overflow) = size.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw wrong("has a shape that is too large") }
      size = product
    }
    guard let offsets = member.value["data_offsets"]?.array, offsets.count == 2, let first = offsets[0].integer,
      let last = offsets[1].integer, first >= 0, last >= first, last <= end - dataStart
    else { throw wrong("has data_offsets that do not lie in the file") }
    guard last - first == size else { throw wrong("has \(last - first) bytes; its shape and dtype need \(size)") }
    return Entry(
      name: member.key, typeName: typeName, shape: shape.compactMap { $0 }, range: dataStart + first..<dataStart + last)
  }
}
