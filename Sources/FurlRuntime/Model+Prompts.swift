import FurlBase
public import FurlModel
import FurlTokenizer

extension Model {
  /// Answers a conversation, written as the model's chat template has it, piece by piece as it comes.
  ///
  /// ```swift
  /// let model = try Model(contentsOf: "qwen-int4.furl")
  /// for try await piece in model.chat([ChatMessage(.user, "What does a mutex do?")]) { print(piece, terminator: "") }
  /// ```
  ///
  /// - Parameters:
  ///   - messages: the turns so far, the last of them the one to answer.
  ///   - maxTokens: the most new tokens.
  ///   - sampling: how a token is drawn.
  /// - Returns: pieces of the answer. The stream throws ``FurlError``, of kind `input` where the model has no chat template or the
  ///   template refuses the messages.
  public func chat(
    _ messages: [ChatMessage], maxTokens: Int = 512, sampling: Sampling = .greedy
  ) -> AsyncThrowingStream<String, any Error> {
    stream(maxTokens, [], sampling) {
      var request = ChatRequest(system: nil, question: "")
      request.messages = messages.map(\.json)
      return (try self.loaded.encode(request, now: .now()), self.loaded.tokenizer)
    }
  }

  /// Fills in what stands between two texts, piece by piece as it comes, in the way that the model's tokens tell.
  ///
  /// ```swift
  /// let model = try Model(contentsOf: "starcoder2-int4.furl")
  /// for try await piece in model.infill(before: "def add(a, b):\n    ", after: "\n\nprint(add(1, 2))") {
  ///   print(piece, terminator: "")
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - prefix: the text before the gap.
  ///   - suffix: the text behind it.
  ///   - maxTokens: the most new tokens.
  ///   - stops: texts that end what is filled in; they are not part of it.
  ///   - sampling: how a token is drawn.
  /// - Returns: pieces of what is filled in. The stream throws ``FurlError``, of kind `input` where the model has no tokens for it.
  public func infill(
    before prefix: String, after suffix: String, maxTokens: Int = 128, stops: [String] = [],
    sampling: Sampling = .greedy
  ) -> AsyncThrowingStream<String, any Error> {
    stream(maxTokens, stops, sampling) {
      try self.loaded.encode(InfillPlace(prefix: prefix, suffix: suffix), as: nil)
    }
  }
}
