/// What went wrong, as a value that a person can act on.
///
/// Every error names the file (or the option), the place in it (a key, a line, a tensor), what is wrong and
/// what to do. ``description`` is the one line that the command prints.
public struct FurlError: Error, Sendable, Hashable {
  /// Who has to act; each kind is one exit status of the command.
  public enum Kind: Sendable, Hashable {
    /// The command line is wrong, or there is nothing to do.
    case usage
    /// An input (checkpoint, artifact, recipe, suite) is wrong or damaged.
    case input
    /// This machine lacks what the job needs.
    case unavailable
    /// A defect of Furl.
    case defect
    /// The output cannot be created.
    case cannotCreate
    /// The output cannot be written to the end.
    case cannotWrite
  }

  public var kind: Kind
  /// The file, folder or option that the error is about.
  public var file: String?
  /// The key, line or tensor inside the file.
  public var place: String?
  /// What is wrong.
  public var problem: String
  /// What to do about it.
  public var remedy: String?

  public init(
    _ kind: Kind, file: String? = nil, place: String? = nil, _ problem: String, remedy: String? = nil
  ) {
    self.kind = kind
    self.file = file
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }

  /// An input that is wrong or damaged.
  public static func input(_ file: String?, _ problem: String, remedy: String? = nil) -> FurlError {
    FurlError(.input, file: file, problem, remedy: remedy)
  }

  /// An input that is wrong or damaged at one key, line or tensor.
  public static func input(
    _ file: String?, _ place: String?, _ problem: String, remedy: String? = nil
  ) -> FurlError {
    FurlError(.input, file: file, place: place, problem, remedy: remedy)
  }

  /// The exit status that the command ends with (after BSD's sysexits).
  public var exitStatus: Int32 {
    switch kind {
    case .usage: 64
    case .input: 65
    case .unavailable: 69
    case .defect: 70
    case .cannotCreate: 73
    case .cannotWrite: 74
    }
  }
}

extension FurlError: CustomStringConvertible {
  /// One line: file, place, problem, remedy. Control characters of hostile input are escaped.
  public var description: String {
    var line = [file, place, problem].compactMap { $0 }.joined(separator: ": ")
    if let remedy { line += " (\(remedy))" }
    return line.escapingControlCharacters
  }
}

extension String {
  /// The text on one line of a terminal: control characters appear as `\u{…}`.
  public var escapingControlCharacters: String {
    var result = ""
    for scalar in unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
