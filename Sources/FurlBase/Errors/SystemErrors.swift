/// What the system says, in one wording for the whole of Furl.
extension FurlError {
  /// What is wrong with a path that leads to nothing.
  package static let missing = "does not exist"

  /// A file that cannot be opened or read.
  package static func reading(_ path: String, _ code: Int32 = errno) -> FurlError {
    if isShortage(code) { return shortage(path, code) }
    guard code != ENOENT else { return .input(path, missing) }
    return .input(path, "cannot be read: \(systemMessage(code))")
  }

  /// An output that cannot be created.
  package static func creating(
    _ path: String, _ code: Int32 = errno, remedy: String = "choose a folder that exists and can be written to"
  ) -> FurlError {
    output(path, .cannotCreate, "cannot be created", code, remedy)
  }

  /// An output that cannot be written to the end.
  package static func writing(
    _ path: String, _ code: Int32 = errno, remedy: String = "free space or choose another place"
  ) -> FurlError {
    output(path, .cannotWrite, "cannot be written", code, remedy)
  }

  private static func output(
    _ path: String, _ kind: Kind, _ problem: String, _ code: Int32, _ remedy: String
  ) -> FurlError {
    if isShortage(code) { return shortage(path, code) }
    let words = code == ENOENT ? "its folder does not exist" : systemMessage(code)
    return FurlError(kind, file: path, "\(problem): \(words)", remedy: remedy)
  }

  /// Whether the machine, and not what was asked for, is the reason.
  package static func isShortage(_ code: Int32) -> Bool { [EMFILE, ENFILE, ENOMEM, EAGAIN].contains(code) }

  private static func shortage(_ path: String, _ code: Int32) -> FurlError {
    switch code {
    case EMFILE:
      FurlError(
        .unavailable, file: path, "cannot be opened: too many files are open", remedy: "raise the limit (ulimit -n)")
    case ENFILE:
      FurlError(
        .unavailable, file: path, "cannot be opened: too many files are open on this machine",
        remedy: "close other programs")
    default:
      FurlError(
        .unavailable, file: path, "cannot be opened: \(systemMessage(code))", remedy: "free memory and processes")
    }
  }
}

/// The system's error number behind an error of a library; nil where there is none. Libraries' own texts differ between
/// systems and versions, name no remedy and are never shown.
package func systemCode(of error: any Error) -> Int32? {
  if let error = error as? POSIXError { return error.code.rawValue }
  guard let error = error as? CocoaError else { return nil }
  if let inner = error.underlying, let code = systemCode(of: inner) { return code }
  return switch error.code {
  case .fileNoSuchFile, .fileReadNoSuchFile: ENOENT
  case .fileReadNoPermission, .fileWriteNoPermission: EACCES
  case .fileWriteOutOfSpace: ENOSPC
  case .fileWriteFileExists: EEXIST
  case .fileWriteVolumeReadOnly: EROFS
  case .fileReadInvalidFileName, .fileWriteInvalidFileName: EINVAL
  case .fileReadTooLarge: EFBIG
  default: nil
  }
}

/// The system's words for what went wrong in a library.
package func systemWords(for error: any Error) -> String {
  if let error = error as? FurlError { return error.problem }
  return systemCode(of: error).map { systemMessage($0) } ?? "the system does not say why"
}
