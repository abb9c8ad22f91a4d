import FurlBase

/// Small files of the kernel, with the reason when one cannot be read.
struct SystemText: Sendable {
  enum Failure: Error, Hashable {
    case missing
    /// The user may not read it: since 2020 the counters of energy are root's alone (CVE-2020-8694).
    case forbidden
    case unreadable
  }

  /// Reads a whole file; tests have one that fails as they like.
  let read: @Sendable (String) -> Result<String, Failure>

  static let kernel = SystemText { path in
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return .failure(failure(errno)) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count >= 0 else { return .failure(failure(errno)) }
    guard let text = String(validating: bytes.prefix(count), as: UTF8.self) else { return .failure(.unreadable) }
    return .success(text.trimmed)
  }

  private static func failure(_ code: Int32) -> Failure {
    switch code {
    case ENOENT, ENOTDIR: .missing
    case EACCES, EPERM: .forbidden
    default: .unreadable
    }
  }

  func text(_ path: String) -> String? { try? read(path).get() }

  /// A whole number that is not negative.
  func number(_ path: String) -> Double? { text(path).flatMap { UInt64($0) }.map { Double($0) } }
}
