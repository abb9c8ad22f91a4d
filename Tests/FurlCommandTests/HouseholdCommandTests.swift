import Foundation
import FurlBase
import FurlTestSupport
import Testing

/// doctor, recipes, check, init and cache as a person runs them, and what a terminal shows.
@Suite struct HouseholdCommandTests {
  @Test func doctorLooksAtTheMachine() async throws {
    let result = try await Tool.run("doctor")
    #expect(result.status == 0 && result.errors.isEmpty)
    let names = result.output.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) }
    #expect(names.starts(with: ["furl", "kernels", "threads", "memory", "sandbox", "python"]), "\(names)")
    let json = try await Tool.run("doctor", "--json").json
    #expect(json["findings"]?["furl"]?["facts"]?["version"]?.string == "0.2.0")
    // What a machine cannot do is said there, too.
    let odd = try await Tool.run("doctor", "--json", environment: ["FURL_ISA": "magic"]).json
    #expect(odd["complete"]?.bool == false)
    #expect(odd["findings"]?["kernels"]?["standing"]?.string == "missing")
  }

  @Test func recipesAreListedPrintedAndExplained() async throws {
    let list = try await Tool.run("recipes")
    #expect(list.status == 0 && list.output.contains("| int8 ") && !list.output.contains("minipy-"))
    let printed = try await Tool.run("recipes", "int4")
    #expect(printed.output == String(decoding: try TestData.bytes(TestData.root + "/recipes/int4.yaml"), as: UTF8.self))
    let explained = try await Tool.run("recipes", "gptq4", "--explain")
    #expect(explained.output.contains("method: gptq  # ") && explained.output.contains("samples: 128  # "))
    let json = try await Tool.run("recipes", "--json").json
    #expect(json["recipes"]?.array?.count == list.output.split(separator: "\n").count - 2)
    #expect(try await Tool.run("recipes", "int4", "--json").json["recipe"]?["recipe"]?.string == "int4")
  }

  /// A name and a file of the same recipe give the same bytes.
  @Test func recipesThatShipNeedNoPath() async throws {
    try await TestData.withTemporaryFolder { folder in
      let byName = try await Tool.run("compress", TestData.minipy, "--recipe", "int8", "--output", folder + "/a.furl")
      let byPath = try await Tool.run(
        "compress", TestData.minipy, "--recipe", "recipes/int8.yaml", "--output", folder + "/b.furl")
      #expect(byName.status == 0 && byPath.status == 0, "\(byName.errors)\(byPath.errors)")
      #expect(try TestData.bytes(folder + "/a.furl") == TestData.bytes(folder + "/b.furl"))
    }
  }

  @Test func documentsAreChecked() async throws {
    let result = try await Tool.run("check", "recipes/minipy-int8.yaml", "gates/minipy.yaml")
    #expect(result.status == 0)
    #expect(
      result.output == """
        recipes/minipy-int8.yaml: a right recipe, minipy-int8: 1 step, 2 gates
        gates/minipy.yaml: a right gate file: 2 gates

        """)
    let json = try await Tool.run("check", "sweeps/cuts.yaml", "--json").json
    #expect(json["documents"]?.array?.first?["form"]?.string == "sweep")
  }

  @Test func whatIsDraftedCompressesAndIsVerified() async throws {
    try await TestData.withTemporaryFolder { folder in
      let drafted = try await Tool.run("init", TestData.minipy, "--output", folder + "/mine")
      #expect(drafted.status == 0, "\(drafted.errors)")
      let (recipe, gates) = (folder + "/mine/recipe.yaml", folder + "/mine/gates.yaml")
      #expect(try await Tool.run("check", recipe, gates).status == 0)
      let artifact = folder + "/m.furl"
      #expect(try await Tool.run("compress", TestData.minipy, "--recipe", recipe, "--output", artifact).status == 0)
      let inspected = try await Tool.run("inspect", artifact)
      #expect(inspected.output.contains("minipy") && inspected.output.contains(" bytes (7.0"), "\(inspected.output)")
      // Nothing is written over, unless it is wanted.
      expectOneLine(
        try await Tool.run("init", TestData.minipy, "--output", folder + "/mine"), status: 73, containing: "--force")
      #expect(try await Tool.run("init", TestData.minipy, "--output", folder + "/mine", "--force").status == 0)
      expectOneLine(
        try await Tool.run("init", TestData.root + "/recipes", "--output", folder), status: 65,
        containing: "config.json")
      #expect(!FileManager.default.fileExists(atPath: folder + "/recipe.yaml"))
    }
  }

  @Test func theCacheIsShownAndCleared() async throws {
    try await TestData.withTemporaryFolder { folder in
      let environment = ["FURL_CACHE": folder + "/cache"]
      let none = try await Tool.run("cache", environment: environment)
      #expect(none.status == 0 && none.output.contains("0 B in 0 files"))
      let suite = folder + "/gates.yaml"
      try TestData.write(
        Array("furl: 1\ngates:\n  - {suite: lines, metric: exact_match, max_drop: 0.2}\n".utf8), to: suite)
      let artifact = try await Tool.compress("int8-rows", into: folder)
      let verified = try await Tool.run(
        "verify", artifact, "--gates", suite, "--baseline", TestData.minipy, environment: environment)
      #expect(verified.status == 0, "\(verified.errors)")
      let kept = try await Tool.run("cache", "--json", environment: environment).json
      #expect(kept["kinds"]?.array?.first?["files"]?.integer == 1)
      #expect(try await Tool.run("cache", "--clear", environment: environment).status == 0)
      #expect(try await Tool.run("cache", "--json", environment: environment).json["bytes"]?.integer == 0)
      let off = try await Tool.run("cache", environment: ["FURL_CACHE": "off"])
      #expect(off.status == 0 && off.output.contains("nothing is kept"))
    }
  }

  // MARK: Terminals

  /// What the command writes on a terminal of so many columns.
  private func onTerminal(_ words: [String], columns: Int, environment: [String: String] = [:]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments =
      [
        "-c",
        """
        import fcntl, os, pty, struct, sys, termios
        child, terminal = pty.fork()
        if child == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, \(columns), 0, 0))
            os.execv(sys.argv[1], sys.argv[1:])
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            sys.stdout.buffer.write(part)
        os.waitpid(child, 0)
        """, Tool.path,
      ] + words
    process.currentDirectoryURL = URL(fileURLWithPath: TestData.root)
    var all = ProcessInfo.processInfo.environment.filter { !["COLUMNS", "NO_COLOR"].contains($0.key) }
    all["TERM"] = "xterm"
    for (key, value) in environment { all[key] = value }
    process.environment = all
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: bytes, as: UTF8.self).replacingOccurrences(of: "\r\n", with: "\n")
  }

  @Test(arguments: [["families"], ["recipes"], ["doctor"], ["inspect", "checkpoints/minipy", "--tensors"]])
  func nothingIsWiderThanTheTerminal(_ words: [String]) throws {
    let text = try onTerminal(words, columns: 60, environment: ["NO_COLOR": "1"])
    let lines = text.split(separator: "\n")
    #expect(lines.count > 5)
    for line in lines { #expect(line.count <= 60, "\(line)") }
  }

  @Test func verdictsHaveColoursWhereTheyAreWanted() async throws {
    try await TestData.withTemporaryFolder { folder in
      let artifact = try await Tool.compress("int8-rows", into: folder)
      let gates = folder + "/gates.yaml"
      try TestData.write(
        Array(
          "furl: 1\ngates:\n  - {metric: disk_bytes, max: 8 MB}\n  - {suite: lines, metric: exact_match, min: 0.9}\n"
            .utf8),
        to: gates)
      let words = [
        "verify", artifact, "--gates", gates, "--suite", "lines=checkpoints/minipy/lines.yaml", "--limit", "20",
      ]
      // 20 of 1,000 problems decide nothing.
      let (green, yellow) = ("\u{1B}[1;32mpass\u{1B}[0m", "\u{1B}[1;33minconclusive\u{1B}[0m")
      let painted = try onTerminal(words, columns: 160)
      #expect(painted.contains(green) && painted.contains(yellow), "\(painted)")
      for environment in [["NO_COLOR": "1"], ["TERM": "dumb"]] {
        let plain = try onTerminal(words, columns: 160, environment: environment)
        #expect(plain.contains("pass") && !plain.contains("\u{1B}[1;"), "\(plain)")
      }
      let piped = try await Tool.run(words)
      #expect(piped.output.contains("| pass") && !piped.output.contains("\u{1B}"))
    }
  }

  @Test func withoutATerminalALineComesNowAndThen() async throws {
    let words = ["eval", TestData.minipy, "--suite", "checkpoints/minipy/lines.yaml", "--limit", "60", "--slots", "2"]
    let often = try await Tool.run(words, environment: ["FURL_PROGRESS_SECONDS": "0.01"])
    let lines = often.errors.split(separator: "\n").filter { $0.hasPrefix("furl: lines ") }
    #expect(often.status == 0 && lines.count > 1 && lines.allSatisfy { $0.contains(" of 60, ") }, "\(often.errors)")
    #expect(!often.errors.contains("\u{1B}"))
    for seconds in ["0", "3600"] {
      let quiet = try await Tool.run(words, environment: ["FURL_PROGRESS_SECONDS": seconds])
      #expect(quiet.status == 0 && quiet.errors.isEmpty, "\(quiet.errors)")
    }
  }
}
