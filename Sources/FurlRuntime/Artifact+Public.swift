public import FurlArtifact

extension Artifact {
  /// Opens a `.furl` file; its weights are not read.
  ///
  /// - Throws: ``FurlError`` of kind `input` that says what is wrong: not an artifact, cut off, damaged, or made by a newer
  ///   Furl.
  public convenience init(contentsOf path: String) throws { try self.init(path: path) }

  /// The digest of what the artifact holds, as 64 hexadecimal digits: the same for the same weights, tokenizer and recipe.
  public var identifier: String { id.hex }

  /// The family of the model: `gpt2`, `qwen3`.
  public var architecture: String { description.architecture }

  /// The recipe that the artifact was made with, as JSON, with all that it left to defaults.
  public var recipeText: String { description.recipe.text }

  /// Reads the whole file and checks every byte against the digests in it.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names the first damage by section and offset.
  public func checkWhole() throws { try check() }
}
