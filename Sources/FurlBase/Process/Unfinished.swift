import Synchronization

/// Temporary files and folders of outputs that are not whole yet: what a signal ends the process at has to go, as what
/// an error ends it at goes.
package enum Unfinished {
  private static let paths = Mutex<Set<String>>([])

  package static func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }

  package static func forget(_ path: String) { paths.withLock { _ = $0.remove(path) } }

  /// Removes all of them. Other threads may still be writing into a folder, so that it takes more than one look.
  package static func removeAll() {
    for path in paths.withLock({ Array($0) }) {
      for _ in 0..<20 {
        try? FileManager.default.removeItem(atPath: path)
        var status = stat()
        if lstat(path, &status) != 0 { break }
      }
    }
  }
}

/// The same for the command, which ends at a signal.
package func removeUnfinishedOutputs() { Unfinished.removeAll() }
