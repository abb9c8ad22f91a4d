import FurlBase

/// How a line of a file says what a program is to do.
enum ProgramForm {
  /// HumanEval: `prompt`, `entry_point`, and a `test` that defines `check`.
  case check
  /// HumanEval+ and MBPP+: `prompt`, `entry_point`, `canonical_solution`, `base_input`, `plus_input`, `atol`.
  case inputs
  /// MBPP as published: `text` (or `prompt`), `code`, `test_list`, `test_setup_code` (or `test_imports`).
  case asserts

  init?(_ keys: Set<String>) {
    if keys.isSuperset(of: ["prompt", "entry_point", "canonical_solution", "base_input"]) {
      self = .inputs
    } else if keys.isSuperset(of: ["prompt", "entry_point", "test"]) {
      self = .check
    } else if keys.isSuperset(of: ["code", "test_list"]), keys.contains("text") || keys.contains("prompt") {
      self = .asserts
    } else {
      return nil
    }
  }

  /// - Parameter line: the bytes that the line consists of.
  func problem(_ reader: DocumentReader, line: () -> [UInt8]) throws -> ProgramProblem {
    switch self {
    case .check:
      var problem = ProgramProblem(
        taskID: try reader.filled("task_id", limit: 200), prompt: try reader.filled("prompt"),
        entryPoint: try reader.filled("entry_point", limit: 200), test: try reader.filled("test"))
      problem.solution = reader.optional("canonical_solution")?.string
      return problem
    case .inputs:
      let base = try inputs("base_input", reader)
      let plus = reader.keys.contains("plus_input") ? try inputs("plus_input", reader) : 0
      guard base > 0 else { throw reader.error("base_input", "is empty") }
      if reader.keys.contains("atol") {
        _ = try reader.number("atol", in: 0...1e6)
      }
      return ProgramProblem(
        taskID: try reader.filled("task_id", limit: 200), prompt: try reader.filled("prompt"),
        entryPoint: try reader.filled("entry_point", limit: 200),
        inputs: InputTests(line: line(), solution: try reader.filled("canonical_solution"), hasPlus: plus > 0))
    case .asserts: return try asserts(reader)
    }
  }

  /// How many inputs a key holds: a list of lists of arguments.
  private func inputs(_ key: String, _ reader: DocumentReader) throws -> Int {
    guard let list = try reader.required(key).array, list.allSatisfy({ $0.array != nil }) else {
      throw reader.error(key, "a list of lists of arguments is expected")
    }
    return list.count
  }

  /// The description and the asserts become a prompt as EvalPlus writes them: a text in triple quotes, with the first assert.
  private func asserts(_ reader: DocumentReader) throws -> ProgramProblem {
    guard let id = try reader.problemID("task_id") else { throw reader.error("task_id", "is missing") }
    let tests = try reader.strings("test_list") ?? []
    guard let first = tests.first else { throw reader.error("test_list", "is empty") }
    let setup =
      try reader.keys.contains("test_imports")
      ? (reader.strings("test_imports") ?? []).joined(separator: "\n") : reader.string("test_setup_code") ?? ""
    let text = try reader.filled(reader.keys.contains("text") ? "text" : "prompt")
    guard let name = ProgramForm.calledName(first) else {
      throw reader.error("test_list", "the first test calls no function: \(first.prefix(80))")
    }
    let body = tests.map { "        \(ProgramForm.literal($0)),\n" }.joined()
    let test =
      setup + "\n\ndef check(candidate):\n    for test in (\n\(body)    ):\n        exec(test, globals())\n"
    var problem = ProgramProblem(
      taskID: "\(id)", prompt: "\"\"\"\n\(text)\n\(first)\n\"\"\"\n", entryPoint: name, test: test)
    problem.solution = reader.optional("code")?.string
    problem.namesProgram = true
    return problem
  }

  /// The function that an assert is about: the first name that is called and is no function of Python's that only wraps it.
  static func calledName(_ test: String) -> String? {
    let wrappers: Set = [
      "assert", "set", "list", "tuple", "sorted", "abs", "round", "len", "str", "int", "float", "isclose", "not",
    ]
    var name = ""
    // White space may stand between a name and its parenthesis.
    var hasEnded = false
    for scalar in test.unicodeScalars {
      let isLetter = scalar == "_" || scalar.properties.isAlphabetic
      if isLetter || (!name.isEmpty && !hasEnded && ("0"..."9").contains(scalar)) {
        if hasEnded { name = "" }
        hasEnded = false
        name.unicodeScalars.append(scalar)
      } else if scalar == " " {
        hasEnded = true
      } else {
        if scalar == "(", !name.isEmpty, !wrappers.contains(name) { return name }
        name = ""
        hasEnded = false
      }
    }
    return nil
  }

  /// A text as a literal of Python.
  private static func literal(_ text: String) -> String {
    var literal = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\", "\"": literal += "\\\(scalar)"
      case "\n": literal += "\\n"
      case "\r": literal += "\\r"
      case "\0": literal += "\\0"
      default: literal.unicodeScalars.append(scalar)
      }
    }
    return literal + "\""
  }
}
