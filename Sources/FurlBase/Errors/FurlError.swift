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
  /// One line: file, place, problem, remedy. Control characters of hostile input are escaped, and what is longer than
  /// anybody reads is cut.
  public var description: String {
    var line = [file?.cut(to: 4096), place?.readable, problem.readable].compactMap { $0 }.joined(separator: ": ")
    if let remedy { line += " (\(remedy.readable))" }
    return line.escapingControlCharacters
  }
}

extension String {
  /// The text with long numbers cut, and cut itself where it is too long to be read.
  package var readable: String { cuttingNumbers.cut(to: 600) }

  /// Numbers of more digits than any that is meant appear as their beginning, and how many digits they have.
  private var cuttingNumbers: String {
    let (most, shown) = (40, 20)
    guard utf8.count > most else { return self }
    var result: [UInt8] = []
    var digits: [UInt8] = []
    func end() {
      guard digits.count > most else { return result += digits }
      result += digits.prefix(shown)
      result += Array("... (\(digits.count) digits)".utf8)
    }
    for byte in utf8 {
      if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
        digits.append(byte)
        continue
      }
      end()
      digits = []
      result.append(byte)
    }
    end()
    return String(decoding: result, as: UTF8.self)
  }

  /// The beginning and the end of a text of more characters than that.
  fileprivate func cut(to count: Int) -> String {
    guard utf8.count > count, self.count > count else { return self }
    return "\(prefix(count * 2 / 3)) ... \(suffix(count / 4))"
  }
}

extension String {
  /// The text on one line of a terminal: control characters appear as `\u{…}`.
  package var escapingControlCharacters: String {
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
