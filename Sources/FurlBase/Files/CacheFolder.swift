/// Where Furl keeps what it would otherwise compute again. Everything in there may be deleted at any time, and nothing
/// in there is believed unless this user wrote it.
///
/// `FURL_CACHE` names the folder, or says `off`; else it is `furl` in `XDG_CACHE_HOME`, or in `~/.cache`
/// (`~/Library/Caches` on macOS).
package enum CacheFolder {
  /// The folder's path, which need not exist; nil where there is none.
  package static func path(environment: (String) -> String?) -> String? {
    switch environment("FURL_CACHE") {
    case "off": return nil
    case let path? where !path.isEmpty: return named(path)
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

  /// The path without what would lead through a link at its end: a slash, or the folder itself.
  private static func named(_ path: String) -> String {
    var path = Substring(path)
    while path.count > 1, path.hasSuffix("/") || path.hasSuffix("/.") { path = path.dropLast() }
    return String(path)
  }

  /// The folder of this process.
  package static var path: String? { path { name in getenv(name).map { String(cString: $0) } } }
}
