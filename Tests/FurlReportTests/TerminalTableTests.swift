import FurlBase
import FurlReport
import Testing

/// Tables and colours where a person looks at them.
@Suite struct TerminalTableTests {
  private static var table: TextTable {
    var table = TextTable(["model", "disk", "what it is"], leftAligned: [0, 2])
    table.add(["minipy", "28.4 MB", "seven million parameters that were trained on Python"])
    table.add(["minipy-int8", "7.02 MB", ""])
    return table
  }

  @Test func whatFitsIsATable() {
    let table = Self.table
    #expect(table.text(width: nil) == table.text && table.text(width: 200) == table.text)
    #expect(table.text.hasPrefix("| model"))
  }

  @Test(arguments: [60, 40, 30])
  func whatDoesNotFitIsParagraphs(_ width: Int) {
    let lines = Self.table.text(width: width).split(separator: "\n")
    #expect(lines.allSatisfy { $0.count <= width }, "\(lines)")
    #expect(lines.first == "minipy" && lines.contains("minipy-int8"))
    #expect(lines.contains { $0.hasPrefix("  disk        28.4 MB") }, "\(lines)")
    // What is empty takes no line, and no word is lost.
    #expect(lines.count { $0.hasPrefix("  what it is") } == 1)
    let words = lines.joined(separator: " ").split(separator: " ")
    #expect(
      ["seven", "million", "parameters", "that", "were", "trained", "on", "Python"].allSatisfy {
        words.contains($0[...])
      })
  }

  @Test func longWordsAreCut() {
    #expect(TextTable.wrapped("abcdefgh ij", width: 5) == ["abcde", "fgh", "ij"])
    #expect(TextTable.wrapped("ab cd ef", width: 5) == ["ab cd", "ef"])
    #expect(TextTable.wrapped("", width: 5) == [""])
  }

  @Test func verdictsAreInColours() {
    let text = """
      | gate | verdict |
      | lines: pass | fail |
      a fail that is no verdict
        verdict      pass
      model: pass: fail (gates of pass: 1 fail)
      """
    let (green, red, end) = ("\u{1B}[1;32m", "\u{1B}[1;31m", "\u{1B}[0m")
    #expect(
      Colours.paintingVerdicts(text) == """
        | gate | verdict |
        | lines: pass | \(red)fail\(end) |
        a fail that is no verdict
          verdict      \(green)pass\(end)
        model: pass: \(red)fail\(end) (gates of pass: 1 fail)
        """)
  }

  @Test func digitsStandInThrees() {
    let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (6_971_392, "6,971,392"), (-12_345, "-12,345")]
    for (number, text) in cases { #expect(Figures.grouped(number) == text) }
    #expect(Figures.grouped(.min) == "-9,223,372,036,854,775,808")
  }
}
