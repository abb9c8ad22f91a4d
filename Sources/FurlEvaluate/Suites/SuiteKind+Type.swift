package import FurlSpec

extension SuiteKind {
  /// The type that the word stands for.
  package var type: any SuiteType.Type {
    switch self {
    case .passAt1: ProgramSuite.self
    case .lines: LineSuite.self
    case .text: TextSuite.self
    }
  }

  /// All of them. A file that would do for several is of the first.
  package static var types: [any SuiteType.Type] { allCases.map { $0.type } }
}

extension Gate.Metric {
  /// The kind of suite that gives it; nil for what needs no suite.
  package var type: (any SuiteType.Type)? { SuiteKind.types.first { $0.figure(self) != nil } }

  /// What it is as a figure of reports; nil for what needs no suite.
  package var figure: SuiteFigure? { type?.figure(self) }
}
