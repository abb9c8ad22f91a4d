import Foundation

/// Digests of large files that were hashed earlier and have not changed since.
///
/// SHA-256 of a file is a chain that no second thread shortens, and the longest work of a compression from one large
/// file. Who compresses a checkpoint with several recipes has that done once: as build systems do, a file is taken to
/// be what it was while its ``FileIdentity`` is the same.
///
/// A file is not remembered when it lies elsewhere than on this machine, or when its last change is so close to when it
/// was read that another one could bear the same time, or could come from a mapping that is still being written. What
/// is not exactly as it was written here, or could have been written by somebody else, counts as not there; so does
/// everything that fails.
public struct DigestMemory: Sendable {
  /// What is remembered.
  struct Rules {
    /// Files below this are hashed sooner than looked up.
    var leastBytes = 64 << 20
    /// Nanoseconds that a file has lain unchanged. Systems write what was changed in a mapping to the file after half a
    /// minute.
    var settleTime: Int64 = 60_000_000_000
    var mostRecords = 1_000
  }

  private let root: String
  private let recalls: Bool
  private let rules: Rules

  /// - Parameters:
  ///   - root: the cache's folder.
  ///   - recalls: whether what was remembered earlier counts.
  /// - Returns: nil where there is no cache (``CacheFolder``).
  public init?(root: String? = CacheFolder.path, recalls: Bool = true) {
    self.init(root: root, recalls: recalls, rules: Rules())
  }

  init?(root: String?, recalls: Bool = true, rules: Rules) {
    guard let root, CacheFolder.mayHave("digests", in: root) else { return nil }
    self.root = root
    self.recalls = recalls
    self.rules = rules
  }

  /// The digest of a file that has not changed since it was remembered.
  public func recall(_ file: MappedFile) -> Digest? {
    guard recalls, file.count >= rules.leastBytes, let identity = file.identity, file.isLocal else { return nil }
    let path = path(identity)
    guard CacheFolder.isOwn(folder, kind: S_IFDIR), CacheFolder.isOwn(path, kind: S_IFREG),
      let handle = FileHandle(forReadingAtPath: path)
    else { return nil }
    defer { try? handle.close() }
    guard let data = try? handle.read(upToCount: 1_024) else { return nil }
    let words = String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    guard words.count == 3, words[0] == line(identity), words[2].isEmpty else { return nil }
    return Digest(hex: String(words[1]))
  }

  /// Remembers the digest of a file that has not changed since it was opened.
  public func remember(_ file: MappedFile, _ digest: Digest) {
    guard file.count >= rules.leastBytes, let identity = file.identity, identity == file.identityWhenOpened,
      file.isLocal, max(identity.modified, identity.changed) + rules.settleTime < file.timeWhenOpened
    else { return }
    guard let folder = CacheFolder.make("digests", in: root) else { return }
    forgetOldest()
    let staged = "\(folder)/.\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let text = Data("\(line(identity))\n\(digest.hex)\n".utf8)
    guard
      FileManager.default.createFile(atPath: staged, contents: text, attributes: [.posixPermissions: 0o600])
    else { return }
    if rename(staged, path(identity)) != 0 { unlink(staged) }
  }

  private var folder: String { root + "/digests" }

  private func path(_ identity: FileIdentity) -> String { "\(folder)/\(identity.device)-\(identity.number)" }

  private func line(_ identity: FileIdentity) -> String {
    "furl 1 sha256 \(identity.bytes) \(identity.modified) \(identity.changed)"
  }

  private func forgetOldest() {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder),
      names.count >= rules.mostRecords
    else { return }
    let dated = names.map { name in
      var status = stat()
      return (stat("\(folder)/\(name)", &status) == 0 ? FileIdentity(status).changed : 0, name)
    }
    for (_, name) in dated.sorted(by: <).prefix(names.count - rules.mostRecords / 2) {
      unlink("\(folder)/\(name)")
    }
  }
}
