package import FurlBase
import FurlEvaluate

/// What Furl keeps in its cache folder: baselines' results and digests of files.
package struct CacheContents: Sendable {
  /// Files of one kind.
  package struct CacheShare: Sendable {
    /// The folder's name.
    package let name: String
    package let files: Int
    package let bytes: Int
    /// What they save.
    package let use: String
  }

  package let path: String
  package let shares: [CacheShare]

  package var bytes: Int { shares.reduce(0) { $0 + $1.bytes } }
  package var files: Int { shares.reduce(0) { $0 + $1.files } }

  private static let folders = [
    ("baselines", "what models gave that verify compared with"),
    ("digests", "digests of large files, which compress needs"),
  ]

  /// - Returns: nil where there is no cache.
  package init?(_ environment: [String: String]) {
    guard let path = CacheFolder.path(environment: { environment[$0] }) else { return nil }
    self.path = path
    shares = Self.folders.map { name, use in
      let files = Self.folder(name, in: path)?.files ?? []
      return CacheShare(name: name, files: files.count, bytes: files.reduce(0) { $0 + $1.status.bytes }, use: use)
    }
  }

  /// The folder, if it is this user's alone: another one's is neither counted nor cleared.
  private static func folder(_ name: String, in path: String) -> PrivateFolder? {
    guard case .here(let folder) = PrivateFolder.open(name, in: path) else { return nil }
    return folder
  }

  /// Removes all of it. What belongs to somebody else, or is none of Furl's, stays.
  package func clear() {
    for (name, _) in Self.folders {
      guard let folder = Self.folder(name, in: path) else { continue }
      for file in folder.files { folder.remove(file.name) }
    }
  }

  package var json: JSON {
    [
      "path": .string(path), "bytes": .integer(bytes), "files": .integer(files),
      "kinds": .array(
        shares.map { ["name": .string($0.name), "bytes": .integer($0.bytes), "files": .integer($0.files)] }),
    ]
  }
}
