import FurlBase
import FurlCheckpoint
import FurlTensor
import Synchronization

/// Everything that is hashed in a compression, as jobs of a queue: the source's files from front to back, and the
/// tensors' streams.
///
/// A file is a chain of jobs that nothing shortens, and the longest one of all, so half of the threads always work on
/// such a chain first. Two digests at once take little longer than one: files are hashed in pairs, and where streams
/// are many bytes beside the chain's other company, they are hashed beside a file that is alone.
final class HashingWork: Sendable {
  private let queue: JobQueue
  private let failures: FirstFailure
  private let sources: SourceDigests
  private let files: [FileHasher]
  private let threads: Int
  private let ridesAlong: Bool
  private let pace: ReadingPace
  private let state: Mutex<HashingState>

  /// Bytes that are hashed in one job.
  private static let stepBytes = 4 << 20

  private struct HashedStream {
    let hasher: MemoryHasher
    let whenDone: @Sendable () -> Void
  }

  private struct HashingState {
    /// Files that nobody is hashing and that are not done, in reverse order.
    var idleFiles: [Int]
    /// Chains that wait because they are too far ahead.
    var waiting: [JobQueue.Urgency] = []
    /// Streams that nobody is hashing and that are not done, in reverse order.
    var idleStreams: [HashedStream] = []
    var whenHashed: @Sendable () -> Void = {}
  }

  /// - Parameters:
  ///   - pace: says whether files may be hashed now, and is told how many bytes were.
  ///   - ridesAlong: whether streams are hashed beside files.
  init(
    _ sources: SourceDigests, pace: ReadingPace, queue: JobQueue, failures: FirstFailure, threads: Int, ridesAlong: Bool
  ) {
    self.sources = sources
    files = sources.files.map { FileHasher($0, isHelped: threads > 1) }
    self.pace = pace
    self.queue = queue
    self.failures = failures
    self.threads = threads
    self.ridesAlong = ridesAlong
    state = Mutex(HashingState(idleFiles: sources.open.reversed()))
  }

  // MARK: Files

  /// Begins with the files; after every step `whenHashed` is called.
  func start(whenHashed: @escaping @Sendable () -> Void) {
    state.withLock { $0.whenHashed = whenHashed }
    let open = sources.open
    for chain in 0..<min(threads, (open.count + 1) / 2) { addStep(chain < (threads + 1) / 2 ? .first : .last) }
    for index in open.prefix(2) { help(files[index]) }
  }

  /// Lets go of what a failure has left undone.
  func stop() {
    state.withLock { state in
      state.idleStreams = []
      state.whenHashed = {}
    }
  }

  /// Goes on with what waited for others to catch up.
  func wake() {
    let woken = state.withLock { state in
      defer { state.waiting = [] }
      return state.waiting
    }
    for urgency in woken { addStep(urgency) }
  }

  /// The files with their digests, when everything is done.
  ///
  /// - Throws: ``FurlError`` of kind `input` when one of them has changed meanwhile.
  func finish() throws -> [Checkpoint.SourceFile] {
    try sources.complete { files[$0].digest }
  }

  private func addStep(_ urgency: JobQueue.Urgency) {
    queue.add(urgency) { _ in self.step(urgency) }
  }

  /// Has another thread see to a file's pages. Of jobs that are as urgent the chain's next step has to be there first.
  private func help(_ hasher: FileHasher) {
    if hasher.asksForHelp() { queue.add(.first) { _ in hasher.help() } }
  }

  private func step(_ urgency: JobQueue.Urgency) {
    guard failures.isEmpty else { return }
    let isAllowed = pace.mayHash
    let (index, other, stream): (Int?, Int?, HashedStream?) = state.withLock { state in
      guard isAllowed else {
        state.waiting.append(urgency)
        return (nil, nil, nil)
      }
      guard let index = state.idleFiles.popLast() else { return (nil, nil, nil) }
      if let other = state.idleFiles.popLast() { return (index, other, nil) }
      return (index, nil, ridesAlong ? state.idleStreams.popLast() : nil)
    }
    guard let index else {
      // Whoever was waited for may have come before this began to wait.
      if !isAllowed, pace.mayHash { wake() }
      return
    }
    do {
      let bytes =
        if let other {
          try FileHasher.advance(files[index], files[other], by: HashingWork.stepBytes)
        } else {
          try files[index].advance(by: HashingWork.stepBytes, beside: stream?.hasher)
        }
      let open = [other, index].compactMap { $0 }.filter { !files[$0].isDone }
      if !open.isEmpty { state.withLock { $0.idleFiles += open } }
      pace.hash(bytes)
    } catch {
      failures.add(error, at: Int.max)
    }
    if let stream { putBack(stream) }
    addStep(urgency)
    for index in [index, other].compactMap({ $0 }) { help(files[index]) }
    state.withLock { $0.whenHashed }()
  }

  // MARK: Streams

  /// Hashes a stream's bytes as soon as a thread has time.
  func add(_ hasher: MemoryHasher, whenDone: @escaping @Sendable () -> Void) {
    let stream = HashedStream(hasher: hasher, whenDone: whenDone)
    guard !hasher.isDone else { return whenDone() }
    state.withLock { $0.idleStreams.insert(stream, at: 0) }
    queue.add(.last) { _ in self.stepStreams() }
  }

  private func stepStreams() {
    guard failures.isEmpty else { return }
    let two = state.withLock { state in (state.idleStreams.popLast(), state.idleStreams.popLast()) }
    guard let first = two.0 else { return }
    first.hasher.advance(by: HashingWork.stepBytes, beside: two.1?.hasher)
    putBack(first)
    if let second = two.1 { putBack(second) }
  }

  private func putBack(_ stream: HashedStream) {
    guard !stream.hasher.isDone else { return stream.whenDone() }
    state.withLock { $0.idleStreams.append(stream) }
    queue.add(.last) { _ in self.stepStreams() }
  }
}
