package import FurlBase
package import FurlTensor

/// A safetensors file: a length, a JSON header and the tensors behind it.
///
/// Format: https://github.com/huggingface/safetensors. Every field of the header is checked when the file is
/// opened: types, shapes, ranges that lie in the file, do not overlap and leave no hole.
package struct SafetensorsFile: Sendable {
  /// A tensor of the file.
  package struct SafetensorsEntry: Sendable, Hashable {
    package let name: String
    /// As the header says it: `F32`, `I64`.
    package let typeName: String
    package let shape: [Int]
    /// The bytes in the file.
    package let range: Range<Int>

    /// The type, if it is one that weights are read from.
    package var type: SourceType? { SourceType(rawValue: typeName) }
  }

  package let file: MappedFile
  /// In the order of the header.
  package let entries: [SafetensorsEntry]

  /// The format's own limit. A header of a 7B model takes less than 0.2 MB; what makes some long is metadata, which is
  /// passed over. The header is read tensor by tensor, so that a hostile one costs no more than its bytes.
  private static let headerLimit = 100_000_000
  /// Far more than eight dimensions and two offsets take.
  private static let entryLimit = 4096
  private static let tensorLimit = 1 << 18
  /// Bits of a number of each type of the format.
  private static let typeBits: [String: Int] = [
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
  ]

  /// - Throws: ``FurlError`` of kind `input` that names the tensor and what is wrong.
  package init(path: String) throws {
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
    var entries: [SafetensorsEntry] = []
    try JSON.forEachMember(
      file.read(8..<dataStart), file: path, passing: "__metadata__", valueLimit: SafetensorsFile.entryLimit,
      memberLimit: SafetensorsFile.tensorLimit
    ) {
      entries.append(try SafetensorsFile.entry($0, path: path, dataStart: dataStart, end: file.count))
    }
    self.file = file
    self.entries = entries
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

  private static func entry(_ member: JSON.Member, path: String, dataStart: Int, end: Int) throws -> SafetensorsEntry {
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
    var size = bits
    for extent in shape {
      guard let extent, extent >= 0 else { throw wrong("has a shape that is not made of whole numbers") }
      let (product, overflow) = size.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw wrong("has a shape that is too large") }
      size = product
    }
    guard size % 8 == 0 else { throw wrong("has numbers that do not fill whole bytes") }
    size /= 8
    guard let offsets = member.value["data_offsets"]?.array, offsets.count == 2, let first = offsets[0].integer,
      let last = offsets[1].integer, first >= 0, last >= first, last <= end - dataStart
    else { throw wrong("has data_offsets that do not lie in the file") }
    guard last - first == size else { throw wrong("has \(last - first) bytes; its shape and dtype need \(size)") }
    return SafetensorsEntry(
      name: member.key, typeName: typeName, shape: shape.compactMap { $0 }, range: dataStart + first..<dataStart + last)
  }
}
