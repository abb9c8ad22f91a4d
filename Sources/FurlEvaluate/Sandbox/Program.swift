import FurlBase
package import FurlSpec

/// A program to execute, and what decides on it.
package struct Program: Sendable, Hashable {
  package var id: ProblemID
  /// What the problem gives: the test may call its helpers.
  package var prompt: String
  package var entryPoint: String
  /// Python that defines `check`; unused where inputs decide.
  package var test: String
  /// Inputs that decide; nil where a test does.
  package var inputs: InputTests?
  /// The whole program that is judged.
  package var source: String
  /// Whether the source is cut down by ``SuiteProtocol/Sanitizer/evalplus`` first.
  package var sanitizes: Bool
  /// Whether the test may fail by a name that only the program could have defined.
  package var namesProgram: Bool
  /// Seconds of processor time that it may take, its test included; with inputs, seconds for the base ones and the further
  /// ones each.
  package var timeout: Double
  package var limits: InputLimits
  /// MiB of address space for each of its processes.
  package var memory: Int

  /// How long inputs may take.
  package struct InputLimits: Sendable, Hashable {
    /// Seconds for the program's own text.
    package var load: Double
    /// Seconds for one input at least.
    package var input: Double
    /// Times the reference's own time.
    package var factor: Double
    /// Whether the inputs beyond the base ones are put.
    package var hasPlus: Bool
    /// Whether they are put though the base ones were not answered well, so that each list has a verdict of its own.
    package var judgesApart = false
    /// Whether they are put alone.
    var isPlusAlone = false
  }

  /// The program that a completion makes of a problem's prompt, with the limits of a protocol.
  package init(_ problem: ProgramProblem, completion: String, protocol settings: SuiteProtocol) {
    let sanitizes = settings.sanitize == .evalplus
    let text = sanitizes ? Program.untabbed(completion) : completion
    self.init(problem, source: settings.prompt(problem.prompt) + text, protocol: settings)
    self.sanitizes = sanitizes
  }

  /// The program that a completion is or makes.
  init(_ problem: ProgramProblem, _ completion: Completion, protocol settings: SuiteProtocol) {
    if let solution = completion.solution {
      self.init(problem, source: solution, protocol: settings)
    } else {
      self.init(problem, completion: completion.text, protocol: settings)
    }
  }

  /// A whole program for a problem, executed as it stands.
  package init(_ problem: ProgramProblem, source: String, protocol settings: SuiteProtocol) {
    id = .text(problem.taskID)
    prompt = problem.prompt
    entryPoint = problem.entryPoint
    test = problem.test
    inputs = problem.inputs
    self.source = source
    sanitizes = false
    namesProgram = problem.namesProgram
    timeout = settings.timeout
    limits = InputLimits(
      load: settings.loadTimeout, input: settings.inputTimeout, factor: settings.inputFactor,
      hasPlus: settings.tests == .plus && problem.inputs?.hasPlus == true)
    memory = settings.memory
  }

  /// A text whose tabs are four spaces each.
  private static func untabbed(_ text: String) -> String {
    text.split(separator: "\t", omittingEmptySubsequences: false).joined(separator: "    ")
  }

  /// The source as the program's process reads it. Half of a surrogate pair stands there as itself, and Python refuses it.
  var sourceBytes: [UInt8] {
    let bytes = Array(source.utf8)
    guard source.unicodeScalars.contains(JSON.loneSurrogate) else { return bytes }
    return Array(
      bytes.split(separator: 0xEF, omittingEmptySubsequences: false).enumerated().map { place, part in
        guard place > 0 else { return Array(part) }
        // U+FFFF is EF BF BF; U+D800 is ED A0 80.
        return part.starts(with: [0xBF, 0xBF]) ? [0xED, 0xA0, 0x80] + part.dropFirst(2) : [0xEF] + part
      }.joined())
  }

  /// The problem's own solution, to learn the answers from.
  func reference(_ inputs: InputTests) -> Program {
    var program = self
    program.source = prompt + inputs.solution
    program.sanitizes = false
    // The same answers serve every protocol.
    program.limits.hasPlus = inputs.hasPlus
    program.timeout = 120
    program.limits.load = 60
    program.memory = max(memory, 4096)
    return program
  }

  /// Seconds after which nothing is waited for any more.
  var deadline: Double {
    guard inputs != nil else { return timeout + (sanitizes ? Program.sanitizing : 0) }
    let parts = limits.hasPlus ? 2.0 : 1.0
    return (sanitizes ? Program.sanitizing : 0) + parts * (limits.load + timeout + 1) + 5
  }

  /// Seconds that cutting a text down may take.
  static let sanitizing = 20.0
}

/// What the answers to a list of inputs came to.
package struct InputsVerdict: Sendable, Hashable {
  package var outcome: Outcome
  /// The place of the input that decided; nil where all were answered well, or before the first one was put.
  package var input: Int?
  /// Whether it did not come to an end by itself: the program's process was gone, or all the time for the list was up.
  package var isUnfinished = false
}

/// What the execution of a program came to.
package struct ProgramResult: Sendable, Hashable {
  package var id: ProblemID
  package var outcome: Outcome
  /// With inputs: what the base ones alone came to.
  package var base: Outcome? { baseVerdict?.outcome }
  /// With inputs: what each list of them came to. The further ones are put only where the base ones were answered well,
  /// unless they are judged apart.
  package var baseVerdict: InputsVerdict?
  package var plusVerdict: InputsVerdict?
  /// What was executed, where the program was cut down first.
  package var solution: String?
  /// The exception's type and message, or what else ended it: one line of at most 200 characters.
  package var detail: String?
  /// From the start of its processes to the verdict.
  package var seconds: Double
  /// Whether its time was up while it waited for processors that others had.
  package var wasHeldUp = false
  /// Whether this is what came of a second try, alone, after such a first one.
  package var isRetried = false
}
