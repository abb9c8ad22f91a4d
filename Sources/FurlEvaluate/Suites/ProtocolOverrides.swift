package import FurlBase
import FurlSpec

/// Options of the command that take the place of what a suite card says: `overrides.maxTokens = 64` for any key of a protocol.
@dynamicMemberLookup package struct ProtocolOverrides: Sendable, Hashable {
  /// What is given; other values mean nothing.
  fileprivate var values = SuiteProtocol()
  /// The keys that are given.
  fileprivate var keys: Set<String> = []

  package init() {}

  /// Nil where it is not given.
  package subscript<Value>(dynamicMember path: WritableKeyPath<SuiteProtocol, Value>) -> Value? {
    get { keys.contains(SuiteProtocol.key(path).key) ? values[keyPath: path] : nil }
    set {
      if let newValue { values[keyPath: path] = newValue }
      note(path, isGiven: newValue != nil)
    }
  }

  /// The same of a key that a protocol may leave out.
  package subscript<Value>(dynamicMember path: WritableKeyPath<SuiteProtocol, Value?>) -> Value? {
    get { keys.contains(SuiteProtocol.key(path).key) ? values[keyPath: path] : nil }
    set {
      values[keyPath: path] = newValue
      note(path, isGiven: newValue != nil)
    }
  }

  private mutating func note(_ path: AnyKeyPath, isGiven: Bool) {
    let key = SuiteProtocol.key(path).key
    if isGiven { keys.insert(key) } else { keys.remove(key) }
  }

  /// The names of the keys that are given, as reports list them.
  package var names: [String] { SuiteProtocol.declaration.outline.keys.map(\.key).filter(keys.contains) }
}

extension SuiteProtocol {
  /// What is said of the key that is kept at a place.
  package static func key(_ path: AnyKeyPath) -> KeyOutline {
    guard let field = declaration.field(at: path) else { preconditionFailure("no key of a protocol") }
    return field.outline
  }

  /// A copy with the options in force.
  ///
  /// - Throws: ``FurlError`` of kind `usage` for a value out of range, or one that the kind has no use for.
  package func applying(_ overrides: ProtocolOverrides) throws -> SuiteProtocol {
    var copy = self
    for field in SuiteProtocol.declaration.fields where overrides.keys.contains(field.outline.key) {
      let key = field.outline.key
      guard field.means(self) else {
        throw FurlError(.usage, "the option for \(key) means nothing for a suite of kind \(kind.rawValue)")
      }
      let value = field.value(overrides.values) ?? .null
      if let (least, most) = field.outline.value.bounds, let number = value.number,
        let low = least.number, let high = most.number, !(low...high).contains(number)
      {
        throw FurlError(
          .usage, "\(key) is \(value.compactText)", remedy: "allowed: \(least.compactText) to \(most.compactText)")
      }
      do {
        try field.read(DocumentReader(.object([.init(key, value)]), file: nil), into: &copy)
      } catch let error as FurlError {
        throw FurlError(.usage, "\(key): \(error.problem)", remedy: error.remedy)
      }
    }
    guard copy.draws == 1 || copy.temperature > 0 else {
      throw FurlError(.usage, copy.drawsProblem, remedy: "give a temperature")
    }
    return copy
  }
}
