import FurlBase
import FurlReport

// How results are laid out where a person looks at them. What is read by programs is the same whatever the terminal is.
extension Terminal {
  private static let outputIsShown = isatty(1) == 1

  /// The columns of the terminal that standard output is; nil where it is none.
  static let width: Int? = {
    guard outputIsShown else { return nil }
    // What a person sets counts more than what the terminal says.
    if let columns = getenv("COLUMNS").flatMap({ Int(String(cString: $0)) }), columns > 0 { return columns }
    var size = winsize()
    guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }()

  /// Whether words may have colours: a terminal, and nobody who does not want them (no-color.org).
  static let outputHasColours: Bool = {
    func value(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
    return outputIsShown && value("NO_COLOR").isEmpty && value("TERM") != "dumb"
  }()

  /// Writes a table to stdout, as wide as the terminal is.
  static func print(_ table: TextTable) { print(table.text(width: width)) }

  /// A text cut into the terminal's lines; those behind the first are indented.
  ///
  /// - Parameters:
  ///   - indent: where lines begin.
  ///   - first: the blanks before the first one; nil where something stands before it already.
  static func lines(of text: String, indentedBy indent: Int, firstBy first: Int? = nil) -> String {
    let head = String(repeating: " ", count: first ?? 0)
    guard let width, width > indent + 10 else { return head + text }
    return head
      + TextTable.wrapped(text, width: width - indent - 1)
      .joined(separator: "\n" + String(repeating: " ", count: indent))
  }
}
