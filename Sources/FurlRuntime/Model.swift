import FurlBase
public import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer
import Synchronization

/// A model that is ready to run: an artifact, a checkpoint's folder or a GGUF file.
///
/// ```swift
/// let model = try Model(contentsOf: "minipy-int8.furl")
/// for try await piece in model.generate("def add(a, b):", maxTokens: 64) {
///   print(piece, terminator: "")
/// }
/// ```
///
/// A model may be used from any task. It computes with all of its threads for one call at a time; calls that are made
/// meanwhile wait for their turn. The same call gives the same text, whatever the number of threads.
public final class Model: Sendable {
  let loaded: LoadedModel
  private let turn = Turn()

  /// Opens a model and loads its weights.
  ///
  /// - Parameters:
  ///   - path: of an artifact (`.furl`), a checkpoint's folder or a GGUF file.
  ///   - threads: that compute; nil: one for each core that the process may use.
  ///   - quantizesActivations: whether the inputs of quantized layers are rounded to 8 bits, which is what makes them fast;
  ///     false computes with them in FP32.
  /// - Throws: ``FurlError`` that says what is wrong with the files, or what this machine lacks.
  public init(contentsOf path: String, threads: Int? = nil, quantizesActivations: Bool = true) throws {
    let context = ComputeContext(
      pool: try CommandProcess.pool(chosen: threads), kernels: try Kernels.fromEnvironment(),
      activations: quantizesActivations ? .int8 : .fp32)
    loaded = try LoadedModel(path: path, context: context)
  }

  /// The path that the model was opened at.
  public var path: String { loaded.file.path }

  /// The family of the model, as checkpoints name it: `gpt2`, `qwen3`.
  public var architecture: String { loaded.model.spec.architecture }

  /// The weights of the model, a tied head counted once.
  public var parameterCount: Int { loaded.model.spec.parameterCount }

  /// The most tokens that prompt and completion have together.
  public var contextLength: Int { loaded.model.spec.contextLength }

  /// Rows of the embedding.
  public var vocabularySize: Int { loaded.model.spec.vocabularySize }

  // MARK: Tokens

  /// The tokens of a text, with the token that begins a text where the model's tokenizer adds one.
  ///
  /// - Throws: ``FurlError`` where the tokenizer has a token without a row in the model's embedding.
  public func tokens(of text: String) throws -> [Int] { try loaded.encode(text, bos: .auto) }

  /// The text of tokens; bytes that are no UTF-8 appear as U+FFFD.
  public func text(of tokens: [Int]) -> String { loaded.tokenizer.decode(tokens) }

  // MARK: Texts

  /// Continues a text, piece by piece as it comes.
  ///
  /// Ending the loop, or cancelling the task around it, ends the generation after the pass that is being computed.
  ///
  /// - Parameters:
  ///   - prompt: the text to continue; it must not be empty, and has to fit in the context.
  ///   - maxTokens: the most new tokens.
  ///   - stops: texts that end the completion; they are not part of it.
  ///   - sampling: how a token is drawn; ``Sampling/greedy`` takes the most probable one.
  /// - Returns: pieces of text that are certain; together they are the completion. The stream throws ``FurlError``.
  public func generate(
    _ prompt: String, maxTokens: Int = 128, stops: [String] = [], sampling: Sampling = .greedy
  ) -> AsyncThrowingStream<String, any Error> {
    stream(maxTokens, stops, sampling) { (try self.tokens(of: prompt), self.loaded.tokenizer) }
  }

  /// The pieces of a completion, whose prompt is made when it is its turn.
  func stream(
    _ maxTokens: Int, _ stops: [String], _ sampling: Sampling,
    prompt: @escaping @Sendable () throws -> (ids: [Int], tokenizer: Tokenizer)
  ) -> AsyncThrowingStream<String, any Error> {
    AsyncThrowingStream { continuation in
      let isWanted = Demand()
      continuation.onTermination = { _ in isWanted.end() }
      turn.begin({ (result: Result<Generation, any Error>) in
        switch result {
        case .success: continuation.finish()
        case .failure(let error): continuation.finish(throwing: error)
        }
      }) {
        let (ids, tokenizer) = try prompt()
        return try self.run(
          self.request(ids, maxTokens, stops, sampling), with: tokenizer, while: isWanted
        ) { continuation.yield($0) }
      }
    }
  }

  /// Continues a text to its end.
  ///
  /// - Parameters: those of ``generate(_:maxTokens:stops:sampling:)``.
  /// - Returns: the completion, how many tokens it has, and why it ended.
  /// - Throws: ``FurlError``; `CancellationError` when the task is cancelled.
  public func complete(
    _ prompt: String, maxTokens: Int = 128, stops: [String] = [], sampling: Sampling = .greedy
  ) async throws -> Generation {
    try await complete(tokens: tokens(of: prompt), maxTokens: maxTokens, stops: stops, sampling: sampling)
  }

  /// Continues tokens to the end of a text.
  ///
  /// - Parameters:
  ///   - tokens: the prompt, with whatever begins it: at least one, all of the vocabulary.
  ///   - maxTokens: the most new tokens.
  ///   - stops: texts that end the completion; they are not part of it.
  ///   - sampling: how a token is drawn.
  /// - Returns: the completion, how many tokens it has, and why it ended.
  /// - Throws: ``FurlError``; `CancellationError` when the task is cancelled.
  public func complete(
    tokens: [Int], maxTokens: Int = 128, stops: [String] = [], sampling: Sampling = .greedy
  ) async throws -> Generation {
    let isWanted = Demand()
    return try await withTaskCancellationHandler {
      try await turn.take {
        try self.run(
          self.request(tokens, maxTokens, stops, sampling), with: self.loaded.tokenizer, while: isWanted
        ) { _ in }
      }
    } onCancel: {
      isWanted.end()
    }
  }

  /// How probable the model takes a text to be.
  ///
  /// - Parameter text: of at least two tokens, the one that begins a text included, and at most the context's length.
  /// - Throws: ``FurlError`` of kind `usage` for a text that is too short or too long.
  public func score(_ text: String) async throws -> TextScore { try await score(tokens: tokens(of: text)) }

  /// How probable the model takes tokens to be.
  ///
  /// - Parameter tokens: at least two and at most the context's length, all of the vocabulary.
  /// - Throws: ``FurlError`` of kind `usage`.
  public func score(tokens: [Int]) async throws -> TextScore {
    try check(tokens)
    guard tokens.count > 1, tokens.count <= contextLength else {
      throw FurlError(
        .usage, "the text has \(tokens.count) tokens; 2 to \(contextLength) can be scored",
        remedy: tokens.count > 1 ? "cut it into parts" : "give a longer one")
    }
    return try await turn.take {
      var sum = 0.0
      try Likelihood(self.loaded.session()).forEachPosition(tokens.dropLast()) { position, logits, row in
        sum += Likelihood.logProbabilities(logits[0], row: row)[tokens[position + 1]]
      }
      return TextScore(logLikelihood: sum, tokenCount: tokens.count - 1)
    }
  }

  private func check(_ tokens: [Int]) throws {
    guard let wrong = tokens.first(where: { !(0..<vocabularySize).contains($0) }) else { return }
    throw FurlError(
      .usage, "\(wrong) is no token of this model", remedy: "give numbers of 0 to \(vocabularySize - 1)")
  }

  private func request(
    _ tokens: [Int], _ maxTokens: Int, _ stops: [String], _ sampling: Sampling
  ) throws -> GenerationRequest {
    try check(tokens)
    return GenerationRequest(ids: tokens, maxTokens: maxTokens, stops: stops, sampling: sampling)
  }

  private func run(
    _ request: GenerationRequest, with tokenizer: Tokenizer, while isWanted: Demand, onText: @escaping (String) -> Void
  ) throws -> Generation {
    guard isWanted.holds else { throw CancellationError() }
    var result: Generation?
    try Generator(session: loaded.session(), tokenizer: tokenizer).run(
      [request],
      onText: { _, text in
        guard isWanted.holds else { throw CancellationError() }
        onText(text)
      }, onCompletion: { result = $1 })
    guard let result else { throw FurlError(.defect, "a request has no completion") }
    // What was said so far may not be the model's.
    try loaded.file.checkUnchanged(pool: loaded.context.pool)
    return result
  }
}

/// Whether somebody still waits for a text.
private final class Demand: Sendable {
  private let flag = Atomic(true)
  var holds: Bool { flag.load(ordering: .relaxed) }
  func end() { flag.store(false, ordering: .relaxed) }
}
