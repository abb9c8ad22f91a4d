import ArgumentParser
import FurlBase
import FurlReport

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what this machine has, what is missing, and what that keeps one from.",
    discussion: """
      furl doctor
      furl doctor --json

      Models are compressed and run with what the processor and the memory are. The sandbox (bubblewrap) and Python are \
      needed where generated programs are executed: by eval, bench and verify with suites of the kind pass_at_1. Energy \
      is measured where there are counters that this user may read.

      Exit status: 0, whatever is missing.
      """)

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func run() throws {
    let check = MachineCheck()
    if json { return Terminal.print(check.json) }
    let names = check.findings.map(\.name.count).max() ?? 0
    for finding in check.findings {
      let hue: Colours.Hue =
        switch finding.standing {
        case .good: .good
        case .missing: .bad
        case .note: .open
        }
      let standing = finding.standing.rawValue
      let label = Terminal.outputHasColours ? Colours.paint(standing, hue) : standing
      let text = [finding.text, finding.remedy.map { "(\($0))" }].compactMap { $0 }.joined(separator: " ")
      let start = names + 11
      let lines = Terminal.lines(of: text.escapingControlCharacters, indentedBy: start)
      let name = finding.name + String(repeating: " ", count: names - finding.name.count)
      Terminal.print("\(name)  \(label)\(String(repeating: " ", count: 9 - standing.count))\(lines)")
    }
  }
}
