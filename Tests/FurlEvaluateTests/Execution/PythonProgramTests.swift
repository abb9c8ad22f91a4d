@testable import FurlEvaluate
import FurlTestSupport
import Subprocess
import SystemPackage
import Testing

/// The sandbox's Python is put together of files, which the format check sees one by one: here it is looked at whole.
@Suite struct PythonProgramTests {
  static let programs = [
    ("boot", PythonProgram.boot), ("probe", PythonProgram.probe), ("files", PythonProgram.files),
    ("candidate", PythonProgram.candidate), ("checkTester", PythonProgram.checkTester),
    ("inputsTester", PythonProgram.inputsTester), ("parsable", PythonProgram.parsable),
  ]

  /// No name is missing, and none stands for two things.
  @Test(arguments: programs) func namesAreDefinedOnce(_ sample: (name: String, text: String)) async throws {
    try await TestData.withTemporaryFolder { folder in
      let path = "\(folder)/\(sample.name).py"
      try TestData.write(Array(sample.text.utf8), to: path)
      let result = try await Subprocess.run(
        .path("/usr/bin/python3"), arguments: [TestData.root + "/scripts/lint-python", "--program", path],
        output: .string(limit: 65_536), error: .string(limit: 65_536))
      #expect(result.terminationStatus == .exited(0), "\(result.standardOutput)\(result.standardError)")
    }
  }

  /// The system takes no argument of more than 128 KiB, which programs are until they are compiled.
  @Test(arguments: programs) func programsAreShort(_ sample: (name: String, text: String)) {
    #expect(!sample.text.isEmpty && sample.text.utf8.count < 110_000)
  }
}
