import FurlSpec
import FurlTensor

/// A `config.json` as the families read it: keys under the names that they ask for.
struct StoredConfiguration {
  private(set) var json: JSON
  /// What a person should know of how it was read.
  private(set) var notes: [String] = []
  private let path: String

  /// - Throws: ``FurlError`` of kind `input`.
  init(path: String) throws {
    json = try JSON.parse(MappedFile(path: path).readAll(limit: 2 << 20), file: path, depthLimit: 100, dialect: .nonFinite)
    self.path = path
    let family = Architectures.all.first { $0.modelType == json["model_type"]?.string }
    try refuseOtherAliases(family?.aliases ?? [:])
    for (alias, key) in family?.aliases ?? [:] { try rename(alias, key) }
  }

  /// transformers would read every key under another name by this mapping.
  private func refuseOtherAliases(_ own: KeyValuePairs<String, String>) throws {
    guard let members = json["attribute_map"]?.members else { return }
    guard members.allSatisfy({ member in own.contains { $0.key == member.key && $0.value == member.value.string } })
    else {
      throw FurlError.input(path, "attribute_map", "gives keys other meanings, which is not supported")
    }
  }

  /// Puts what stands under an alias under the key that it stands for.
  private mutating func rename(_ alias: String, _ key: String) throws {
    guard var members = json.members, let index = members.firstIndex(where: { $0.key == alias }) else { return }
    let value = members.remove(at: index).value
    if value != .null {
      if let other = members.first(where: { $0.key == key })?.value, other != value {
        throw FurlError.input(
          path, alias, "says \(value.compactText.prefix(40)), and \(key) says \(other.compactText.prefix(40))",
          remedy: "both mean the same; leave the right one")
      }
      members.removeAll { $0.key == key }
      members.append(.init(key, value))
    }
    json = .object(members)
  }

  mutating func set(_ key: String, _ value: JSON) {
    json = .object((json.members ?? []).filter { $0.key != key } + [.init(key, value)])
  }

  /// Leaves out what a merge of an adapter into the weights has left: the tensors say that they are plain.
  mutating func dropQuantization() throws {
    let key = "quantization_config"
    guard let members = json.members, let value = json[key] else { return }
    json = .object(members.filter { $0.key != key })
    guard value != .null else { return }
    let method = value["quant_method"]?.string.map { " (\($0.prefix(40)))" } ?? ""
    notes.append("\(key)\(method) of config.json is left over: the weights are plain numbers")
  }
}
