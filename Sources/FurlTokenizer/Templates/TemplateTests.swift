import FurlBase

/// What `is` asks of a value.
///
/// Source: https://jinja.palletsprojects.com/en/stable/templates/#list-of-builtin-tests
struct TemplateTests {
  let run: TemplateRun

  static let names = [
    "boolean", "callable", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan",
    "gt",
    "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence",
    "string", "true", "undefined", "upper",
  ]

  /// - Throws: ``FurlError`` of kind `input` for arguments that a test does not take.
  func holds(_ name: String, of value: TemplateValue, _ call: TemplateCall) throws -> Bool {
    switch name {
    case "eq", "equalto", "ne", "ge", "gt", "greaterthan", "le", "lt", "lessthan", "in", "divisibleby":
      guard let other = try call.bound(["other"], "the test \(name)", run)[0] else {
        throw run.error("the test \(name) needs a value")
      }
      return try compares(name, value, other)
    default:
      _ = try call.bound([], "the test \(name)", run)
      return try plain(name, value)
    }
  }

  private func compares(_ name: String, _ value: TemplateValue, _ other: TemplateValue) throws -> Bool {
    switch name {
    case "eq", "equalto": return try run.equal(value, other)
    case "ne": return try !run.equal(value, other)
    case "gt", "greaterthan": return try run.precedes(other, value)
    case "lt", "lessthan": return try run.precedes(value, other)
    case "ge": return try run.precedes(other, value) || run.equal(value, other)
    case "le": return try run.precedes(value, other) || run.equal(value, other)
    case "in": return try run.contains(other, value)
    default:
      guard let number = value.whole, let by = other.whole, by != 0 else {
        throw run.error("divisibleby is for integers")
      }
      return by == -1 || number % by == 0
    }
  }

  private func plain(_ name: String, _ value: TemplateValue) throws -> Bool {
    switch name {
    case "defined": return !value.isUndefined
    case "undefined": return value.isUndefined
    case "none": return value.isNone
    case "boolean": if case .bool = value { return true }
    case "true": if case .bool(true) = value { return true }
    case "false": if case .bool(false) = value { return true }
    case "integer": if case .integer = value { return true }
    case "float": if case .number = value { return true }
    case "number": return value.real != nil
    case "string": return value.string != nil
    case "mapping": if case .mapping = value { return true }
    case "iterable":
      switch value {
      case .text, .safe, .list, .stream, .mapping, .undefined: return true
      default: return false
      }
    case "sequence":
      switch value {
      case .text, .safe, .mapping, .undefined: return true
      case .list(let list): return list.kind != .view
      default: return false
      }
    case "callable":
      switch value {
      case .macro, .function, .method: return true
      default: return false
      }
    case "even", "odd":
      guard let number = value.whole else { throw run.error("\(name) is for integers, not \(value.typeName)") }
      return (number % 2 == 0) == (name == "even")
    default:
      let text = try run.string(value)
      let hasCase = text.unicodeScalars.contains { $0.properties.isCased }
      return hasCase && (name == "lower" ? text.lowercased() : text.uppercased()).utf8.elementsEqual(text.utf8)
    }
    return false
  }
}
