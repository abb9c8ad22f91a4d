import FurlBase
import Dispatch
import Synchronization

/// Executes programs in a sandbox, a few at a time.
///
/// Each execution waits on a thread of its own and never on one of Swift's shared ones, so a model may generate
/// the next completion meanwhile.
package final class ProgramRunner: Sendable {
  package let sandbox: Sandbox
  /// How many programs run at once.
  package let workers: Int

  private struct RunnerState {
    var running = 0
    /// Those that wait, the next one last.
    var waiting: [@Sendable () -> Void] = []
  }

  private let state = Mutex(RunnerState())
  /// The answers of problems' own solutions, by the digest of the problem's line.
  private let references = Mutex<[Digest: [UInt8]]>([:])
  private let seats = Seats()
  private let queue = DispatchQueue(label: "furl.programs", attributes: .concurrent)

  package init(sandbox: Sandbox, workers: Int) {
    self.sandbox = sandbox
    self.workers = max(1, workers)
  }

  /// Executes one program as soon as a worker is free.
  ///
  /// - Throws: ``FurlError`` of kind `input` when the problem itself is wrong, `unavailable` when the sandbox
  ///   cannot be started; `CancellationError` when the task is cancelled, and then the program is ended.
  package func run(
    _ program: Program, onResult: (@Sendable (ProgramResult) -> Void)? = nil
  ) async throws -> ProgramResult {
    #if os(Linux)
    let flag = StopFlag()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        enqueue {
          let result = Result { try self.execute(program, flag) }
          if let onResult, case .success(let value) = result { onResult(value) }
          continuation.resume(with: result)
        }
      }
    } onCancel: {
      flag.stop()
    }
    #else
    throw FurlError(.unavailable, "generated programs are executed on Linux only")
    #endif
  }

  #if os(Linux)
  /// Executes a program on this thread; once more, with no other beside it, when it was too late because the machine was busy.
  private func execute(_ program: Program, _ flag: StopFlag) throws -> ProgramResult {
    let result = try seats.beside { try self.attempt(program, flag) }
    guard result.wasHeldUp else { return result }
    var second = try seats.alone { try self.attempt(program, flag) }
    second.isRetried = true
    return second
  }

  /// Executes a program, and the problem's own solution before it where nobody has yet.
  private func attempt(_ program: Program, _ flag: StopFlag) throws -> ProgramResult {
    guard let inputs = program.inputs else { return try Execution(sandbox: sandbox, program: program).run(flag).result }
    let answers = try answers(to: inputs, of: program, flag)
    func judged(_ program: Program) throws -> ProgramResult {
      try Execution(sandbox: sandbox, program: program, purpose: .judge(inputs, answers: answers)).run(flag).result
    }
    var result = try judged(program)
    if program.limits.judgesApart, result.plusVerdict == nil, result.outcome == .passed {
      // There are no further inputs.
      result.plusVerdict = InputsVerdict(outcome: .passed)
    } else if program.limits.judgesApart, result.plusVerdict == nil {
      // In processes of their own, whatever became of the first ones.
      var rest = program
      rest.source = result.solution ?? program.source
      rest.sanitizes = program.sanitizes && result.solution == nil
      rest.limits.isPlusAlone = true
      let further = try judged(rest)
      result.plusVerdict = further.plusVerdict
      result.wasHeldUp = result.wasHeldUp || further.wasHeldUp
    }
    return result
  }

  /// What a problem's own solution answers, and how long it takes, as the tester left it.
  private func answers(to inputs: InputTests, of program: Program, _ flag: StopFlag) throws -> [UInt8] {
    if let known = references.withLock({ $0[inputs.digest] }) { return known }
    let ended = try Execution(sandbox: sandbox, program: program.reference(inputs), purpose: .reference(inputs)).run(
      flag)
    let result = ended.result
    guard result.outcome == .passed else {
      throw FurlError.input(
        nil, "problem \(program.id)",
        "its own solution does not answer its inputs: \(result.outcome.rawValue)\(result.detail.map { ", \($0)" } ?? "")",
        remedy: "correct canonical_solution or the inputs in the suite's problem file")
    }
    references.withLock { $0[inputs.digest] = ended.left }
    return ended.left
  }
  #endif

  /// Hands one program in and returns at once: await the task's value for its result. This is how execution
  /// overlaps with generation.
  ///
  /// - Parameter onResult: called with the result on the thread that executed the program.
  package func submit(
    _ program: Program, onResult: (@Sendable (ProgramResult) -> Void)? = nil
  ) -> Task<ProgramResult, any Error> {
    Task { try await run(program, onResult: onResult) }
  }

  /// Executes programs and gives their results in their order.
  ///
  /// - Parameter progress: called with how many are done, after each.
  package func run(
    _ programs: [Program], progress: (@Sendable (Int) -> Void)? = nil
  ) async throws -> [ProgramResult] {
    try await withThrowingTaskGroup(of: (Int, ProgramResult).self) { group in
      var results = [ProgramResult?](repeating: nil, count: programs.count)
      var next = 0
      var done = 0
      func add() {
        guard next < programs.count else { return }
        let index = next
        next += 1
        group.addTask { (index, try await self.run(programs[index])) }
      }
      for _ in 0..<workers { add() }
      while let (index, result) = try await group.next() {
        results[index] = result
        done += 1
        progress?(done)
        add()
      }
      return results.compactMap { $0 }
    }
  }

  private func enqueue(_ job: @escaping @Sendable () -> Void) {
    let starts = state.withLock { state in
      guard state.running < workers else {
        state.waiting.insert(job, at: 0)
        return false
      }
      state.running += 1
      return true
    }
    if starts { queue.async { self.work(job) } }
  }

  /// Does a job and then those that wait.
  private func work(_ first: @Sendable () -> Void) {
    first()
    while let job = state.withLock({ state in
      let job = state.waiting.popLast()
      if job == nil { state.running -= 1 }
      return job
    }) {
      job()
    }
  }
}
