import FurlBase

/// What a template may cost. All of it is far above what the templates of published models take.
enum TemplateLimits {
  /// Bytes of a template.
  static let source = 1 << 20
  /// How deeply brackets, statements and values may be nested.
  static let nesting = 100
  /// Macros that call each other.
  static let calls = 40
  /// Expressions and statements that wait for the ones in them.
  static let depth = 600
  /// Nodes that are evaluated.
  static let steps = 2_000_000
  /// Bytes of the texts that are made and compared on the way, the rendered one included.
  static let bytes = 64 << 20
  /// Numbers that `range` gives, as Jinja's sandbox.
  static let range = 100_000
}

/// Errors of templates.
enum TemplateFault {
  static func error(_ file: String?, _ line: Int, _ problem: String, remedy: String? = nil) -> FurlError {
    .input(file, "chat template, line \(line)", problem, remedy: remedy)
  }
}

/// An expression of a template.
struct TemplateNode {
  let form: TemplateForm
  let line: Int
  /// How deeply expressions are nested in it.
  let depth: Int
}

/// What an expression does.
indirect enum TemplateForm {
  case constant(TemplateValue)
  case name(String)
  case list([TemplateNode], isTuple: Bool)
  case mapping([(key: TemplateNode, value: TemplateNode)])
  case attribute(TemplateNode, String)
  case item(TemplateNode, TemplateNode)
  case slice(TemplateNode, from: TemplateNode?, to: TemplateNode?, by: TemplateNode?)
  case call(TemplateNode, TemplateArguments)
  /// Without an input: of what a block has rendered.
  case filter(TemplateNode?, String, TemplateArguments)
  case test(TemplateNode, String, TemplateArguments)
  case not(TemplateNode)
  case negated(TemplateNode)
  case positive(TemplateNode)
  case arithmetic(String, TemplateNode, TemplateNode)
  case joined([TemplateNode])
  case and(TemplateNode, TemplateNode)
  case or(TemplateNode, TemplateNode)
  case comparison(TemplateNode, [(sign: String, other: TemplateNode)])
  case choice(TemplateNode, yes: TemplateNode, no: TemplateNode?)

  /// The expressions in it.
  var parts: [TemplateNode] {
    switch self {
    case .constant, .name: []
    case .list(let nodes, _), .joined(let nodes): nodes
    case .mapping(let pairs): pairs.flatMap { [$0.key, $0.value] }
    case .attribute(let node, _), .not(let node), .negated(let node), .positive(let node): [node]
    case .item(let one, let other), .arithmetic(_, let one, let other), .and(let one, let other),
      .or(let one, let other):
      [one, other]
    case .slice(let node, let from, let to, let by): [node] + [from, to, by].compactMap { $0 }
    case .call(let node, let arguments), .test(let node, _, let arguments): [node] + arguments.nodes
    case .filter(let node, _, let arguments): (node.map { [$0] } ?? []) + arguments.nodes
    case .comparison(let node, let others): [node] + others.map(\.other)
    case .choice(let test, let yes, let no): [test, yes] + (no.map { [$0] } ?? [])
    }
  }
}

/// What a call, a filter or a test is given.
struct TemplateArguments {
  var positional: [TemplateNode] = []
  var named: [(name: String, value: TemplateNode)] = []

  var nodes: [TemplateNode] { positional + named.map(\.value) }
}

/// What a value is given to.
indirect enum TemplateTarget {
  case name(String)
  /// An attribute of a namespace.
  case member(String, String)
  case list([TemplateTarget])
}

/// A macro as it is written.
struct TemplateMacro {
  let name: String
  let parameters: [(name: String, assumed: TemplateNode?)]
  let body: [TemplateStatement]
}

/// A `for` as it is written.
struct TemplateLoop {
  let target: TemplateTarget
  let items: TemplateNode
  let condition: TemplateNode?
  let body: [TemplateStatement]
  let otherwise: [TemplateStatement]
}

/// A statement of a template, or text as it stands.
indirect enum TemplateStatement {
  case text(String)
  case print(TemplateNode)
  case branches([(test: TemplateNode, body: [TemplateStatement])], otherwise: [TemplateStatement])
  case loop(TemplateLoop, line: Int)
  case set(TemplateTarget, TemplateNode)
  /// What the body renders, through a filter.
  case capture(TemplateTarget, filter: TemplateNode?, body: [TemplateStatement], line: Int)
  case macro(TemplateMacro)
  case filtered(TemplateNode, body: [TemplateStatement])
  /// A scope of its own, with names for values.
  case scope([(TemplateTarget, TemplateNode)], body: [TemplateStatement])
  case leaveLoop
  case nextRound
}
