import FurlBase

/// The functions that templates call by name: Jinja's and transformers'.
struct TemplateFunctions {
  let run: TemplateRun

  /// - Throws: ``FurlError`` of kind `input`: what the template says itself, too.
  func call(_ name: String, _ call: TemplateCall) throws -> TemplateValue {
    switch name {
    case "range": return try range(call)
    case "raise_exception":
      guard let message = try call.bound(["message"], name, run)[0] else { throw run.error("\(name) needs a text") }
      throw run.error("the template refuses these messages: \(try run.string(message))")
    case "strftime_now":
      guard let form = try call.bound(["format"], name, run)[0]?.string else { throw run.error("\(name) needs a text") }
      try run.pay(form.utf8.count * 10)
      guard let text = run.now.text(form) else {
        throw run.error(
          "strftime_now has a form in \"\(form)\" that is not supported", remedy: "supported: \(ClockTime.forms)")
      }
      return try run.text(text)
    case "namespace":
      let pairs = try pairs(call, name)
      var values: [String: TemplateValue] = [:]
      for (key, value) in pairs {
        guard let key = key.string, !key.hasPrefix("_") else {
          throw run.error("an attribute of a namespace has a name that does not begin with _")
        }
        values[key] = value
      }
      return run.namespace(values)
    case "dict": return try run.mapping(try pairs(call, name))
    default: throw run.error("\(name) is not supported")
    }
  }

  private func pairs(_ call: TemplateCall, _ name: String) throws -> [(TemplateValue, TemplateValue)] {
    guard call.positional.count <= 1 else { throw run.error("\(name) takes one mapping at most") }
    var pairs: [(TemplateValue, TemplateValue)] = []
    switch call.positional.first {
    case nil: break
    case .mapping(let mapping): pairs = mapping.pairs.map { ($0.key, $0.value) }
    case .some(let value):
      pairs = try run.elements(value).map { item in
        let parts = try run.elements(item)
        guard parts.count == 2 else { throw run.error("\(name) needs pairs of keys and values") }
        return (parts[0], parts[1])
      }
    }
    return pairs + call.named.map { (.text($0.name), $0.value) }
  }

  private func range(_ call: TemplateCall) throws -> TemplateValue {
    let numbers = try call.positional.map { value in
      guard let number = value.whole else { throw run.error("range is for integers, not \(value.typeName)") }
      return number
    }
    guard (1...3).contains(numbers.count), call.named.isEmpty else {
      throw run.error("range takes one to three integers")
    }
    let (start, end) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
    let step = numbers.count == 3 ? numbers[2] : 1
    guard step != 0 else { throw run.error("range cannot go in steps of 0") }
    let (distance, isTooFar) = end.subtractingReportingOverflow(start)
    guard !isTooFar, step != .min, distance / step <= TemplateLimits.range else {
      throw run.error("range has more than \(TemplateLimits.range) numbers")
    }
    return try run.list(stride(from: start, to: end, by: step).map { .integer($0) }, kind: .view)
  }
}
