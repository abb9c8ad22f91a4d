import FurlBase
import FurlSpec
import FurlTensor
import Synchronization

/// Executes programs as their completions end, while a model may generate the next ones.
struct ProgramScorer {
  private let run: SuiteRun
  private let runner: ProgramRunner
  /// A problem stands here once for each of its completions.
  private let problems: [ProgramProblem]

  init(_ problems: [ProgramProblem], _ run: SuiteRun, _ sandbox: Sandbox) {
    self.run = run
    runner = ProgramRunner(sandbox: sandbox, workers: WorkerPool.availableCores)
    self.problems = problems.flatMap { Array(repeating: $0, count: run.settings.draws) }
  }

  func score() async throws -> Scored {
    let prompts = problems.map { problem in
      let id = ProblemID.text(problem.taskID)
      return CompletionPrompt(id: id, text: problem.prompt, draft: run.options.drafts[id])
    }
    var tasks: [Int: Task<ProgramResult, any Error>] = [:]
    defer { for task in tasks.values { task.cancel() } }
    let ended = Count { [run] in if run.source.isGiven { run.progress($0, prompts.count) } }
    let written = try run.source.complete(prompts, run) { place, completion in
      tasks[place] = submit(completion, of: problems[place], ended)
    }
    let needed = written.kept(run.curtailment?.kept)
    let all = try await values(of: needed.compactMap { tasks[$0.place] })
    // The last programs may have settled it after the last completion.
    _ = try run.curtailment?.isSettled()
    let kept = run.curtailment?.kept
    let judged = zip(needed, all).filter { kept?.contains($1.id) ?? true }
    let (completions, results) = (judged.map(\.0.completion), judged.map(\.1))
    return Scored(
      results: try ProgramSuite.ProgramResults(results, completions, draws: run.settings.draws),
      completions: completions.adding(results), programs: results, speculation: written.speculation,
      notes: try await notes(results, completions))
  }

  private func submit(
    _ completion: Completion, of problem: ProgramProblem, _ ended: Count
  ) -> Task<ProgramResult, any Error> {
    var program = Program(problem, completion, protocol: run.settings)
    program.limits.judgesApart = run.options.judgesApart && run.settings.tests == .plus
    let curtailment = run.curtailment
    return runner.submit(program) { result in
      curtailment?.found(result.id) { _ in result.outcome == .passed ? 1 : 0 }
      ended.add()
    }
  }

  private func values(of tasks: [Task<ProgramResult, any Error>]) async throws -> [ProgramResult] {
    try await withTaskCancellationHandler {
      var results: [ProgramResult] = []
      for task in tasks { results.append(try await task.value) }
      return results
    } onCancel: {
      for task in tasks { task.cancel() }
    }
  }

  /// Of completions from elsewhere it is found out how they were meant.
  private func notes(_ results: [ProgramResult], _ completions: [Completion]) async throws -> [String] {
    run.source.isGiven
      ? try await ProgramNotes.notes(results, run.settings, problems, completions, by: runner)
      : ProgramNotes.notes(results, run.settings)
  }
}

/// Counts what ends on several threads, and tells it one after the other.
private final class Count: Sendable {
  private let count = Mutex(0)
  private let tell: @Sendable (Int) -> Void

  init(tell: @escaping @Sendable (Int) -> Void) { self.tell = tell }

  func add() {
    count.withLock {
      $0 += 1
      tell($0)
    }
  }
}

extension [Completion] {
  /// The same with what was executed in their place, where programs were cut down first.
  fileprivate func adding(_ results: [ProgramResult]) -> [Completion] {
    zip(self, results).map { completion, result in
      var completion = completion
      completion.solution = result.solution ?? completion.solution
      return completion
    }
  }
}
