import Foundation
import FurlTestSupport
import Testing

/// The pages that people read: short where they have to be, whole, and dated where they give figures.
@Suite struct DocumentationTests {
  /// Every page in Markdown that is written by hand or by a test, with its text.
  private static func pages() throws -> [(path: String, text: String)] {
    let root = URL(fileURLWithPath: TestData.root)
    let hidden: Set = [".build", ".git", "Fixtures"]
    let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
    var found: [(String, String)] = []
    while let url = files?.nextObject() as? URL {
      if hidden.contains(url.lastPathComponent) || url.lastPathComponent.hasPrefix(".build") {
        files?.skipDescendants()
      } else if url.pathExtension == "md" {
        let path = String(url.path.dropFirst(TestData.root.count + 1))
        if path.hasPrefix("artifacts/"), path != "artifacts/README.md" { continue }
        found.append((path, String(decoding: try TestData.bytes(url.path), as: UTF8.self)))
      }
    }
    return found.sorted { $0.0 < $1.0 }
  }

  /// The lines that are no code.
  private static func prose(_ text: String) -> [(number: Int, line: String)] {
    var isCode = false
    return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
      if line.drop(while: { $0 == " " }).hasPrefix("```") {
        isCode.toggle()
        return nil
      }
      return isCode ? nil : (index + 1, String(line))
    }
  }

  @Test func theReadmeIsShort() throws {
    let text = String(decoding: try TestData.bytes(TestData.root + "/README.md"), as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count <= 151 && text.split(whereSeparator: \.isWhitespace).count <= 900)
    // The first command stands on the first screen.
    #expect(lines.prefix(20).contains { $0.hasPrefix("furl ") })
  }

  /// Cells of a row; a bar behind a backslash or between backticks is none of Markdown's.
  private static func cells(_ line: String) -> Int {
    var count = 0
    var (isEscaped, isCode) = (false, false)
    for character in line {
      if character == "`" { isCode.toggle() }
      if character == "|", !isEscaped, !isCode { count += 1 }
      isEscaped = character == "\\" && !isEscaped
    }
    return count - 1
  }

  @Test func tablesAreWhole() throws {
    for (path, text) in try Self.pages() {
      let lines = Self.prose(text)
      var columns: Int?
      for (index, (number, line)) in lines.enumerated() {
        let row = line.trimmingCharacters(in: .whitespaces)
        guard row.hasPrefix("|") else {
          columns = nil
          continue
        }
        #expect(row.hasSuffix("|"), "\(path):\(number) has no end")
        if let columns {
          #expect(Self.cells(row) == columns, "\(path):\(number) has \(Self.cells(row)) cells, its table \(columns)")
        } else {
          columns = Self.cells(row)
          let rule = index + 1 < lines.count ? lines[index + 1].line : ""
          #expect(
            rule.contains("-") && rule.allSatisfy { "|-: ".contains($0) }, "\(path):\(number) has no rule below it")
          // A table begins behind an empty line, or it is none.
          let before = index > 0 ? lines[index - 1].line : ""
          #expect(before.trimmingCharacters(in: .whitespaces).isEmpty, "\(path):\(number) touches what is above it")
        }
      }
    }
  }

  @Test func linksLeadSomewhere() throws {
    for (path, text) in try Self.pages() {
      let folder = (TestData.root + "/" + path as NSString).deletingLastPathComponent
      for (number, line) in Self.prose(text) {
        for match in line.matches(of: /\]\(([^)\s]+)\)/) {
          let target = String(match.1.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)[0])
          if target.isEmpty || target.contains("://") { continue }
          #expect(FileManager.default.fileExists(atPath: folder + "/" + target), "\(path):\(number) \(target)")
        }
      }
    }
  }

  /// A figure without its date and commit is hearsay.
  @Test func figuresSayWhenTheyWereMeasured() throws {
    for (path, text) in try Self.pages()
    where path == "README.md" || path.hasPrefix("docs/") && !path.hasPrefix("docs/reference") {
      var (section, figures, isDated) = (path, 0, false)
      func check() { #expect(figures < 3 || isDated, "\(path), \(section): Measured DATE at commit HASH, MACHINE.") }
      for (_, line) in Self.prose(text) {
        if line.hasPrefix("#") {
          check()
          (section, figures, isDated) = (line, 0, false)
        }
        if line.contains(#/Measured 20\d\d-\d\d-\d\d at commit [0-9a-f]{7,}, /#) { isDated = true }
        if line.hasPrefix("|") { figures += line.matches(of: /\d ?(t\/s|MB|GB|%|ms|s)\b|\d %/).count }
      }
      check()
    }
  }

  /// British words, and the endings that the keys of recipes have: quantize, tokenize.
  @Test func spellingIsOne() throws {
    let others =
      /\b(?:(?:quanti|normali|optimi|tokeni|recogni|initiali|generali|organi)s(?:e|ed|es|ing|ation)|behaviors?|colors?|center|gray|labeled|modeling|canceled|catalog)\b/
    for (path, text) in try Self.pages() {
      for (number, line) in Self.prose(text) {
        // Names of others are as they are.
        let words = line.replacing(/`[^`]*`/, with: "")
        if let match = words.firstMatch(of: others.ignoresCase()) { Issue.record("\(path):\(number) \(match.0)") }
      }
    }
  }
}
