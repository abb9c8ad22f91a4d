import FurlBase

/// A text file beside the main output. That it can be written is found out before anything is measured: it is begun then,
/// and appears under its name when it is complete.
final class TextOutput: Sendable {
  private let path: String
  /// A device or a pipe is written to; only a regular file is replaced.
  let isReplaced: Bool
  /// A text is written by one thread at a time.
  private let staged: Staged

  private final class Staged: @unchecked Sendable { var file: OutputFile? }

  /// - Throws: ``FurlError`` of kind `cannotCreate`.
  init(path: String) throws {
    var status = stat()
    let exists = stat(path, &status) == 0
    self.path = path
    isReplaced = !exists || [S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT)
    staged = Staged()
    guard isReplaced else {
      guard access(path, W_OK) == 0 else { throw FurlError.creating(path) }
      return
    }
    staged.file = try OutputFile(path: path)
  }

  /// Writes the text, in the place of what is there.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  func write(_ text: String) throws {
    guard isReplaced else { return try writeThrough(text) }
    let file = try staged.file ?? OutputFile(path: path)
    staged.file = nil
    try file.write(Array(text.utf8))
    try file.commit()
  }

  /// The same without waiting for anybody: for a command that ends. A pipe that nobody reads gets nothing.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  func writeAtOnce(_ text: String) throws {
    guard isReplaced else { return try writeThrough(text, waits: false) }
    try write(text)
  }

  private func writeThrough(_ text: String, waits: Bool = true) throws {
    // A pipe without a reader, or one that is full.
    let descriptor = open(path, O_WRONLY | O_CLOEXEC | (waits ? 0 : O_NONBLOCK))
    guard descriptor >= 0 else { throw FurlError.writing(path) }
    let code = Terminal.write(text, to: descriptor, waits: waits)
    guard close(descriptor) == 0, code == nil else { throw FurlError.writing(path, code ?? errno) }
  }
}
