package import FurlBase

/// FP32 numbers that wait on disk until a job has use for them: a file that loses its name as soon as it is there, so
/// that nothing is left of it whatever ends the job.
package final class ScratchFile {
  private let folder: String
  private let staged: StagedFile
  private let descriptor: Int32
  private var isOpen = true
  /// Bytes that have been appended.
  private var count = 0

  /// What errors call the file.
  package let path: String

  /// - Parameter folder: with room for everything that will be appended.
  /// - Throws: ``FurlError`` of kind `cannotCreate`.
  package init(folder: String) throws {
    self.folder = folder
    var template = Array((folder + "/.furl-scratch-XXXXXX").utf8CString)
    descriptor = template.withUnsafeMutableBufferPointer { mkstemp($0.baseAddress!) }
    guard descriptor >= 0 else {
      throw FurlError.creating(folder + "/changed weights")
    }
    template.withUnsafeBufferPointer { _ = unlink($0.baseAddress!) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    path = folder + "/changed weights"
    staged = StagedFile(descriptor: descriptor)
  }

  deinit {
    guard isOpen else { return }
    staged.stop()
    close(descriptor)
  }

  /// Appends numbers.
  ///
  /// - Returns: the byte at which they begin, a multiple of 64.
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package func append(_ values: [Float]) throws -> Int {
    let start = count
    let storage = try FloatVector(values).storage
    try check(staged.append(storage))
    count += storage.count
    let padding = (64 - count % 64) % 64
    try check(staged.append([UInt8](repeating: 0, count: padding)))
    count += padding
    return start
  }

  /// Ends the file and maps it.
  ///
  /// - Throws: ``FurlError`` of kind `cannotWrite`.
  package func finish() throws -> MappedFile {
    try check(staged.finish())
    isOpen = false
    return try MappedFile(taking: descriptor, path: path)
  }

  private func check(_ number: Int32) throws {
    guard number != 0 else { return }
    throw FurlError.writing(path, number, remedy: "make room in the folder of the output")
  }
}
