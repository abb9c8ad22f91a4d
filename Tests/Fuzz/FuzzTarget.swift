import FurlBase
import Foundation

/// A reader and what it is fed.
struct FuzzTarget: Sendable {
  /// By which `FUZZ_TARGET` asks for it.
  let name: String
  /// Small inputs of every form that the reader knows, most of them right.
  let seeds: @Sendable () throws -> [[UInt8]]
  /// Reads an input, and uses what it has read.
  let run: @Sendable ([UInt8], Workspace) throws -> Void

  /// The fastest ones first.
  static let all = documentTargets + packedTargets + tokenizerTargets + weightTargets + artifactTargets
}

/// Holds a reader to what is asked of all of them: an input is taken, or refused by one line that blames the input; it costs
/// little time, and leaves nothing open. (libFuzzer and the sanitizers see to crashes and memory.)
enum FuzzRun {
  /// Seconds of this process's own time for one input.
  static let longest = 2.0

  static func environment(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }

  static let target: FuzzTarget = {
    let name = environment("FUZZ_TARGET")
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else { fatalError("no such fuzz target") }
    return target
  }()

  private static let workspace = Workspace(folder: environment("FUZZ_FOLDER") ?? NSTemporaryDirectory())
  private nonisolated(unsafe) static var runs = 0
  private nonisolated(unsafe) static var usualDescriptors: Int?

  static func test(_ input: [UInt8]) {
    let start = processSeconds()
    accept { try target.run(input, workspace) }
    let seconds = processSeconds() - start
    precondition(seconds < longest, "took \(seconds) seconds")
    runs += 1
    // What is made once and kept, such as standard tables, is there after some runs.
    if runs & (runs - 1) == 0 || runs % 4096 == 0, runs >= 256 { checkDescriptors() }
  }

  /// Runs what may refuse its input. It may not blame anything else, and not in a way that a log could not show.
  static func accept(_ body: () throws -> Void) {
    do {
      try body()
    } catch let error as FurlError {
      precondition(error.kind == .input || error.kind == .usage, "\(error.kind): \(error)")
      precondition(!error.problem.isEmpty && error.description.utf8.allSatisfy { $0 >= 0x20 }, "not one line: \(error)")
    } catch {
      preconditionFailure("an error of another kind: \(error)")
    }
  }

  private static func processSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func checkDescriptors() {
    guard let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count else { return }
    precondition(open <= (usualDescriptors ?? open) + 4, "\(open) descriptors are open after \(runs) runs")
    usualDescriptors = usualDescriptors ?? open
  }
}

/// The folder, in memory where `run.sh` makes it, through which inputs reach readers that take paths.
struct Workspace: Sendable {
  let folder: String

  func path(_ name: String) -> String { folder + "/" + name }

  /// Writes a file over what was there and gives its path.
  @discardableResult
  func write(_ bytes: some Collection<UInt8>, to name: String) throws -> String {
    let path = path(name)
    // Readers keep files mapped: a new file leaves those as they are.
    unlink(path)
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { fatalError("cannot create \(path): \(errno)") }
    defer { close(descriptor) }
    let bytes = Array(bytes)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { fatalError("cannot write \(path)") }
    return path
  }

  /// Writes a file that is the same for every input, where it is not there yet.
  func keep(_ bytes: some Collection<UInt8>, as name: String) throws {
    if access(path(name), F_OK) != 0 { try write(bytes, to: name) }
  }

  /// Writes the parts of an input to files, in the order of the names. A part that is empty, or missing, is no file.
  func write(_ input: [UInt8], to names: [String]) throws {
    let parts = Workspace.parts(input, atMost: names.count)
    for (index, name) in names.enumerated() {
      if index < parts.count, !parts[index].isEmpty {
        try write(parts[index], to: name)
      } else {
        unlink(path(name))
      }
    }
  }

  /// A control character that no text has: what is behind the last name may be of any bytes.
  static let separator: UInt8 = 0x1E

  /// What stands between separators; the last part may hold some itself.
  static func parts(_ input: some RandomAccessCollection<UInt8>, atMost count: Int) -> [[UInt8]] {
    // Found by the system: a loop over bytes would be the most of what is counted of an input.
    var (rest, parts): ([UInt8], [[UInt8]]) = (Array(input), [])
    while parts.count < count - 1 {
      let place = rest.withUnsafeBytes { bytes in
        memchr(bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!, Int32(separator), bytes.count).map {
          UnsafeRawPointer($0) - bytes.baseAddress!
        }
      }
      guard let place else { break }
      parts.append(Array(rest[..<place]))
      rest.removeFirst(place + 1)
    }
    return parts + [rest]
  }

  static func join(_ parts: [[UInt8]]) -> [UInt8] { Array(parts.joined(separator: [separator])) }
  static func join(_ parts: [String]) -> [UInt8] { join(parts.map { Array($0.utf8) }) }
}
