import Foundation
@testable import FurlEvaluate
import Testing

extension ExecutionTests {
  /// When the time of a program counts, and when the lack of it is the machine's fault.
  @Suite struct AllowanceTests {
    /// A text that takes half a second or more to cut down: it is parsed once for every blank line at its end.
    private static func slow(_ body: String) -> String {
      let filler = (0..<300).map { "n\($0) = [\($0), 'a', (1, 2), {3: 4}]\n" }.joined()
      return filler + "def f(x):\n" + body + String(repeating: "\n", count: 200)
    }

    private func run(_ body: String, timeout: Double) async throws -> ProgramResult {
      var program = Fixtures.program(AllowanceTests.slow(body), timeout: timeout)
      program.sanitizes = true
      return try await Fixtures.run(program)
    }

    @Test func timeCountsOnceATextIsCutDown() async throws {
      // What was spent on cutting would have been too much by itself.
      let result = try await run("    return x + 1\n", timeout: 0.2)
      #expect(result.outcome == .passed && result.seconds > 0.3, "\(result)")
      #expect(result.solution == "def f(x):\n    return x + 1")
      // All of the limit is left for the program, and no more than that.
      let busy = "    import time\n    start = time.process_time()\n    while time.process_time() - start < 0.4: pass\n"
      let second = try await run(busy + "    return x + 1\n", timeout: 2)
      #expect(second.outcome == .passed, "\(second)")
      let third = try await run("    while True: pass\n    return x\n", timeout: 0.3)
      #expect(third.outcome == .timeout && third.detail == "not done after 0.3 s of processor time", "\(third)")
    }

    /// Times in seconds: computed, waited for a processor, passed.
    @Test(arguments: [
      (0.3, 0.0, 0.3, false), (0.3, 0.7, 1.0, true), (0.3, 0.09, 0.4, false), (0.5, 0.15, 1.0, false),
      // As many threads as there are processors, and many more: it is its own threads that it waits for.
      (2.0, 0.3, 1.0, false), (1.0, 7.0, 1.0, false), (0.85, 0.5, 1.0, false), (0.75, 0.5, 1.0, true),
    ])
    func aProgramThatWaitsForItselfIsNotHeldUp(computing: Double, waiting: Double, passed: Double, isHeldUp: Bool) {
      let times = ProcessTimes(computing: computing, waiting: waiting)
      #expect(Execution.isHeldUp(times, in: passed) == isHeldUp)
    }

    @Test func manyThreadsOfAProgramAreNotABusyMachine() async throws {
      // Threads that leave Python's lock alone, more than there are processors.
      let count = 2 * ProcessInfo.processInfo.activeProcessorCount + 2
      let result = try await Fixtures.run(
        Fixtures.program(
          """
          import hashlib, threading
          def work():
              while True: hashlib.pbkdf2_hmac('sha256', b'a', b'b', 20000)
          def f(x):
              for _ in range(\(min(count, 24))): threading.Thread(target=work, daemon=True).start()
              work()
          """, timeout: 1))
      #expect(result.outcome == .timeout, "\(result)")
      // Where other programs hold most of the machine it is tried again, which is right as well.
      #expect(!result.wasHeldUp || result.isRetried, "\(result)")
    }
  }
}
