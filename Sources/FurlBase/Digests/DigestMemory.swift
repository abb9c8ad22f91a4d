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
package struct DigestMemory: Sendable {
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
  private let notice: @Sendable (String) -> Void

  /// - Parameters:
  ///   - root: the cache's folder.
  ///   - recalls: whether what was remembered earlier counts.
  ///   - notice: told why something that is there is not believed.
  /// - Returns: nil where there is no cache (``CacheFolder``), or it could be somebody else's.
  package init?(
    root: String? = CacheFolder.path, recalls: Bool = true, notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.init(root: root, recalls: recalls, rules: Rules(), notice: notice)
  }

  init?(
    root: String?, recalls: Bool = true, rules: Rules, notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    guard let root else { return nil }
    self.root = root
    self.recalls = recalls
    self.rules = rules
    self.notice = notice
    if case .foreign(let path, let reason) = PrivateFolder.open("digests", in: root) {
      distrust(path, reason)
      return nil
    }
  }

  /// The digest of a file that has not changed since it was remembered.
  package func recall(_ file: MappedFile) -> Digest? {
    guard recalls, file.count >= rules.leastBytes, let identity = file.identity, file.isLocal else { return nil }
    guard let folder = believed(PrivateFolder.open("digests", in: root)),
      let bytes = believed(folder.read(name(identity), limit: 1_024))
    else { return nil }
    let words = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    guard words.count == 3, words[0] == line(identity), words[2].isEmpty else { return nil }
    return Digest(hex: String(words[1]))
  }

  /// Remembers the digest of a file that has not changed since it was opened.
  package func remember(_ file: MappedFile, _ digest: Digest) {
    guard file.count >= rules.leastBytes, let identity = file.identity, identity == file.identityWhenOpened,
      file.isLocal, max(identity.modified, identity.changed) + rules.settleTime < file.timeWhenOpened
    else { return }
    guard let folder = believed(PrivateFolder.open("digests", in: root, makes: true)) else { return }
    forgetOldest(folder)
    folder.write(name(identity), Array("\(line(identity))\n\(digest.hex)\n".utf8))
  }

  private func believed<Value>(_ found: PrivateFolder.FoundFolder<Value>) -> Value? {
    switch found {
    case .here(let value): return value
    case .missing: return nil
    case .foreign(let path, let reason):
      distrust(path, reason)
      return nil
    }
  }

  private func distrust(_ path: String, _ reason: String) {
    notice("\(path) \(reason), so no digest that is remembered there is believed")
  }

  private func name(_ identity: FileIdentity) -> String { "\(identity.device)-\(identity.number)" }

  private func line(_ identity: FileIdentity) -> String {
    "furl 1 sha256 \(identity.bytes) \(identity.modified) \(identity.changed)"
  }

  private func forgetOldest(_ folder: PrivateFolder) {
    let files = folder.files
    guard files.count >= rules.mostRecords else { return }
    let dated = files.map { ($0.status.changed, $0.name) }
    for (_, name) in dated.sorted(by: <).prefix(files.count - rules.mostRecords / 2) { folder.remove(name) }
  }
}
