import FurlBase

/// A table for a terminal, which is also Markdown.
package struct TextTable: Sendable {
  private let header: [String]
  private let leftAligned: Set<Int>
  private var rows: [[String]] = []

  /// - Parameter leftAligned: columns of text; all others are numbers and stand right.
  package init(_ header: [String], leftAligned: Set<Int> = [0]) {
    self.header = header
    self.leftAligned = leftAligned
  }

  package mutating func add(_ row: [String]) { rows.append(row) }

  /// The table as it is drawn in a width; where it is wider, every row is a paragraph: its first cell, and below it a line
  /// for each of the others that says something.
  ///
  /// - Parameter width: columns of the terminal; nil: as wide as it has to be.
  package func text(width: Int?) -> String {
    let whole = text
    guard let width, whole.split(separator: "\n").contains(where: { $0.count > width }) else { return whole }
    let names = header.dropFirst().map(\.count).max() ?? 0
    let paragraphs = rows.map { row in
      let lines = zip(header, row).dropFirst().filter { !$0.1.isEmpty }.flatMap { name, cell in
        let label = "  " + name + String(repeating: " ", count: names - name.count + 2)
        return TextTable.wrapped(cell.escapingControlCharacters, width: max(12, width - label.count)).enumerated().map {
          ($0.offset == 0 ? label : String(repeating: " ", count: label.count)) + $0.element
        }
      }
      return ([row.first?.escapingControlCharacters ?? ""] + lines).joined(separator: "\n")
    }
    return paragraphs.joined(separator: "\n")
  }

  /// A text in lines, cut at spaces; a word that is longer than a line is cut.
  package static func wrapped(_ text: String, width: Int) -> [String] {
    var lines = [""]
    for word in text.split(separator: " ") {
      var word = word
      if !lines[lines.count - 1].isEmpty, lines[lines.count - 1].count + 1 + word.count > width { lines.append("") }
      while word.count > width {
        lines[lines.count - 1] += word.prefix(width)
        word = word.dropFirst(width)
        lines.append("")
      }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
    return lines
  }

  package var text: String {
    // A bar in a cell would end it in Markdown.
    let cells = ([header] + rows).map { $0.map { $0.escapingControlCharacters.replacing("|", with: "\\|") } }
    let widths = header.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    func line(_ row: [String]) -> String {
      let padded = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: max(0, widths[column] - cell.count))
        return leftAligned.contains(column) ? cell + space : space + cell
      }
      return "| " + padded.joined(separator: " | ") + " |"
    }
    let rule = widths.enumerated().map { column, width in
      let dashes = String(repeating: "-", count: max(2, width) - 1)
      return leftAligned.contains(column) ? "-" + dashes : dashes + ":"
    }
    return ([line(cells[0]), "| " + rule.joined(separator: " | ") + " |"] + cells.dropFirst().map(line))
      .joined(separator: "\n")
  }
}
