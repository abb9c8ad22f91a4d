import FurlBase
import FurlEvaluate
import Foundation
import Synchronization
import Testing

extension ExecutionTests {
  @Suite struct RunnerTests {
    private func children(state: Character? = nil) -> Int {
      let own = "\(getpid())"
      let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      return names.filter { Int($0) != nil }.count { name in
        guard let text = try? String(contentsOfFile: "/proc/\(name)/stat", encoding: .utf8),
          let end = text.lastIndex(of: ")")
        else { return false }
        // Other tests of this process run furl itself.
        guard text[..<end].hasSuffix("(bwrap") || text.contains("(python") else { return false }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 1 && fields[1] == own && (state == nil || fields[0].first == state)
      }
    }

    /// Whether something holds within a minute: other tests of this process run programs meanwhile.
    private func settles(_ condition: () -> Bool) async throws -> Bool {
      for _ in 0..<600 {
        if condition() { return true }
        try await Task.sleep(for: .milliseconds(100))
      }
      return condition()
    }

    /// Pipes and what else is no file: other tests of this process open and close files meanwhile.
    private func descriptors() -> Int {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
      return names.count { name in
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)
        return target.map { !$0.hasPrefix("/") || $0.hasPrefix("/memfd") } ?? false
      }
    }

    /// `FURL_SOAK=1000` runs as many.
    @Test func nothingIsLeftBehind() async throws {
      let count = ProcessInfo.processInfo.environment["FURL_SOAK"].flatMap(Int.init) ?? 30
      let runner = ProgramRunner(sandbox: try Sandbox.detect(), workers: 3)
      let sources = [
        "def f(x): return x + 1", "def f(x): return x", "import os; os._exit(1)", "def f(x): return object()",
        "import os\ndef f(x): [os.write(n, b'x') for n in range(3, 6)]",
        "def f(x): raise ValueError",
      ]
      let programs = (0..<count).map { Fixtures.program(sources[$0 % sources.count]) }
      _ = try await runner.run([programs[0]])
      let before = (children(), descriptors())
      let results = try await runner.run(programs)
      #expect(results.count == count)
      #expect(results.count { $0.outcome == .passed } == (count + 5) / 6)
      #expect(try await settles { children() <= before.0 })
      // One left behind by every program, at least: other tests start programs of their own meanwhile.
      #expect(descriptors() - before.1 < count)
    }

    @Test func submittedProgramsRunWhileOthersAreHandedIn() async throws {
      let runner = ProgramRunner(sandbox: try Sandbox.detect(), workers: 2)
      let tasks = (0..<6).map { runner.submit(Fixtures.program("def f(x): return x + \($0 % 2)")) }
      var outcomes: [Outcome] = []
      for task in tasks { outcomes.append(try await task.value.outcome) }
      #expect(outcomes == [.wrongAnswer, .passed, .wrongAnswer, .passed, .wrongAnswer, .passed])
    }

    @Test func progressIsReported() async throws {
      let seen = Mutex<[Int]>([])
      let programs = (0..<5).map { _ in Fixtures.program("def f(x): return 3") }
      _ = try await ProgramRunner(sandbox: try Sandbox.detect(), workers: 2).run(programs) { count in
        seen.withLock { $0.append(count) }
      }
      #expect(seen.withLock { $0 } == [1, 2, 3, 4, 5])
    }

    @Test func cancellingEndsThePrograms() async throws {
      let runner = ProgramRunner(sandbox: try Sandbox.detect(), workers: 1)
      let start = ContinuousClock.now
      let task = runner.submit(Fixtures.program("while True: pass", timeout: 100))
      let waiting = runner.submit(Fixtures.program("while True: pass", timeout: 100))
      try await Task.sleep(for: .milliseconds(200))
      task.cancel()
      waiting.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      await #expect(throws: CancellationError.self) { try await waiting.value }
      #expect(start.duration(to: .now) < .seconds(30))
      // Sooner than they would have ended by themselves.
      #expect(try await settles { children() == 0 })
    }

    @Test func oneWrongProblemEndsTheRun() async throws {
      var wrong = Fixtures.program("def f(x): return 3")
      wrong.test = "no python"
      let programs = [Fixtures.program("def f(x): return 3"), wrong]
      let runner = ProgramRunner(sandbox: try Sandbox.detect(), workers: 2)
      await #expect(throws: FurlError.self) { _ = try await runner.run(programs) }
    }

    @Test func withoutASandboxTheReportSaysSo() async throws {
      let sandbox = try Sandbox.detect(unsandboxed: true)
      #expect(sandbox.protection.rawValue == "none")
      let runner = ProgramRunner(sandbox: sandbox, workers: 1)
      #expect(try await runner.run(Fixtures.program("def f(x): return x + 1")).outcome == .passed)
      #expect(try await runner.run(Fixtures.program("def f(x): return len(bytearray(8 << 30))")).outcome == .memory)
      #expect(try await runner.run(Fixtures.program("import time; time.sleep(50)", timeout: 0.5)).outcome == .timeout)
      #expect(try await runner.run(Fixtures.program("import os; os._exit(7)")).detail?.contains("status 7") == true)
    }
  }
}
