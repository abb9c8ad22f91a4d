import Synchronization

/// Which pages of a mapped file are in this process while one thread reads the file from front to back.
///
/// A thread that meets a page that is not mapped waits for the system, and where the reading is a chain that nothing
/// shortens everybody waits for it. So other threads ``move()`` the window along: they map pages that come next, as long
/// as the system has them in its cache, and unmap what has been read. When nobody does, the reader goes on by itself.
/// Either way the process never holds more than ``ahead``, ``behind`` and a piece.
final class PageWindow: Sendable {
  /// Bytes that are mapped before they are read, and as many behind them that the disk is asked for.
  static let ahead = 32 << 20
  /// Bytes that may wait to be unmapped by somebody else than the reader.
  static let behind = 16 << 20
  /// What is mapped and unmapped at once.
  static let piece = 4 << 20

  private let file: MappedFile
  /// The least that is worth a job.
  private let step: Int
  private let state = Mutex(WindowState())

  private struct WindowState {
    /// In this order, but the reader can overtake those who fetch and map.
    var dropped = 0
    var read = 0
    var mapped = 0
    var fetched = 0
    var isMoving = false
    /// Whether somebody is on the way to move it.
    var isAsked = false
  }

  /// - Parameter isShared: whether others may move the window.
  init(_ file: MappedFile, isShared: Bool) {
    self.file = file
    step = isShared ? 2 * PageWindow.piece : .max
  }

  // MARK: The reader

  /// Sees to it that the disk is asked in time, before a range is read.
  func willRead(_ range: Range<Int>) {
    let missing: Range<Int>? = state.withLock { state in
      let end = min(range.upperBound + range.count, file.count)
      guard state.fetched < end else { return nil }
      defer { state.fetched = end }
      return max(state.fetched, range.lowerBound)..<end
    }
    if let missing { file.fetch(missing) }
  }

  func didRead(_ range: Range<Int>) {
    let own: Range<Int>? = state.withLock { state in
      state.read = range.upperBound
      guard state.read - state.dropped > (step == .max ? 0 : PageWindow.behind) else { return nil }
      defer { state.dropped = state.read }
      return state.dropped..<state.read
    }
    if let own { file.drop(own) }
  }

  // MARK: Others

  /// Whether somebody should move the window now; not true again before that has happened.
  func asksToMove() -> Bool {
    state.withLock { state in
      guard step != .max, !state.isAsked, !state.isMoving else { return false }
      let end = min(state.read + PageWindow.ahead, file.count)
      state.isAsked = state.read - state.dropped >= step || end - state.mapped >= step
      return state.isAsked
    }
  }

  /// Maps what comes next and unmaps what has been read, until the window is where it should be. Any thread may do it.
  func move() {
    let isFree = state.withLock { state in
      state.isAsked = false
      defer { state.isMoving = true }
      return !state.isMoving
    }
    guard isFree else { return }
    var last = 0..<0
    while let (dropped, fetched, mapped) = next(after: last) {
      last = mapped
      file.drop(dropped)
      if !file.isCached(fetched) { file.fetch(fetched) }
      // A thread that waited here for the disk could encode meanwhile.
      if file.isCached(mapped) { file.map(mapped) }
    }
  }

  /// What is to be done after a range was mapped; nil when there is nothing.
  private func next(after last: Range<Int>) -> (dropped: Range<Int>, fetched: Range<Int>, mapped: Range<Int>)? {
    state.withLock { state in
      // A reader that nobody helped for a while has unmapped by itself, perhaps before this range was mapped.
      let isOvertaken = !last.isEmpty && last.lowerBound < state.dropped
      let dropped = (isOvertaken ? last.lowerBound : state.dropped)..<state.read
      let start = max(state.read, state.mapped)
      let mapped = start..<max(start, min(start + PageWindow.piece, state.read + PageWindow.ahead, file.count))
      guard !dropped.isEmpty || !mapped.isEmpty else {
        state.isMoving = false
        return nil
      }
      let asked = max(state.fetched, mapped.upperBound)
      let fetched = asked..<max(asked, min(mapped.upperBound + PageWindow.ahead, file.count))
      (state.dropped, state.mapped, state.fetched) = (dropped.upperBound, mapped.upperBound, fetched.upperBound)
      return (dropped, fetched, mapped)
    }
  }
}
