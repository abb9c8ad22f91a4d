import FurlBase

/// A value while a template is rendered: what Python has for it, as far as templates reach.
enum TemplateValue {
  /// What a name or an attribute that is not there gives: nothing as text, false, and an error in most other places.
  case undefined(String)
  case none
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case text(String)
  /// A text that `safe` has marked, which Python joins to others in a way of its own.
  case safe(String)
  case list(TemplateList)
  case stream(TemplateStream)
  case mapping(TemplateMapping)
  case namespace(TemplateNamespace)
  case macro(TemplateClosure)
  case function(String)
  indirect case method(TemplateValue, String)
  case loop(TemplateRounds)

  /// How deeply lists and mappings are nested in it; what a namespace holds is not counted.
  var depth: Int {
    switch self {
    case .list(let list): list.depth
    case .stream(let stream): stream.depth
    case .mapping(let mapping): mapping.depth
    case .method(let receiver, _): receiver.depth + 1
    default: 0
    }
  }

  /// Bytes of the texts in it, and one for every value: what printing or comparing it costs.
  var weight: Int {
    switch self {
    case .text(let text), .safe(let text): text.utf8.count + 1
    case .list(let list): list.weight
    case .stream(let stream): stream.weight
    case .mapping(let mapping): mapping.weight
    default: 1
    }
  }

  /// What Python calls its type.
  var typeName: String {
    switch self {
    case .undefined: "undefined"
    case .none: "none"
    case .bool: "a boolean"
    case .integer: "an integer"
    case .number: "a number"
    case .text, .safe: "a text"
    case .list(let list): list.kind == .tuple ? "a tuple" : "a list"
    case .stream: "the result of a filter"
    case .mapping: "a mapping"
    case .namespace: "a namespace"
    case .macro: "a macro"
    case .function, .method: "a function"
    case .loop: "a loop"
    }
  }

  /// Whether it counts as true.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .number(let value): value != 0
    case .text(let text), .safe(let text): !text.isEmpty
    case .list(let list): !list.items.isEmpty
    case .mapping(let mapping): !mapping.keys.isEmpty
    case .stream, .namespace, .macro, .function, .method, .loop: true
    }
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }
  var isNone: Bool { if case .none = self { true } else { false } }

  /// The text of a text.
  var string: String? {
    switch self {
    case .text(let text), .safe(let text): text
    default: nil
    }
  }

  /// An integer, as Python counts booleans to them.
  var whole: Int? {
    switch self {
    case .bool(let value): value ? 1 : 0
    case .integer(let value): value
    default: nil
    }
  }

  /// A number of any kind.
  var real: Double? {
    if case .number(let value) = self { return value }
    return whole.map(Double.init)
  }

  init(_ json: JSON) {
    switch json {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .number(value)
    case .string(let text): self = .text(text)
    case .array(let elements): self = .list(TemplateList(elements.map(TemplateValue.init)))
    case .object(let members):
      self = .mapping(TemplateMapping(members.map { (.text($0.key), TemplateValue($0.value)) }))
    }
  }
}

/// A text that equals another when it has the same code points: Swift's equal each other when they look alike.
struct ExactText: Hashable {
  let text: String

  static func == (one: ExactText, other: ExactText) -> Bool { one.text.utf8.elementsEqual(other.text.utf8) }

  func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
  }
}

/// A list, a tuple, or what is gone through as one.
struct TemplateList {
  enum ListKind: Equatable {
    case list
    case tuple
    /// Keys, values and items of a mapping, and ranges: neither printed nor written as JSON.
    case view
  }

  let items: [TemplateValue]
  let kind: ListKind
  let depth: Int
  let weight: Int

  init(_ items: [TemplateValue], kind: ListKind = .list) {
    self.items = items
    self.kind = kind
    depth = (items.lazy.map(\.depth).max() ?? 0) + 1
    weight = items.reduce(1) { TemplateList.sum($0, $1.weight) }
  }
}

extension TemplateList {
  /// A sum that stays the largest number where it is larger.
  static func sum(_ one: Int, _ other: Int) -> Int {
    let (sum, isTooLarge) = one.addingReportingOverflow(other)
    return isTooLarge ? .max : sum
  }
}

/// What filters such as `map` give: it can be gone through once.
final class TemplateStream {
  private var items: [TemplateValue]
  let depth: Int
  let weight: Int

  init(_ list: TemplateList) { (items, depth, weight) = (list.items, list.depth, list.weight) }

  func takeAll() -> [TemplateValue] {
    defer { items = [] }
    return items
  }

  func takeFirst() -> TemplateValue? { items.isEmpty ? nil : items.removeFirst() }
}

/// A mapping in the order of its keys.
struct TemplateMapping {
  /// A key as Python compares them: `1`, `1.0` and `true` are one.
  enum MappingKey: Hashable {
    case none
    case text(ExactText)
    case number(Double)

    init?(_ value: TemplateValue) {
      switch value {
      case .none: self = .none
      case .text(let text), .safe(let text): self = .text(ExactText(text: text))
      default:
        guard let number = value.real else { return nil }
        self = .number(number)
      }
    }
  }

  private(set) var keys: [TemplateValue] = []
  private(set) var values: [TemplateValue] = []
  private var places: [MappingKey: Int] = [:]
  private(set) var depth = 1
  private(set) var weight = 1

  init(_ pairs: [(TemplateValue, TemplateValue)] = []) { for (key, value) in pairs { set(key, value) } }

  mutating func set(_ key: TemplateValue, _ value: TemplateValue) {
    guard let found = MappingKey(key) else { return }
    depth = max(depth, value.depth + 1)
    weight = TemplateList.sum(weight, TemplateList.sum(key.weight, value.weight))
    if let place = places[found] { return values[place] = value }
    places[found] = keys.count
    keys.append(key)
    values.append(value)
  }

  subscript(key: TemplateValue) -> TemplateValue? { MappingKey(key).flatMap { places[$0] }.map { values[$0] } }
  subscript(name: String) -> TemplateValue? { places[.text(ExactText(text: name))].map { values[$0] } }

  var pairs: [(key: TemplateValue, value: TemplateValue)] { zip(keys, values).map { ($0, $1) } }
}

/// What `namespace` makes: the one value that changes.
final class TemplateNamespace {
  var values: [String: TemplateValue]

  init(_ values: [String: TemplateValue]) { self.values = values }
}

/// Names and what they stand for, in a loop's round, a macro's call or the whole template.
final class TemplateScope {
  var values: [String: TemplateValue]
  let parent: TemplateScope?

  init(parent: TemplateScope?, values: [String: TemplateValue] = [:]) {
    self.parent = parent
    self.values = values
  }

  func value(_ name: String) -> TemplateValue? {
    var scope: TemplateScope? = self
    while let current = scope {
      if let value = current.values[name] { return value }
      scope = current.parent
    }
    return nil
  }
}

/// A macro with the names around it.
final class TemplateClosure {
  let macro: TemplateMacro
  let scope: TemplateScope

  init(_ macro: TemplateMacro, _ scope: TemplateScope) {
    self.macro = macro
    self.scope = scope
  }
}

/// Where a loop is: `loop` in its body.
final class TemplateRounds {
  let items: [TemplateValue]
  let depth: Int
  var index = 0

  init(_ items: [TemplateValue], depth: Int) {
    self.items = items
    self.depth = depth
  }

  func attribute(_ name: String) -> TemplateValue? {
    switch name {
    case "index": .integer(index + 1)
    case "index0": .integer(index)
    case "revindex": .integer(items.count - index)
    case "revindex0": .integer(items.count - index - 1)
    case "first": .bool(index == 0)
    case "last": .bool(index == items.count - 1)
    case "length": .integer(items.count)
    case "depth": .integer(depth)
    case "depth0": .integer(depth - 1)
    case "previtem": index > 0 ? items[index - 1] : .undefined("there is no previous item")
    case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined("there is no next item")
    default: nil
    }
  }
}
