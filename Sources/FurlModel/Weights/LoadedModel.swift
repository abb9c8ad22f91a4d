import FurlBase
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
  ///
  /// - Parameter drafts: the weights that passes may read instead of the model's.
  package func session(slots: Int = 1, contextLength: Int? = nil, drafts: LanguageModel? = nil) throws -> Session {
    try Session(
      model, context: context, slots: slots, contextLength: contextLength, format: format, drafts: drafts)
  }

  /// Checks that this model can draft for another one: what its ids stand for is the same there.
  ///
  /// - Throws: ``FurlError`` of kind `usage` that names the first token that differs.
  package func checkDrafts(for other: LoadedModel) throws {
    let count = other.tokenizer.vocabularySize
    guard tokenizer.vocabularySize == count, model.spec.vocabularySize >= min(count, other.model.spec.vocabularySize)
    else {
      throw FurlError(
        .usage, file: file.path,
        "has \(min(tokenizer.vocabularySize, model.spec.vocabularySize)) tokens and \(other.file.name) \(count): it cannot "
          + "draft for that", remedy: "use a model that was made from the same checkpoint")
    }
    guard let id = (0..<count).first(where: { tokenizer.piece($0) != other.tokenizer.piece($0) }) else { return }
    throw FurlError(
      .usage, file: file.path,
      "token \(id) is \"\(tokenizer.piece(id))\", and \"\(other.tokenizer.piece(id))\" in \(other.file.name): it cannot "
        + "draft for that", remedy: "use a model that was made from the same checkpoint")
  }

  /// The same with the first planes of codes in two planes alone.
  ///
  /// - Throws: ``FurlError`` of kind `usage` where no codes are in two planes.
  package func inFirstPlanes() throws -> LoadedModel {
    LoadedModel(file: file, model: try firstPlanes(), tokenizer: tokenizer, context: context, format: format)
  }

  /// The model that reads the first planes of this one's codes.
  ///
  /// - Throws: ``FurlError`` of kind `usage` where no codes are in two planes.
  package func firstPlanes() throws -> LanguageModel {
    guard let first = model.firstPlanes else {
      throw FurlError(
        .usage, file: file.path, "has no codes in two planes: no part of it can draft for the whole",
        remedy: "compress with weights: nested8")
    }
    return first
  }
}
