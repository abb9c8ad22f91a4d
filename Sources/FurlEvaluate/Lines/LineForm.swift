import FurlBase

/// How a line of a file says which line is to be completed.
enum LineForm {
  /// CodeXGLUE's line completion: `input` and the rest of its last line, `gt`.
  case completion
  /// A whole file in PY150's normal form, `code` (a text or a list of tokens): its last line is to be written.
  case file

  init?(_ keys: Set<String>) {
    if keys.isSuperset(of: ["input", "gt"]) {
      self = .completion
    } else if keys.contains("code") {
      self = .file
    } else {
      return nil
    }
  }

  /// Input and truth; nil for a file of no more than one line, which leaves nothing to complete from.
  func problem(_ reader: DocumentReader) throws -> (input: String, gt: String)? {
    switch self {
    case .completion:
      return (try reader.filled("input"), try reader.filled("gt", limit: EditSimilarity.longest))
    case .file:
      let isList = try reader.required("code").array != nil
      let code = try isList ? (reader.strings("code") ?? []).joined(separator: " ") : reader.filled("code")
      guard let (input, gt) = LineForm.lastLine(of: code) else { return nil }
      guard gt.utf8.count <= EditSimilarity.longest else {
        throw reader.error("code", "its last line is longer than \(EditSimilarity.longest) bytes")
      }
      return (input, gt)
    }
  }

  /// A file up to and with its last `<EOL>`, and what comes after that without the closing `</s>`.
  static func lastLine(of code: String) -> (input: String, gt: String)? {
    var text = PythonSpace.trimming(code)
    if text.hasSuffix("</s>") { text = PythonSpace.trimmingEnd(String(text.dropLast(4))) }
    while text.hasSuffix("<EOL>") { text = PythonSpace.trimmingEnd(String(text.dropLast(5))) }
    guard let cut = text.ranges(of: "<EOL>").last else { return nil }
    let gt = PythonSpace.trimming(String(text[cut.upperBound...]))
    return gt.isEmpty ? nil : (String(text[..<cut.upperBound]), gt)
  }
}
