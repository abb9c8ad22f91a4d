import FurlSpec
package import FurlTensor
package import FurlTokenizer

/// A model in memory with all that running it takes.
package struct LoadedModel: Sendable {
  package let file: ModelFile
  package let model: LanguageModel
  package let tokenizer: Tokenizer
  package let context: ComputeContext
  /// How keys and values are kept; nil for the model's default.
  package let format: KeyValueCache.CacheFormat?

  /// Opens and loads a checkpoint or an artifact.
  ///
  /// - Throws: ``FurlError``.
  package init(path: String, context: ComputeContext, format: KeyValueCache.CacheFormat? = nil) throws {
    try self.init(file: ModelFile(path: path), context: context, format: format)
  }

  /// Loads what has been opened.
  ///
  /// - Throws: ``FurlError``.
  package init(file: ModelFile, context: ComputeContext, format: KeyValueCache.CacheFormat? = nil) throws {
    let (model, tokenizer) = try file.loadAll(pool: context.pool)
    self.init(file: file, model: model, tokenizer: tokenizer, context: context, format: format)
  }

  /// A model that is loaded already.
  package init(
    file: ModelFile, model: LanguageModel, tokenizer: Tokenizer, context: ComputeContext,
    format: KeyValueCache.CacheFormat?
  ) {
    self.file = file
    self.model = model
    self.tokenizer = tokenizer
    self.context = context
    self.format = format
  }

  /// The ids of a text that the model is to read.
  ///
  /// - Throws: ``FurlError`` of kind `input` that names a token without a row in the model's embedding.
  package func encode(_ text: String, bos: Tokenizer.BOS) throws -> [Int] {
    let ids = tokenizer.encode(text, bos: bos)
    try tokenizer.check(ids, rows: model.spec.vocabularySize, file: file.path)
    return ids
  }

  /// A session of its own on the shared weights.
  package func session(slots: Int = 1, contextLength: Int? = nil) throws -> Session {
    try Session(model, context: context, slots: slots, contextLength: contextLength, format: format)
  }
}
