/// Where Furl keeps what it would otherwise compute again. Everything in there may be deleted at any time, and nothing
/// in there is believed unless this user wrote it.
///
/// `FURL_CACHE` names the folder, or says `off`; else it is `furl` in `XDG_CACHE_HOME`, or in `~/.cache`
/// (`~/Library/Caches` on macOS).
public enum CacheFolder {
  /// The folder's path, which need not exist; nil where there is none.
  public static func path(environment: (String) -> String?) -> String? {
    switch environment("FURL_CACHE") {
    case "off": return nil
    case let path? where !path.isEmpty: return path
    default: break
    }
    // A relative path in XDG_CACHE_HOME is to be ignored (XDG Base Directory Specification).
    if let base = environment("XDG_CACHE_HOME"), base.hasPrefix("/") { return base + "/furl" }
    guard let home = environment("HOME"), home.hasPrefix("/") else { return nil }
    #if os(macOS)
    return home + "/Library/Caches/furl"
    #else
    return home + "/.cache/furl"
    #endif
  }

  /// The folder of this process.
  public static var path: String? { path { name in getenv(name).map { String(cString: $0) } } }

  /// Makes a folder inside of the cache, for this user alone.
  ///
  /// - Returns: its path; nil where it cannot be, or is somebody else's.
  static func make(_ name: String, in root: String) -> String? {
    var made = ""
    for part in root.split(separator: "/", omittingEmptySubsequences: true) {
      made += (made.isEmpty && !root.hasPrefix("/") ? "" : "/") + part
      _ = mkdir(made, 0o700)
    }
    let path = root + "/" + name
    _ = mkdir(path, 0o700)
    return isOwn(path, kind: S_IFDIR) ? path : nil
  }

  /// Whether a folder inside of the cache is this user's, or can still become it: nothing is made.
  static func mayHave(_ name: String, in root: String) -> Bool {
    var status = stat()
    if lstat(root + "/" + name, &status) != 0 { return errno == ENOENT }
    return isOwn(root + "/" + name, kind: S_IFDIR)
  }

  /// Whether this user alone may write something.
  static func isOwn(_ path: String, kind: mode_t) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == kind else { return false }
    return status.st_uid == geteuid() && status.st_mode & 0o022 == 0
  }
}
