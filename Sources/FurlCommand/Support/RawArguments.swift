import FurlBase

/// The command line as the system gives it: bytes, which need not be UTF-8.
enum RawArguments {
  /// Swift replaces bytes that are no UTF-8, and what is replaced names another file or says another text.
  ///
  /// - Throws: ``FurlError`` of kind `usage` that names the argument.
  static func refuseOtherBytes() throws {
    for (index, argument) in CommandLine.arguments.enumerated().dropFirst()
    where argument.unicodeScalars.contains("\u{FFFD}") {
      guard let bytes = CommandLine.unsafeArgv[index], String(validatingCString: bytes) == nil else { continue }
      throw FurlError(
        .usage, file: "argument \(index)", "\"\(argument)\" is not UTF-8",
        remedy: "give the file another name, or a text on standard input")
    }
  }
}
