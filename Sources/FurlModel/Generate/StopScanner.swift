/// Finds the first of some stop strings in a text that grows piece by piece.
///
/// The text ends where a stop is first complete, before the longest one that ends there, however it was cut into
/// pieces.
struct StopScanner {
  private let stops: [[UInt8]]
  private let longest: Int
  /// Everything so far; cut before the stop once one is found.
  private(set) var text: [UInt8] = []
  private(set) var isStopped = false
  /// Bytes that have been handed out by ``take()``.
  private var taken = 0

  init(stops: [String]) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
    longest = self.stops.map(\.count).max() ?? 0
  }

  /// Adds a piece; true when the text has ended.
  mutating func append(_ piece: String) -> Bool {
    guard !isStopped else { return true }
    // A stop that ends in the new piece begins at most so far before it.
    let from = max(0, text.count - max(0, longest - 1))
    text.append(contentsOf: piece.utf8)
    let found = stops.compactMap { stop in firstIndex(of: stop, from: from).map { $0..<$0 + stop.count } }
      .min { ($0.upperBound, $0.lowerBound) < ($1.upperBound, $1.lowerBound) }
    if let found {
      text.removeSubrange(found.lowerBound...)
      isStopped = true
    }
    return isStopped
  }

  private func firstIndex(of stop: [UInt8], from start: Int) -> Int? {
    guard text.count >= stop.count, start <= text.count - stop.count else { return nil }
    return (start...text.count - stop.count).first { text[$0..<$0 + stop.count].elementsEqual(stop) }
  }

  /// The text that is certain and has not been handed out: what may be the beginning of a stop is held back until
  /// it is known.
  mutating func take(isLast: Bool = false) -> String {
    var end = text.count
    if !isStopped && !isLast {
      let held = (1..<max(longest, 1)).reversed().first { length in
        length <= text.count
          && stops.contains { $0.count > length && $0.prefix(length).elementsEqual(text.suffix(length)) }
      }
      end -= held ?? 0
    }
    guard end > taken else { return "" }
    defer { taken = end }
    return String(decoding: text[taken..<end], as: UTF8.self)
  }
}
