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
