import ArgumentParser
import FurlBase
import FurlReport

struct Cache: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what Furl keeps, how large it is, and clears it.",
    discussion: """
      furl cache
      furl cache --clear

      The folder is ~/.cache/furl, or what FURL_CACHE or XDG_CACHE_HOME name; FURL_CACHE=off keeps nothing. All of it can be \
      computed again.
      """)

  @Flag(help: "Remove what is kept.")
  var clear = false

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    guard let contents = CacheContents(environment) else {
      return json
        ? Terminal.print(["path": .null, "bytes": 0, "files": 0, "kinds": [], "cleared": .bool(clear)])
        : Terminal.print("nothing is kept (FURL_CACHE is off, or there is no home folder)")
    }
    if clear { contents.clear() }
    if json {
      guard case .object(let members) = contents.json else { return }
      return Terminal.print(JSON.object(members + [.init("cleared", .bool(clear))]))
    }
    let verb = clear ? "cleared: " : ""
    Terminal.print("\(verb)\(contents.path), \(Figures.bytes(contents.bytes)) in \(contents.files) files")
    for share in contents.shares where share.files > 0 {
      Terminal.print("  \(share.name): \(Figures.bytes(share.bytes)) in \(share.files) files, \(share.use)")
    }
  }
}
