import Foundation
import Furl

/// A text file beside the main output. That it can be written is found out before anything is measured.
struct TextOutput {
  private let path: String
  /// A device or a pipe is written to; only a regular file is replaced.
  private let isReplaced: Bool

  /// - Throws: ``FurlError`` of kind `cannotCreate`.
  init(path: String) throws {
    let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    var status = stat()
    let exists = stat(resolved, &status) == 0
    guard !exists || status.st_mode & S_IFMT != S_IFDIR else {
      throw FurlError(.cannotCreate, file: path, "is a folder")
    }
    isReplaced = !exists || status.st_mode & S_IFMT == S_IFREG
    self.path = resolved
    let folder = URL(fileURLWithPath: resolved).deletingLastPathComponent().path
    guard access(isReplaced ? folder : resolved, W_OK) == 0 else {
      throw FurlError(.cannotCreate, file: path, "cannot be written: \(String(cString: strerror(errno)))")
    }
  }

  /// Writes the text; a regular file appears under its name when it is complete.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  func write(_ text: String) throws {
    do {
      let data = Data(text.utf8)
      if isReplaced {
        try data.write(to: URL(fileURLWithPath: path), options: .atomic)
      } else {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.write(contentsOf: data)
        try handle.close()
      }
    } catch {
      throw FurlError(.cannotWrite, file: path, "cannot be written: \(error.localizedDescription)")
    }
  }
}
