/// What a declaration says of a mapping, without the type that it is read into.
package struct DeclarationOutline: Sendable {
  package let name: String
  package let line: String
  package let keys: [KeyOutline]
  /// What has to hold of several keys.
  package let rules: [String]
}

/// What a declaration says of a key.
package struct KeyOutline: Sendable {
  package let key: String
  package let line: String
  package let value: ValueOutline
  /// Where its value is kept.
  let path: any AnyKeyPath & Sendable
  package internal(set) var isRequired = false
  /// What stands where it is not given.
  package internal(set) var standard: JSON?
  /// The same where it depends on other keys.
  package internal(set) var standardWords: String?
  /// Where it means something.
  package internal(set) var conditions: [String] = []
}

/// What a value may be.
package struct ValueOutline: Sendable {
  /// A JSON schema of it.
  package var schema: JSON
  package var unit: String?
  /// The least and the most.
  package var bounds: (least: JSON, most: JSON)?
  /// Whether reading it refuses what is missing.
  var isNeeded = false
  /// The mappings in it.
  package var inner: [DeclarationOutline] = []

  package init(schema: JSON, unit: String? = nil) {
    self.schema = schema
    self.unit = unit
  }

  static func bounds(_ type: String, _ least: JSON, _ most: JSON, _ unit: String?) -> ValueOutline {
    var schema: [JSON.Member] = [.init("type", .string(type))]
    if least != .integer(.min) { schema.append(.init("minimum", least)) }
    if most != .integer(.max) { schema.append(.init("maximum", most)) }
    var outline = ValueOutline(schema: .object(schema), unit: unit)
    outline.bounds = (least, most)
    return outline
  }

  static func document(_ declaration: DeclarationOutline) -> ValueOutline {
    var outline = ValueOutline(schema: ["$ref": .string("#/$defs/\(declaration.name)")])
    outline.inner = [declaration]
    return outline
  }

  static func list(of element: ValueOutline) -> ValueOutline {
    var outline = ValueOutline(schema: ["type": "array", "items": element.schema])
    outline.inner = element.inner
    return outline
  }

  /// Either of several.
  package static func any(of alternatives: [ValueOutline]) -> ValueOutline {
    var outline = ValueOutline(schema: ["anyOf": .array(alternatives.map(\.schema))])
    outline.inner = alternatives.flatMap(\.inner)
    return outline
  }
}

extension DeclarationOutline {
  /// This mapping and those inside of it, each once, in the order in which they are named.
  package var all: [DeclarationOutline] {
    var found = [self]
    for inner in keys.flatMap(\.value.inner).flatMap(\.all) where !found.contains(where: { $0.name == inner.name }) {
      found.append(inner)
    }
    return found
  }

  /// A JSON schema (draft 2020-12) of documents of this form.
  ///
  /// - Parameter file: the schema's own name.
  package func schema(file: String) -> JSON {
    let inner = all.dropFirst().map { JSON.Member($0.name, $0.mapping) }
    return .object(
      [
        .init("$schema", "https://json-schema.org/draft/2020-12/schema"), .init("$id", .string(file)),
        .init("title", .string(name)),
      ] + (mapping.members ?? []) + (inner.isEmpty ? [] : [.init("$defs", .object(inner))]))
  }

  private var mapping: JSON {
    let required = keys.filter { $0.isRequired && $0.conditions.isEmpty }.map { JSON.string($0.key) }
    return .object(
      [.init("description", .string(line)), .init("type", "object")]
        + (required.isEmpty ? [] : [.init("required", .array(required))]) + [
          .init("properties", .object(keys.map { .init($0.key, $0.property) })), .init("additionalProperties", false),
        ])
  }
}

extension KeyOutline {
  fileprivate var property: JSON {
    .object(
      [.init("description", .string(line))] + (value.schema.members ?? [])
        + (standard.map { [.init("default", $0)] } ?? []))
  }
}
