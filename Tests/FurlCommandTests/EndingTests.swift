import Foundation
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Testing

/// Everyone who waits for an answer gets one, however a command ends.
@Suite struct EndingTests {
  /// A checkpoint of one block, a suite of a few lines and completions of it.
  private func withFiles(_ body: (_ folder: String) async throws -> Void) async throws {
    try await TestData.withTemporaryFolder { folder in
      var sample = try SampleCheckpoint(folder: TestData.minipy)
      sample.keepBlocks(1)
      try sample.write(to: folder + "/m")
      let rows = (0..<6).map { #"{"id": \#($0), "input": "def f", "gt": "x"}"# }
      try TestData.write(Array((rows.joined(separator: "\n") + "\n").utf8), to: folder + "/l.jsonl")
      let given = (0..<6).map { #"{"id": \#($0), "completion": "\#($0 < 3 ? "x" : "y")"}"# }
      try TestData.write(Array((given.joined(separator: "\n") + "\n").utf8), to: folder + "/c.jsonl")
      try TestData.write(
        Array("furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: int8}\n".utf8), to: folder + "/r.yaml")
      try await body(folder)
    }
  }

  /// Runs a command line of the shell, in which $furl is the command.
  private func shell(_ line: String, in folder: String, environment: [String: String] = [:]) throws -> Tool.Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-c", line]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    var all = ProcessInfo.processInfo.environment
    for (key, value) in ["furl": Tool.path, "FURL_CACHE": "off", "GITHUB_ACTIONS": ""] { all[key] = value }
    for (key, value) in environment { all[key] = value }
    process.environment = all
    let (output, errors) = (folder + "/.stdout", folder + "/.stderr")
    for path in [output, errors] { try TestData.write([], to: path) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(forWritingAtPath: output)
    process.standardError = FileHandle(forWritingAtPath: errors)
    try process.run()
    process.waitUntilExit()
    let status =
      process.terminationReason == .uncaughtSignal ? 1000 + process.terminationStatus : process.terminationStatus
    return Tool.Result(
      status: status, output: String(decoding: try TestData.bytes(output), as: UTF8.self),
      errors: String(decoding: try TestData.bytes(errors), as: UTF8.self))
  }

  // MARK: Documents

  @Test(
    arguments: [
      ("compress m --recipe none.yaml -o a.furl", 65, "input", "none.yaml"),
      ("compress m --recipe r.yaml -o none/a.furl", 73, "cannot_create", "none/a.furl"),
      ("compress m --recipe r.yaml", 64, "usage", nil), ("inspect none", 65, "input", "none"),
      ("inspect r.yaml --tensor", 64, "usage", nil), ("inspect m --check", 64, "usage", "m"),
      ("eval none --suite l.jsonl", 65, "input", "none"), ("eval m --suite none.yaml", 65, "input", "none.yaml"),
      ("eval m --suite l.jsonl --samples none/s.jsonl", 73, "cannot_create", "none/s.jsonl"),
      ("eval m --suite l.jsonl --limit 0", 64, "usage", nil), ("eval m --suite ''", 64, "usage", "--suite"),
      ("bench none", 65, "input", "none"), ("bench m --suite none.yaml", 65, "input", "none.yaml"),
      ("bench m --report none/x.json", 73, "cannot_create", "none/x.json"), ("bench m --rounds x", 64, "usage", nil),
      ("verify none.furl", 65, "input", "none.furl"), ("verify m", 64, "usage", "m"), ("verify", 64, "usage", nil),
      ("run ''  --prompt x", 64, "usage", "argument 2"), ("export m --format= -o x", 64, "usage", "--format"),
    ] as [(String, Int32, String, String?)])
  func errorsAreDocuments(_ line: String, _ status: Int32, _ kind: String, _ file: String?) async throws {
    try await withFiles { folder in
      let result = try shell("$furl \(line) --json", in: folder)
      #expect(result.status == status && result.errors.count { $0 == "\n" } == 1, "\(result.errors)")
      let json = try result.json
      #expect(try JSONSchema("error").problems(json).isEmpty, "\(json)")
      #expect(json["error"]?["kind"]?.string == kind && json["error"]?["file"]?.string == file, "\(result.output)")
      #expect(json["error"]?["exit_status"]?.integer == Int(status))
      let problem = try #require(json["error"]?["problem"]?.string)
      #expect(result.errors.contains(problem))
      // Without --json standard output stays empty.
      let plain = try shell("$furl \(line)", in: folder)
      #expect(plain.output.isEmpty && plain.status == status && plain.errors == result.errors)
    }
  }

  @Test func numbersInMessagesAreCut() async throws {
    try await withFiles { folder in
      let digits = String(repeating: "7", count: 5_000)
      for recipe in [
        "furl: 1\nrecipe: x\nsteps:\n  - quantize: {weights: int8, block: \(digits)}\n", "furl: \(digits)\n",
        "furl: 1\nrecipe: \(digits)\nsteps:\n  - quantize: {weights: int\(digits)}\n",
      ] {
        try TestData.write(Array(recipe.utf8), to: folder + "/r.yaml")
        let result = try shell("$furl compress m --recipe r.yaml -o a.furl", in: folder)
        #expect(result.status == 65 && result.errors.utf8.count < 800, "\(result.errors.prefix(400))")
      }
    }
  }

  // MARK: Who is told

  @Test func gitHubIsToldOfErrors() async throws {
    try await withFiles { folder in
      let environment = ["GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": folder + "/summary.md"]
      for (line, words) in [
        ("inspect none", "none: does not exist"), ("verify none.furl", "none.furl: does not exist"),
        ("compress m --recipe none.yaml -o a", "none.yaml: does not exist"),
        ("eval m --suite l.jsonl --limit x", "'x' is invalid"),
        ("bench none", "none: does not exist"),
      ] {
        let command = line.split(separator: " ")[0]
        let result = try shell("$furl \(line)", in: folder, environment: environment)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasPrefix("::error title=furl \(command)::"), "\(result.errors)")
        #expect(lines[0].contains(words) && lines[1].contains(words), "\(result.errors)")
        let summary = String(decoding: try TestData.bytes(folder + "/summary.md"), as: UTF8.self)
        #expect(summary.contains("furl \(command): error"))
      }
    }
  }

  @Test(arguments: [
    ("--gates none.yaml", "input"), ("--gates g.yaml", "usage"), ("--limit x", "usage"), ("--kv f99", "usage"),
    ("--suite ''", "usage"),
  ])
  func aStaleReportIsReplaced(_ arguments: String, _ kind: String) async throws {
    try await withFiles { folder in
      try TestData.write(
        Array("furl: 1\ngates:\n  - {suite: l, metric: exact_match, max_drop: 0.1}\n".utf8), to: folder + "/g.yaml")
      #expect(try shell("$furl compress m --recipe r.yaml -o a.furl", in: folder).status == 0)
      for artifact in ["a.furl", "none.furl", "damaged.furl"] {
        let bytes = try TestData.bytes(folder + "/a.furl")
        try TestData.write(Array(bytes.dropLast(9)), to: folder + "/damaged.furl")
        try TestData.write(Array("<testsuites tests=\"1\"/>".utf8), to: folder + "/j.xml")
        let result = try shell("$furl verify \(artifact) --junit j.xml \(arguments)", in: folder)
        #expect([64, 65].contains(result.status), "\(result.errors)")
        let document = JUnitSchema(String(decoding: try TestData.bytes(folder + "/j.xml"), as: UTF8.self))
        #expect(document.problems.isEmpty && document.count["error"] == 1, "\(document.problems)")
        let message = try #require(document.messages["error"])
        #expect(result.errors == "furl: \(message)\n")
        if artifact == "a.furl" { #expect(result.status == (kind == "input" ? 65 : 64)) }
      }
      // Where it cannot be written nothing is begun.
      let nowhere = try shell("$furl verify a.furl --junit none/j.xml \(arguments)", in: folder)
      #expect([64, 73].contains(nowhere.status))
    }
  }

  /// A suite of so many lines, and a gate on it.
  private func writeManyLines(_ count: Int, in folder: String) throws {
    let rows = (0..<count).map { #"{"id": \#($0), "input": "def f\#($0)(a", "gt": "x"}"# }
    try TestData.write(Array((rows.joined(separator: "\n") + "\n").utf8), to: folder + "/many.jsonl")
    try TestData.write(
      Array("furl: 1\ngates:\n  - {suite: many, metric: exact_match, min: 0.9}\n".utf8), to: folder + "/g.yaml")
  }

  /// A signal is told of and ends the command as it should; a kill leaves the report that says error.
  @Test(arguments: ["TERM", "INT", "HUP", "KILL"])
  func signalsLeaveAReportThatSaysError(_ name: String) async throws {
    try await withFiles { folder in
      #expect(try shell("$furl compress m --recipe r.yaml -o a.furl", in: folder).status == 0)
      try writeManyLines(5_000, in: folder)
      let line = """
        set -m
        $furl verify a.furl --gates g.yaml --suite many=many.jsonl --complete --junit j.xml --json & p=$!
        for i in $(seq 500); do grep -qs '<error' j.xml && break; sleep 0.02; done
        kill -\(name) $p; wait $p; exit $?
        """
      let result = try shell(line, in: folder, environment: ["GITHUB_ACTIONS": "true"])
      let number: Int32 = ["TERM": 15, "INT": 2, "HUP": 1, "KILL": 9][name] ?? 0
      #expect(result.status == 128 + number, "\(result.errors)")
      let document = JUnitSchema(String(decoding: try TestData.bytes(folder + "/j.xml"), as: UTF8.self))
      #expect(document.problems.isEmpty && document.count["error"] == 1, "\(document.problems)")
      if name == "KILL" { return }
      #expect(document.messages["error"]?.contains("SIG\(name)") == true)
      #expect(result.errors.contains("::error title=furl verify::was ended by SIG\(name)"), "\(result.errors)")
      #expect(result.errors.contains("furl: was ended by SIG\(name) before it was done\n"), "\(result.errors)")
      #expect(try JSONSchema("error").problems(result.json).isEmpty)
      #expect(try result.json["error"]?["kind"] == "interrupted")
    }
  }

  /// A file of an earlier run is replaced in every form that it may have; what is none is left alone, and said at once.
  @Test func reportsOfEarlierRunsAreKnown() async throws {
    try await withFiles { folder in
      let path = folder + "/j.xml"
      let declared = "<?xml version=\"1.0\"?><testsuites/>"
      for text in [
        "\u{FEFF}" + declared, "\n\t " + declared, "<testsuite name=\"x\"/>", "\u{FEFF}\r\n<testsuites/>", "", " \n",
      ] {
        try TestData.write(Array(text.utf8), to: path)
        #expect(try shell("$furl verify none.furl --junit j.xml", in: folder).status == 65)
        let document = JUnitSchema(String(decoding: try TestData.bytes(path), as: UTF8.self))
        #expect(document.problems.isEmpty && document.count["error"] == 1, "\(text)")
      }
      for text in ["furl: 1\n", "{}", "test", "<html>", " x<?xml?>"] {
        try TestData.write(Array(text.utf8), to: path)
        let result = try shell("$furl verify none.furl --junit j.xml", in: folder)
        #expect(result.status == 73 && result.errors.contains("is no JUnit file"), "\(result.errors)")
        #expect(try TestData.bytes(path) == Array(text.utf8))
      }
    }
  }

  /// A pipe that nobody reads holds up no end: not by a signal, not by an error.
  @Test func nothingHoldsUpAnEnd() async throws {
    try await withFiles { folder in
      #expect(try shell("$furl compress m --recipe r.yaml -o a.furl", in: folder).status == 0)
      try TestData.write(
        Array("furl: 1\ngates:\n  - {suite: l, metric: exact_match, min: 0.9}\n".utf8), to: folder + "/g.yaml")
      let start = ContinuousClock.now
      let failed = try shell("mkfifo j; $furl verify none.furl --junit j", in: folder)
      #expect(failed.status == 65 && failed.errors == "furl: none.furl: does not exist\n", "\(failed.errors)")
      // Writing the verdict waits for a reader, which a person may not want to.
      let line = """
        set -m
        $furl verify a.furl --gates g.yaml --suite l=l.jsonl --junit j & p=$!
        sleep 8; kill -TERM $p; wait $p; exit $?
        """
      let ended = try shell(line, in: folder)
      #expect(ended.status == 128 + 15 && ended.errors.contains("was ended by SIGTERM"), "\(ended.errors)")
      #expect(ContinuousClock.now - start < .seconds(60))
    }
  }

  @Test func aFullOutputIsAnnotated() async throws {
    try await withFiles { folder in
      let line = "$furl eval --suite l.jsonl --completions c.jsonl --json >/dev/full"
      let result = try shell(line, in: folder, environment: ["GITHUB_ACTIONS": "true"])
      let lines = result.errors.split(separator: "\n")
      #expect(result.status == 74 && lines.count == 2, "\(result.errors)")
      #expect(lines[0].hasPrefix("::error title=furl eval::standard output: cannot be written"))
      // A verdict that is written is a verdict, whoever does not read the words.
      #expect(try shell("$furl compress m --recipe r.yaml -o a.furl", in: folder).status == 0)
      try TestData.write(
        Array("furl: 1\ngates:\n  - {suite: l, metric: exact_match, min: 0.9}\n".utf8), to: folder + "/g.yaml")
      let verified = try shell(
        "$furl verify a.furl --gates g.yaml --suite l=l.jsonl --junit j.xml >/dev/full", in: folder)
      #expect(verified.status == 74)
      let document = JUnitSchema(String(decoding: try TestData.bytes(folder + "/j.xml"), as: UTF8.self))
      #expect(document.count["failure"] == 1 && document.count["error"] == nil, "\(document.count)")
    }
  }

  // MARK: Standard output

  @Test func filesOutliveAReaderWhoGoesAway() async throws {
    try await withFiles { folder in
      let line = "eval --suite l.jsonl --completions c.jsonl --samples s.jsonl"
      for (end, status) in [(" | true; exit ${PIPESTATUS[0]}", 74), (" >&-", 74), (" >/dev/full", 74), ("", 0)]
        as [(String, Int32)]
      {
        unlink(folder + "/s.jsonl")
        // The reader is gone before anything is written.
        let result = try shell("(sleep 0.3; exec $furl \(line))\(end)", in: folder)
        #expect(result.status == status, "\(end) \(result.errors)")
        let lines = try TestData.bytes(folder + "/s.jsonl").split(separator: 10)
        #expect(lines.count == 6)
        for line in lines { _ = try JSON.parse(Array(line), file: nil) }
      }
    }
  }

  /// No file gets the number of a descriptor that was closed, and with it what was meant for a person.
  @Test(arguments: ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- 2>&-"])
  func closedDescriptorsTakeNoFilesPlace(_ closed: String) async throws {
    try await withFiles { folder in
      let whole = try shell("$furl eval --suite l.jsonl --completions c.jsonl --samples s.jsonl", in: folder)
      #expect(whole.status == 0, "\(whole.errors)")
      let samples = try TestData.bytes(folder + "/s.jsonl")
      unlink(folder + "/s.jsonl")
      let result = try shell(
        "$furl eval --suite l.jsonl --completions c.jsonl --samples s.jsonl \(closed)", in: folder)
      #expect(result.status == (closed.contains(" >&-") || closed.hasPrefix(">") ? 74 : 0), "\(result.errors)")
      #expect(try TestData.bytes(folder + "/s.jsonl") == samples)
      let missing = try shell("$furl inspect none \(closed)", in: folder)
      #expect(missing.status == 65)
    }
  }

  // MARK: Shortage

  @Test(arguments: [
    "ulimit -n 5", "ulimit -n 9", "ulimit -n 14", "ulimit -n 20", "ulimit -v 250000", "ulimit -v 400000",
  ])
  func shortagesAreSaid(_ limit: String) async throws {
    try await withFiles { folder in
      for line in [
        "inspect m", "run m --prompt x --max-tokens 2", "compress m --recipe r.yaml -o a.furl",
        "eval --suite l.jsonl --completions c.jsonl",
        "bench m --rounds 1 --repeats 1 --prompt-tokens 2 --decode-tokens 2",
        "verify a.furl",
      ] {
        let result = try shell("\(limit); exec $furl \(line)", in: folder)
        #expect(
          result.status == 69 && result.errors.count { $0 == "\n" } == 1, "\(line) \(result.status) \(result.errors)")
        #expect(result.errors.contains("ulimit"))
      }
      #expect(!FileManager.default.fileExists(atPath: folder + "/a.furl"))
    }
  }

  /// Threads are looked for where there are some that compute, and only as many as are wanted.
  @Test func threadsAreThoseOfTheCommand() async throws {
    try await withFiles { folder in
      let limit = "ulimit -v 1200000; exec $furl"
      let many = try shell("\(limit) run m --prompt x --max-tokens 1 --threads 200", in: folder)
      #expect(many.status == 69 && many.errors.contains("give fewer --threads"), "\(many.errors)")
      let one = try shell("\(limit) run m --prompt x --max-tokens 1 --threads 1", in: folder)
      #expect(one.status == 0, "\(one.errors)")
      for line in ["--version", "--help", "inspect --help"] {
        #expect(try shell("ulimit -v 400000; exec $furl \(line)", in: folder).status == 0)
      }
      #expect(try shell("\(limit) inspect m", in: folder).status == 0)
    }
  }

  // MARK: Files that change

  /// A file that is cut off while it is used ends the command by a signal, and is told of all the same.
  @Test func aFileThatIsCutOffIsADocument() async throws {
    try await withFiles { folder in
      let name = #"a "b" % \c.furl"#
      #expect(try shell("$furl compress m --recipe r.yaml -o a.furl", in: folder).status == 0)
      try FileManager.default.moveItem(atPath: folder + "/a.furl", toPath: folder + "/" + name)
      let rows = (0..<3_000).map { #"{"id": \#($0), "input": "def f\#($0)(a", "gt": "x"}"# }
      try TestData.write(Array((rows.joined(separator: "\n") + "\n").utf8), to: folder + "/many.jsonl")
      try TestData.write(
        Array("furl: 1\nrecipe: x\nstorage: mapped\nsteps:\n  - quantize: {weights: int8}\n".utf8),
        to: folder + "/mapped.yaml")
      #expect(try shell("$furl compress m --recipe mapped.yaml -o b.furl", in: folder).status == 0)
      try FileManager.default.removeItem(atPath: folder + "/" + name)
      try FileManager.default.moveItem(atPath: folder + "/b.furl", toPath: folder + "/" + name)
      let line = #"""
        f='a "b" % \c.furl'
        $furl eval "$f" --suite many.jsonl --json & p=$!
        for i in $(seq 500); do grep -qs 'c.furl' /proc/$p/maps && break; sleep 0.02; done
        sleep 0.3; : > "$f"; wait $p
        """#
      let result = try shell(line, in: folder, environment: ["GITHUB_ACTIONS": "true"])
      #expect(result.status == 65, "\(result.status) \(result.errors)")
      #expect(result.errors.contains("furl: \(name): has become shorter"), "\(result.errors)")
      #expect(result.errors.hasPrefix(#"::error title=furl eval::a "b" %25 \c.furl: has become"#), "\(result.errors)")
      let json = try result.json
      #expect(try JSONSchema("error").problems(json).isEmpty && json["error"]?["file"]?.string == name)
    }
  }

  @Test func aFileThatChangesHasNoVerdict() async throws {
    try await withFiles { folder in
      #expect(try shell("$furl compress m --recipe r.yaml -o a.furl", in: folder).status == 0)
      try writeManyLines(5_000, in: folder)
      // In the place of the file comes another one, which is as sound, while nothing goes on.
      let line = """
        $furl verify a.furl --gates g.yaml --suite many=many.jsonl --complete --junit j.xml & p=$!
        for i in $(seq 500); do grep -qs 'a.furl' /proc/$p/maps && break; sleep 0.02; done
        kill -STOP $p; cp a.furl b.furl; mv b.furl a.furl; kill -CONT $p
        wait $p
        """
      let result = try shell(line, in: folder)
      #expect(result.status == 65 && result.errors.contains("has been replaced while it was used"), "\(result.errors)")
      #expect(JUnitSchema(String(decoding: try TestData.bytes(folder + "/j.xml"), as: UTF8.self)).count["error"] == 1)
    }
  }
}
