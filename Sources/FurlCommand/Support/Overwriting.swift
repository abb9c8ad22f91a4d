import Foundation
import Furl

/// Keeps a command from writing over what it reads.
enum Overwriting {
  /// Refuses outputs that are inputs of the same command, whatever the names: links lead to the same file.
  ///
  /// - Parameters:
  ///   - outputs: the option and the path of each; nil for none.
  ///   - inputs: files, and folders with all that is in them.
  /// - Throws: ``FurlError`` of kind `usage` that names both.
  static func check(_ outputs: [(option: String, path: String?)], over inputs: [String?]) throws {
    let outputs = outputs.compactMap { output in output.path.map { (output.option, $0) } }
    guard !outputs.isEmpty else { return }
    var seen: [Identity: (option: String, path: String)] = [:]
    for (option, path) in outputs {
      guard let identity = Identity(path), !identity.isDevice else { continue }
      if let first = seen.updateValue((option, path), forKey: identity) {
        throw FurlError(
          .usage, file: path, "\(first.option) and \(option) are the same file", remedy: "give each a name of its own")
      }
    }
    guard !seen.isEmpty else { return }
    for input in inputs.compactMap({ $0 }) {
      for path in [input] + contents(of: input) {
        guard let identity = Identity(path), let output = seen[identity] else { continue }
        throw FurlError(
          .usage, file: output.path, "\(output.option) would write over \(path), which this command reads",
          remedy: "give another name")
      }
    }
  }

  /// What makes two paths one file.
  private struct Identity: Hashable {
    let device: UInt64
    let number: UInt64
    /// Nothing that is written to a device or a pipe is lost.
    let isDevice: Bool

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      device = UInt64(truncatingIfNeeded: status.st_dev)
      number = UInt64(truncatingIfNeeded: status.st_ino)
      isDevice = ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT)
    }
  }

  /// The files in a folder, such as a checkpoint's; none of a file.
  private static func contents(of folder: String) -> [String] {
    var status = stat()
    guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
      let all = FileManager.default.enumerator(atPath: folder)
    else { return [] }
    return all.prefix(entryLimit).compactMap { ($0 as? String).map { "\(folder)/\($0)" } }
  }

  private static let entryLimit = 20_000
}
