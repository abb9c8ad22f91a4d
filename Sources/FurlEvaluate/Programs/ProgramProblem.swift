package import FurlBase

/// A function to be completed, and what decides whether it was.
package struct ProgramProblem: Sendable, Hashable {
  package var taskID: String
  /// What the function begins with, and what it may call.
  package var prompt: String
  /// The function's name.
  package var entryPoint: String
  /// Python that defines `check(candidate)` (the form of HumanEval); empty where inputs decide.
  package var test: String
  /// Inputs to be answered as the problem's own solution does (the form of HumanEval+ and MBPP+).
  package var inputs: InputTests?
  /// The file's own solution, for people to read: what follows the prompt, or (MBPP) the whole program; nil where it has none.
  package var solution: String?
  /// Whether the test may name what only a program can define (MBPP's classes); it fails then, and the suite is not wrong.
  package var namesProgram = false

  package init(taskID: String, prompt: String, entryPoint: String, test: String) {
    self.taskID = taskID
    self.prompt = prompt
    self.entryPoint = entryPoint
    self.test = test
  }

  package init(taskID: String, prompt: String, entryPoint: String, inputs: InputTests) {
    self.init(taskID: taskID, prompt: prompt, entryPoint: entryPoint, test: "")
    self.inputs = inputs
    solution = inputs.solution
  }
}

/// Inputs to a program, and the solution that knows the answers.
package struct InputTests: Sendable, Hashable {
  /// The problem's line of JSON as it lies: numbers of any size, and the difference of `1` and `1.0`, stay what they are.
  package var line: [UInt8]
  /// Of the line.
  package var digest: Digest
  /// What follows the prompt in the problem's own solution.
  package var solution: String
  /// Whether there are inputs beyond the base ones.
  package var hasPlus: Bool

  package init(line: [UInt8], solution: String, hasPlus: Bool) {
    self.line = line
    digest = Digest(of: line)
    self.solution = solution
    self.hasPlus = hasPlus
  }
}
