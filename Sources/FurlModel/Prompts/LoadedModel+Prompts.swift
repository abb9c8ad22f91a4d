import FurlBase
import FurlSpec
package import FurlTokenizer

extension LoadedModel {
  /// The ids of a conversation. Its template says itself what begins a text.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  package func encode(_ chat: ChatRequest, now: ClockTime) throws -> [Int] {
    try encode(file.chatText(chat, tokenizer: tokenizer, now: now), bos: .never)
  }

  /// The ids of a gap with what is around it, and the tokenizer with the ends of what fills it.
  ///
  /// - Parameter template: nil: the one whose tokens the model has.
  /// - Throws: ``FurlError`` of kind `input` where the model has no tokens for it.
  package func encode(_ place: InfillPlace, as template: FillInMiddle?) throws -> (ids: [Int], tokenizer: Tokenizer) {
    guard let template = template ?? file.fillInMiddle(tokenizer),
      let ids = template.ids(prefix: place.prefix, suffix: place.suffix, with: tokenizer, bos: .auto)
    else {
      let tokens = template.map { " (\($0.tokens.joined(separator: ", ")))" } ?? ""
      throw FurlError.input(
        file.path, "has no tokens to fill in the middle with\(tokens)", remedy: "give --prompt alone, or another model")
    }
    try tokenizer.check(ids, rows: model.spec.vocabularySize, file: file.path)
    return (ids, template.ending(tokenizer))
  }
}
