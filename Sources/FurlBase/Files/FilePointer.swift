/// What git leaves in the place of a large file where git lfs did not run: a few lines that say which file is meant.
///
/// Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
enum FilePointer {
  /// The first line of a pointer; the second was its name before 2015.
  private static let beginnings = [
    "version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/",
  ]
  /// A pointer is shorter than this by its specification.
  private static let limit = 1024

  /// - Throws: ``FurlError`` of kind `input` if a file is a pointer, whatever it should have been.
  static func refuse(_ file: MappedFile) throws {
    guard file.count < limit, beginnings.contains(where: { begins(file, with: $0) }) else { return }
    let lines = String(decoding: file.read(0..<file.count), as: UTF8.self).split(separator: "\n")
    let size = lines.first { $0.hasPrefix("size ") }.flatMap { Int($0.dropFirst("size ".count)) }
    let folder = file.path.split(separator: "/").dropLast().last.map(String.init) ?? "its folder"
    throw FurlError.input(
      file.path, "is a Git LFS pointer and not the file itself\(size.map { ", which has \($0) bytes" } ?? "")",
      remedy: "run git lfs pull in \(folder), or download the file anew")
  }

  private static func begins(_ file: MappedFile, with text: String) -> Bool {
    // Some tools put a byte-order mark or other line ends there.
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    let head = file.read(0..<min(file.count, 3 + text.utf8.count))
    return (head.starts(with: mark) ? head.dropFirst(3) : head[...]).starts(with: text.utf8)
  }
}
