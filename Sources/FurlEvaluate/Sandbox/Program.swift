/// A program to execute, and the test that decides on it.
public struct Program: Sendable, Hashable {
  public var id: ProblemID
  /// What the problem gives: the test may call its helpers.
  public var prompt: String
  public var entryPoint: String
  public var test: String
  /// The whole program that is judged.
  public var source: String
  /// Seconds that it may take.
  public var timeout: Double
  /// MiB of address space for each of its processes.
  public var memory: Int

  /// The program that a completion makes of a problem's prompt, with the limits of a protocol.
  public init(_ problem: ProgramProblem, completion: String, protocol settings: SuiteProtocol) {
    id = .text(problem.taskID)
    prompt = problem.prompt
    entryPoint = problem.entryPoint
    test = problem.test
    source = settings.prompt(problem.prompt) + completion
    timeout = settings.timeout
    memory = settings.memory
  }
}

/// What the execution of a program came to.
public struct ProgramResult: Sendable, Hashable {
  public var id: ProblemID
  public var outcome: Outcome
  /// The exception's type and message, or what else ended it: one line of at most 200 characters.
  public var detail: String?
  /// From the start of its processes to the verdict.
  public var seconds: Double
}
