import FurlBase

/// Reads the head of a GGUF file front to back. Every step is checked against the file's end, and nothing is
/// allocated by a count that the file claims.
struct GGUFCursor {
  let file: MappedFile
  private(set) var offset = 0

  init(_ file: MappedFile) { self.file = file }

  var remaining: Int { file.count - offset }

  /// - Parameter what: what is read, for the error.
  mutating func integer<Integer: FixedWidthInteger>(
    _ what: @autoclosure () -> String, as type: Integer.Type = Integer.self
  ) throws -> Integer {
    let size = MemoryLayout<Integer>.size
    guard remaining >= size else { throw truncated(what()) }
    defer { offset += size }
    return file.integer(at: offset, as: type)
  }

  /// Passes over so many bytes and returns where they lie.
  mutating func skip(_ count: UInt64, _ what: @autoclosure () -> String) throws -> Range<Int> {
    guard count <= UInt64(remaining) else { throw truncated("\(what()) of \(count) bytes") }
    defer { offset += Int(count) }
    return offset..<offset + Int(count)
  }

  /// Passes over a text, its length first, and returns where its bytes lie.
  mutating func skipText(_ what: @autoclosure () -> String) throws -> Range<Int> {
    let length: UInt64 = try integer(what())
    return try skip(length, what())
  }

  /// The name of a key or a tensor.
  mutating func name(_ what: @autoclosure () -> String) throws -> String {
    let range = try skipText(what())
    guard (1...65535).contains(range.count) else {
      throw error("\(what()) has \(range.count) bytes", remedy: "names have 1 to 65535 bytes")
    }
    guard let name = String(validating: file.read(range), as: UTF8.self) else { throw error("\(what()) is not UTF-8") }
    return name
  }

  /// A number of things, each of which takes some bytes at least.
  mutating func count(of what: String, atLeast size: Int, as given: UInt64) throws -> Int {
    guard given <= UInt64(remaining / size) else {
      throw error(
        "says that it has \(given) \(what), for which its \(file.count) bytes have no room",
        remedy: "the file is damaged or cut off")
    }
    return Int(given)
  }

  func error(_ problem: String, remedy: String? = nil) -> FurlError { .input(file.path, problem, remedy: remedy) }

  private func truncated(_ what: String) -> FurlError {
    error("ends within \(what), which begins at byte \(offset)", remedy: "the file is damaged or cut off")
  }
}
