#if os(Linux)
import FurlBase
import Synchronization
import SystemPackage

/// Stops executions from another thread.
final class StopFlag: Sendable {
  private let value = Atomic(false)
  func stop() { value.store(true, ordering: .relaxed) }
  var isStopped: Bool { value.load(ordering: .relaxed) }
}

/// One program and its test in two processes that know nothing of each other but a pipe.
struct Execution {
  /// What the program is executed for.
  enum Purpose {
    /// To be judged by its test.
    case check
    /// To answer inputs, so that others are judged by the answers.
    case reference(InputTests)
    /// To be judged by the answers of the problem's own solution, as the tester left them.
    case judge(InputTests, answers: [UInt8])
  }

  let sandbox: Sandbox
  let program: Program
  var purpose = Purpose.check

  /// How long the two processes may take until they run, on a machine that is busy with other work.
  private static let startLimit = 30.0
  /// Milliseconds that a process may take to end after its verdict.
  private static let grace = 100
  /// Milliseconds between looks at a program that is at work, in which it cannot scatter much.
  private static let tick = 10

  /// Blocks the thread until there is a verdict. Nothing of the program runs afterwards.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the problem itself is wrong, `unavailable` when the sandbox
  ///   cannot be started, `CancellationError` when it is stopped.
  func run(_ flag: StopFlag) throws -> EndedProgram {
    // A process that did not come up says nothing about the program; once more, then it is an error.
    for _ in 0..<2 {
      do {
        if let ended = try attempt(flag) { return ended }
      } catch let code as Errno {
        throw systemFailure("a program cannot be executed", code)
      }
    }
    throw FurlError(.unavailable, "the sandbox did not start", remedy: "free memory and processes, and try again")
  }

  /// Nil when the processes did not come up.
  private func attempt(_ flag: StopFlag) throws -> EndedProgram? {
    if flag.isStopped { throw CancellationError() }
    let clock = ContinuousClock()
    let start = clock.now
    var pair = try launch()

    var text: [UInt8] = []
    var deadline = start + .seconds(Execution.startLimit)
    // Where the time that counts begins.
    var begin = start
    var isReady = false
    var hasSanitized = false
    // What was computed before the time that counts.
    var before = 0.0
    var space = sandbox.protection == .none ? nil : AddressSpace(of: pair.candidate.id, memory: program.memory)
    while true {
      if flag.isStopped { throw CancellationError() }
      let left = clock.now.duration(to: deadline)
      // A tick, so that a stop is seen. What is there when the time is up still counts.
      let isLate = left <= .zero
      let milliseconds = isLate ? 0 : min(Execution.tick, Int(left / .milliseconds(1)) + 1)
      guard pair.verdict.isReadable(within: milliseconds) else {
        if isReady, space?.isScattered() == true {
          return EndedProgram(
            result: result(
              InputsVerdict(outcome: .memory, isUnfinished: true), "its memory is in too many pieces",
              Execution.verdict(text).hasBase, start))
        }
        guard isLate else { continue }
        guard isReady else { return nil }
        if let more = moreTime(pair.times, before: before, since: begin) {
          deadline = clock.now + .seconds(more)
          continue
        }
        return EndedProgram(
          result: timeout(Execution.verdict(text).hasBase, pair.times, before: before, since: begin, start))
      }
      let some = try pair.verdict.readSome()
      if some.isEmpty { break }
      text += some
      if let end = text.firstIndex(of: 0) {
        text.removeSubrange(end...)
        // The verdict stands. The process is about to end; if it is not, it is ended.
        _ = pair.verdict.isReadable(within: Execution.grace)
        isReady = true
        break
      }
      if !isReady {
        isReady = true
        begin = clock.now
        deadline =
          clock.now + .seconds(program.sanitizes && program.inputs == nil ? Program.sanitizing : program.deadline)
      }
      if program.inputs == nil, !hasSanitized, text.dropFirst().first == UInt8(ascii: "S") {
        hasSanitized = true
        before = pair.times?.computing ?? 0
        begin = clock.now
        deadline = clock.now + .seconds(program.timeout)
      }
      if text.count > 65_536 { break }
    }
    guard isReady else { return nil }
    let verdict = Execution.verdict(text)
    var result = try judge(verdict.text, hasBase: verdict.hasBase, &pair, start)
    var left: [UInt8] = []
    if case .reference = purpose {
      left = try pair.problem.contents(limit: fileLimit << 20)
    } else if program.sanitizes {
      left = try pair.problem.contents(limit: fileLimit << 20)
      // What is still the problem was not replaced: the program could not be cut down.
      if left != pair.given { result.solution = String(decoding: left, as: UTF8.self) }
    }
    return EndedProgram(result: result, left: left)
  }

  /// What came of an execution.
  struct EndedProgram {
    var result: ProgramResult
    /// What the tester left in the problem's file: a reference's answers, or the text that was cut down.
    var left: [UInt8] = []
  }

  /// MiB that a process may write into a file; what a reference answers may be long.
  private var fileLimit: Int { if case .reference = purpose { 256 } else { 16 } }

  /// What stands after the signs of life, and whether the base inputs were answered well.
  private static func verdict(_ text: [UInt8]) -> (text: String, hasBase: Bool) {
    let rest = text.dropFirst()
    let signs = rest.prefix { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
    return (String(decoding: rest.dropFirst(signs.count), as: UTF8.self), signs.contains(UInt8(ascii: "B")))
  }

  /// Both processes, and where the verdict comes from.
  private struct DescriptorPair: ~Copyable {
    var tester: ChildProcess
    var candidate: ChildProcess
    let verdict: Descriptor
    let problem: Descriptor

    /// Of both, since they were started.
    var times: ProcessTimes? {
      guard let one = ProcessTimes(of: tester.id), let other = ProcessTimes(of: candidate.id) else { return nil }
      return one + other
    }
    /// What the problem's file held first.
    let given: [UInt8]
  }

  /// Seconds that a program which is still at work has left, or nil when its time is up.
  ///
  /// Against a test of its own a program has so much processor time, its test's included, however busy the machine is; of
  /// time that passes it has ten times as much. Inputs have the limits of EvalPlus, which are of time that passes.
  private func moreTime(
    _ times: ProcessTimes?, before: Double, since begin: ContinuousClock.Instant
  ) -> Double? {
    guard program.inputs == nil, let times else { return nil }
    let left = program.timeout - (times.computing - before)
    let wall = max(Execution.leastWall, Execution.wallFactor * program.timeout) - begin.duration(to: .now).inSeconds
    return left > 0.005 && wall > 0 ? min(wall, max(left, 0.02)) : nil
  }

  /// How many times its limit of processor time a program may take of time that passes, and seconds that it may take at least.
  private static let wallFactor = 10.0
  private static let leastWall = 5.0

  private func launch() throws -> DescriptorPair {
    let calls = try Pipe()
    let answers = try Pipe()
    let verdict = try Pipe()
    let nowhere = try Descriptor.nowhere()
    let given = problemBytes
    let problem = try Descriptor.file(given)
    let source = try Descriptor.file(program.sourceBytes)
    var code = sandbox.inputsTester
    if case .check = purpose { code = sandbox.checkTester }
    let tester = try start(
      code, [answers.read.raw, calls.write.raw, verdict.write.raw, problem.raw], isTrusted: true)
    let candidate = try start(sandbox.candidate, [calls.read.raw, answers.write.raw, nowhere.raw, source.raw])
    candidate.goesFirst()
    return DescriptorPair(tester: tester, candidate: candidate, verdict: verdict.read, problem: problem, given: given)
  }

  private var problemBytes: [UInt8] {
    let limits = program.limits
    let settings = [
      "sanitizing:\(program.sanitizes ? Program.sanitizing : 0)",
      "lists:" + (limits.isPlusAlone ? "plus" : limits.hasPlus ? "base,plus" : "base"),
      "load:\(limits.load)", "least:\(limits.input)", "factor:\(limits.factor)", "most:\(program.timeout)",
    ].joined(separator: " ")
    switch purpose {
    case .check:
      let flags = (program.sanitizes ? "s" : "") + (program.namesProgram ? "n" : "")
      return ValueBytes.tuple([program.prompt, program.entryPoint, program.test, flags].map { .text($0) })
    case .reference(let inputs):
      return ValueBytes.tuple([
        .text("reference"), .text(program.entryPoint), .bytes(inputs.line), .bytes([]), .text(settings),
      ])
    case .judge(let inputs, let answers):
      return ValueBytes.tuple([
        .text("judge"), .text(program.entryPoint), .bytes(inputs.line), .bytes(answers), .text(settings),
      ])
    }
  }

  private func start(
    _ code: PythonCode, _ descriptors: [Int32], isTrusted: Bool = false
  ) throws -> ChildProcess {
    let processor = Int(program.deadline.rounded(.up)) + 1
    guard sandbox.protection == .bubblewrapAndFilter, let bytes = SystemCallFilter.bytes else {
      let command = sandbox.tools.command(
        PythonProgram.boot, filter: nil, memory: program.memory, processor: processor, file: fileLimit,
        isTrusted: isTrusted, arguments: code.arguments)
      return try ChildProcess(command, environment: SandboxTools.environment, descriptors: descriptors)
    }
    let filter = try Descriptor.file(bytes)
    let command = sandbox.tools.command(
      PythonProgram.boot, filter: descriptors.count, memory: program.memory, processor: processor, file: fileLimit,
      isTrusted: isTrusted, arguments: code.arguments)
    return try ChildProcess(
      command, environment: SandboxTools.environment, descriptors: descriptors + [filter.raw])
  }

  private func judge(
    _ text: String, hasBase: Bool, _ pair: inout DescriptorPair, _ start: ContinuousClock.Instant
  ) throws -> ProgramResult {
    let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    // Of inputs: the word, the place of the input, and whether it came to no end.
    let words = (parts.first ?? "").split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    let word = words.first ?? ""
    let place = words.count < 3 ? nil : Int(words[1])
    func result(_ outcome: Outcome, _ detail: String, _ start: ContinuousClock.Instant) -> ProgramResult {
      let verdict = InputsVerdict(
        outcome: outcome, input: outcome == .passed ? nil : place.flatMap { $0 < 0 ? nil : $0 },
        isUnfinished: words.count < 3 ? outcome == .timeout : words[2] == "1")
      var ended = self.result(verdict, detail, hasBase, start)
      ended.wasHeldUp = outcome == .timeout && Execution.isHeldUp(ProcessTimes(of: pair.candidate.id), since: start)
      return ended
    }
    let detail = parts.count > 1 ? String(parts[1]) : ""
    if word == "suite" {
      throw FurlError.input(
        nil, "problem \(program.id)", Execution.short(detail), remedy: "correct the suite's problem file")
    }
    guard let outcome = Outcome(rawValue: word) else {
      // The test's own process was ended, by what the program gave it or by a limit.
      let status = pair.tester.exitStatus(within: 1)
      return status == Execution.processorLimit
        ? result(.timeout, "the test used up its processor time", start)
        : result(.error, "the test ended without a verdict\(Execution.words(status))", start)
    }
    guard outcome == .exited else { return result(outcome, detail, start) }
    let status = pair.candidate.exitStatus(within: 1)
    if status == Execution.processorLimit {
      return result(.timeout, "the program used up its processor time", start)
    }
    return result(.exited, detail + Execution.words(status), start)
  }

  /// 128 and SIGXCPU.
  private static let processorLimit: Int32 = 128 + 24

  private static func words(_ status: Int32?) -> String {
    switch status {
    case nil: ""
    case .some(let code) where code > 128: " (signal \(code - 128))"
    case .some(let code): " (exit status \(code))"
    }
  }

  private func timeout(
    _ hasBase: Bool, _ times: ProcessTimes?, before: Double, since begin: ContinuousClock.Instant,
    _ start: ContinuousClock.Instant
  ) -> ProgramResult {
    let isSleeping = program.inputs == nil && (times?.computing ?? .infinity) - before < program.timeout - 0.005
    let limit =
      program.inputs != nil
      ? "\(program.deadline) s"
      : isSleeping
        ? "\(max(Execution.leastWall, Execution.wallFactor * program.timeout)) s"
        : "\(program.timeout) s of processor time"
    var ended = result(
      InputsVerdict(outcome: .timeout, isUnfinished: true), "not done after \(limit)", hasBase, start)
    ended.wasHeldUp = Execution.isHeldUp(times, since: start)
    return ended
  }

  private static func isHeldUp(_ times: ProcessTimes?, since start: ContinuousClock.Instant) -> Bool {
    guard let times else { return false }
    return isHeldUp(times, in: start.duration(to: .now).inSeconds)
  }

  /// Whether a program waited for processors that others had, for a fifth of its time or more.
  ///
  /// One that has more threads than there are processors waits for itself: it held some processor all the time.
  static func isHeldUp(_ times: ProcessTimes, in elapsed: Double) -> Bool {
    times.waiting > max(0.1, 0.2 * elapsed) && times.computing < 0.8 * elapsed
  }

  private func result(
    _ verdict: InputsVerdict, _ detail: String, _ hasBase: Bool, _ start: ContinuousClock.Instant
  ) -> ProgramResult {
    let seconds = start.duration(to: .now) / .seconds(1)
    let detail = Execution.short(detail)
    var ended = ProgramResult(
      id: program.id, outcome: verdict.outcome, solution: nil, detail: detail.isEmpty ? nil : detail, seconds: seconds)
    guard program.inputs != nil else { return ended }
    if program.limits.isPlusAlone {
      ended.plusVerdict = verdict
    } else {
      ended.baseVerdict = hasBase ? InputsVerdict(outcome: .passed) : verdict
      if hasBase, program.limits.hasPlus { ended.plusVerdict = verdict }
    }
    return ended
  }

  /// One line of at most 200 characters.
  private static func short(_ text: String) -> String { String(text.escapingControlCharacters.prefix(200)) }
}

/// Texts and bytes in the form of the value codec.
enum ValueBytes {
  enum ValuePart {
    case text(String)
    case bytes([UInt8])
  }

  static func tuple(_ parts: [ValuePart]) -> [UInt8] {
    var bytes = Array("t\(String(parts.count, radix: 16)):".utf8)
    for part in parts {
      switch part {
      case .text(let text):
        bytes += Array("s\(String(text.utf8.count, radix: 16)):".utf8)
        bytes += Array(text.utf8)
      case .bytes(let some):
        bytes += Array("b\(String(some.count, radix: 16)):".utf8)
        bytes += some
      }
    }
    return bytes
  }
}
#endif
