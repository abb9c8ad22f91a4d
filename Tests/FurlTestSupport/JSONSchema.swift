package import FurlBase

/// Holds JSON documents to the project's schemas: the part of JSON Schema (draft 2020-12) that they use. A keyword that is
/// not known here is an error, so that no rule goes unchecked.
package struct JSONSchema {
  private let documents: [String: JSON]
  private let name: String

  /// Reads all schemas, to hold documents to one of them: `eval`, `verify`, ...
  package init(_ name: String) throws {
    var documents: [String: JSON] = [:]
    for name in ["eval", "bench", "inspect", "verify", "report", "error", "recipe", "suite-card", "gates", "sweep"] {
      let path = TestData.root + "/schemas/\(name).schema.json"
      documents["\(name).schema.json"] = try JSON.parse(TestData.bytes(path), file: path)
    }
    self.documents = documents
    self.name = "\(name).schema.json"
  }

  /// What is wrong with a document, each as `path: problem`; empty when nothing is.
  package func problems(_ document: JSON) -> [String] {
    guard let schema = documents[name] else { return ["no schema \(name)"] }
    return problems(document, schema, in: name, at: "$")
  }

  /// Keywords that say nothing about a document.
  private static let annotations: Set = ["$schema", "$id", "$defs", "title", "description", "default"]

  private func problems(_ value: JSON, _ schema: JSON, in document: String, at path: String) -> [String] {
    guard let members = schema.members else { return ["\(path): a schema that is no object"] }
    return members.flatMap { rule -> [String] in
      if Self.annotations.contains(rule.key) { return [] }
      return check(rule, value, schema, in: document, at: path)
    }
  }

  private func check(
    _ rule: JSON.Member, _ value: JSON, _ schema: JSON, in document: String, at path: String
  ) -> [String] {
    func fails(_ condition: Bool, _ problem: @autoclosure () -> String) -> [String] {
      condition ? ["\(path): \(problem())"] : []
    }
    switch rule.key {
    case "$ref": return refer(rule.value.string ?? "", value, in: document, at: path)
    case "type":
      let types = rule.value.array?.compactMap(\.string) ?? [rule.value.string ?? ""]
      return fails(!types.contains { Self.isOf($0, value) }, "is \(value.kindName), not \(types)")
    case "const": return fails(!Self.equal(value, rule.value), "is not \(rule.value.compactText)")
    case "enum":
      return fails(!(rule.value.array ?? []).contains { Self.equal($0, value) }, "\(value.compactText) is not allowed")
    case "required":
      guard let keys = value.members?.map(\.key) else { return [] }
      return (rule.value.array ?? []).compactMap(\.string).filter { !keys.contains($0) }.map { "\(path): has no \($0)" }
    case "properties":
      return (value.members ?? []).flatMap { member in
        rule.value[member.key].map { problems(member.value, $0, in: document, at: "\(path).\(member.key)") } ?? []
      }
    case "additionalProperties":
      guard rule.value == false else { return ["\(path): unknown form of additionalProperties"] }
      let known = schema["properties"]?.members?.map(\.key) ?? []
      return (value.members ?? []).filter { !known.contains($0.key) }.map { "\(path): \($0.key) is not allowed" }
    case "items":
      return (value.array ?? []).enumerated().flatMap {
        problems($0.element, rule.value, in: document, at: "\(path)[\($0.offset)]")
      }
    case "minItems": return fails((value.array?.count ?? .max) < rule.value.integer ?? 0, "too few items")
    case "maxItems": return fails((value.array?.count ?? 0) > rule.value.integer ?? .max, "too many items")
    case "minLength":
      return fails((value.string?.unicodeScalars.count ?? .max) < rule.value.integer ?? 0, "too short")
    case "minimum": return fails((value.number ?? .infinity) < rule.value.number ?? 0, "is too small")
    case "maximum": return fails((value.number ?? -.infinity) > rule.value.number ?? 0, "is too large")
    case "exclusiveMinimum": return fails((value.number ?? .infinity) <= rule.value.number ?? 0, "is too small")
    case "exclusiveMaximum": return fails((value.number ?? -.infinity) >= rule.value.number ?? 0, "is too large")
    case "pattern":
      guard let text = value.string else { return [] }
      guard let pattern = rule.value.string, let regex = try? Regex(pattern) else {
        return ["\(path): a wrong pattern"]
      }
      return fails(text.firstMatch(of: regex) == nil, "\"\(text)\" does not match \(pattern)")
    case "anyOf", "oneOf":
      let found = (rule.value.array ?? []).map { problems(value, $0, in: document, at: path) }
      let fits = found.count { $0.isEmpty }
      guard fits == 0 || (rule.key == "oneOf" && fits > 1) else { return [] }
      return ["\(path): fits \(fits) of the \(found.count) alternatives"] + (fits == 0 ? found.flatMap { $0 } : [])
    default: return ["\(path): the keyword \(rule.key) is not known to the tests"]
    }
  }

  /// `other.json#/$defs/name`, either part of which may be absent.
  private func refer(_ reference: String, _ value: JSON, in document: String, at path: String) -> [String] {
    let parts = reference.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    let target = parts[0].isEmpty ? document : String(parts[0])
    var schema = documents[target]
    if parts.count > 1 { for key in parts[1].split(separator: "/") { schema = schema?[String(key)] } }
    guard let schema else { return ["\(path): \(reference) leads nowhere"] }
    return problems(value, schema, in: target, at: path)
  }

  private static func isOf(_ type: String, _ value: JSON) -> Bool {
    switch (type, value) {
    case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array), ("object", .object): true
    case ("number", .integer), ("number", .number), ("integer", .integer): true
    case ("integer", .number(let number)): number == number.rounded()
    default: false
    }
  }

  /// Numbers are equal whichever way they are written.
  private static func equal(_ one: JSON, _ other: JSON) -> Bool {
    if let a = one.number, let b = other.number { return a == b }
    return one == other
  }
}
