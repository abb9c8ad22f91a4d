import FurlBase

/// The index of a file: everything it says about itself.
struct ArtifactIndex: Sendable, Hashable {
  var formatVersion = Int(Container.formatVersions.lowerBound)
  var storage: ArtifactStorage
  var description: ArtifactDescription
  var tokenizer: TokenizerSection
  /// In the order in which they lie in the file.
  var tensors: [ArtifactTensor]

  /// The digest of what the artifact holds. Another storage, another zstd or other names of the source files
  /// leave it as it is.
  var id: Digest { Digest(of: manifest.canonicalBytes) }

  private var manifest: JSON {
    let members: [JSON.Member] = [
      .init("architecture", .string(description.architecture)),
      .init("config", description.config),
      .init("manifest", 1),
      .init("recipe", description.recipe.json),
      .init("spec", description.spec),
      .init("tensors", .array(tensors.map(\.manifest))),
      .init(
        "tokenizer",
        ["length": .integer(tokenizer.decodedLength), "sha256": .string(tokenizer.decodedDigest.hex)]),
    ]
    return .object(members + description.identityMembers)
  }

  /// The text that the file holds.
  var text: [UInt8] {
    let own: [JSON.Member] = [
      .init("artifact_id", .string(id.hex)),
      .init("format_version", .integer(formatVersion)),
      .init("storage", .string(storage.rawValue)),
      .init("tensors", .array(tensors.map(\.json))),
      .init("tokenizer", tokenizer.json),
    ]
    return JSON.object(own + description.members).canonicalBytes
  }
}
