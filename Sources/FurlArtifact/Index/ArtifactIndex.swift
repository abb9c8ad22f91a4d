import FurlSpec
import FurlTensor

/// The index of a file: everything it says about itself.
struct ArtifactIndex: Sendable, Hashable {
  var storage: ArtifactStorage
  var description: ArtifactDescription
  var tokenizer: TokenizerSection
  /// In the order in which they lie in the file.
  var tensors: [ArtifactTensor]

  /// The digest of what the artifact holds. Another storage, another zstd or other names of the source files
  /// leave it as it is.
  var id: Digest { Digest(of: manifest.canonicalBytes) }

  private var manifest: JSON {
    [
      "architecture": .string(description.architecture),
      "config": description.config,
      "manifest": 1,
      "recipe": description.recipe.json,
      "spec": description.spec,
      "tensors": .array(tensors.map(\.manifest)),
      "tokenizer": [
        "length": .integer(tokenizer.decodedLength), "sha256": .string(tokenizer.decodedDigest.hex),
      ],
    ]
  }

  /// The text that the file holds.
  var text: [UInt8] {
    let own: [JSON.Member] = [
      .init("artifact_id", .string(id.hex)),
      .init("format_version", .integer(Int(Container.formatVersion))),
      .init("storage", .string(storage.rawValue)),
      .init("tensors", .array(tensors.map(\.json))),
      .init("tokenizer", tokenizer.json),
    ]
    return JSON.object(own + description.members).canonicalBytes
  }
}
