/// The Python programs that the sandbox runs, each made of files of `Python/`, one behind the other in one module.
enum PythonProgram {
  /// Starts compiled programs. Every process compiles it anew, so that it is short.
  static let boot = text([PackageResources.boot_py])
  /// Compiles the others once, in the sandbox.
  static let probe = text([PackageResources.limits_py, PackageResources.probe_py])
  /// Says what of the machine's files Python needs.
  static let files = text([PackageResources.python_files_py])
  /// Copies it.
  static let root = text([PackageResources.python_root_py])

  /// The side of the pipe that runs the program under test.
  static let candidate = text(pipe + [PackageResources.sanitizer_py, PackageResources.candidate_py])
  /// The side that runs a problem's test.
  static let checkTester = text(pipe + [PackageResources.tester_py, PackageResources.check_tester_py])
  /// The side that puts a problem's inputs.
  static let inputsTester = text(
    pipe + [
      PackageResources.tester_py, PackageResources.json_text_py, PackageResources.mbpp_py,
      PackageResources.comparison_py, PackageResources.expected_answers_py, PackageResources.inputs_tester_py,
    ])

  /// A program under test that tells how many of some texts are Python.
  static let parsable = text([PackageResources.parsable_py])

  /// What both sides of the pipe have.
  private static let pipe = [
    PackageResources.limits_py, PackageResources.value_codec_py, PackageResources.shared_heap_py,
    PackageResources.iterators_py, PackageResources.library_values_py, PackageResources.class_values_py,
    PackageResources.exceptions_py, PackageResources.messages_py,
  ]

  private static func text(_ files: [[UInt8]]) -> String {
    String(decoding: Array(files.joined(separator: [UInt8(ascii: "\n")])), as: UTF8.self)
  }
}

/// A program that the sandbox's Python has compiled, once, for all processes that run it.
struct PythonCode: Sendable, Hashable {
  /// The arguments that `boot.py` puts together: hexadecimal digits.
  let arguments: [String]

  /// - Parameter digits: hexadecimal, as `probe.py` prints them.
  init(_ digits: Substring) {
    let digits = Array(digits.utf8)
    // The system takes no argument of more than 128 KiB.
    arguments = stride(from: 0, to: digits.count, by: 100_000).map { start in
      String(decoding: digits[start..<min(start + 100_000, digits.count)], as: UTF8.self)
    }
  }
}
