import FurlBase
import FurlCheckpoint
import FurlModel
package import FurlSpec
package import FurlTokenizer

/// What `inspect` says about a model's tokens: how many there are, which one begins a text, and at which ones it ends.
package struct TextEnds: Sendable {
  /// Nil where the tokenizer cannot be read; `problem` says why.
  package let tokenizer: Tokenizer?
  package let problem: String?
  package let ends: EndTokens
  /// Tokens that have no row in the model.
  package let rowless: Int

  init(_ file: ModelFile) {
    do {
      let tokenizer = try file.tokenizer()
      (self.tokenizer, problem, ends) = (tokenizer, nil, tokenizer.ends)
      rowless = max(0, tokenizer.vocabularySize - file.spec.vocabularySize)
    } catch {
      (tokenizer, rowless) = (nil, 0)
      problem = "\(error)"
      if case .checkpoint(let checkpoint) = file {
        ends = (try? checkpoint.endTokens(below: file.spec.vocabularySize)) ?? EndTokens()
      } else {
        ends = EndTokens()
      }
    }
  }

  var members: [JSON.Member] {
    let tokens: JSON =
      tokenizer.map { ["count": .integer($0.vocabularySize), "without_row": .integer(rowless), "problem": nil] }
      ?? ["count": nil, "without_row": nil, "problem": .optional(problem)]
    let ends: [JSON] = ends.tokens.map { token in
      [
        "id": .integer(token.id), "text": .optional(tokenizer?.piece(token.id)),
        "sources": .array(token.sources.map(JSON.string)),
      ]
    }
    return [.init("tokens", tokens), .init("begin_token", begin), .init("end_tokens", .array(ends))]
  }

  private var begin: JSON {
    guard let tokenizer, let id = tokenizer.bosID else { return .null }
    return [
      "id": .integer(id), "text": .string(tokenizer.piece(id)), "added": .bool(tokenizer.addsBOS),
      "by": .optional(tokenizer.beginsBy),
    ]
  }

  /// The same in words.
  package var lines: [(label: String, text: String)] {
    guard let tokenizer else { return [("tokens", "not readable: \(problem ?? "")")] }
    var lines = [("tokens", "\(tokenizer.vocabularySize)" + (rowless > 0 ? ", \(rowless) of them without a row" : ""))]
    if let id = tokenizer.bosID {
      let by = tokenizer.beginsBy.map { " (\($0))" } ?? ""
      lines.append(
        ("begins with", "\(tokenizer.piece(id)), \(id)\(tokenizer.addsBOS ? "" : ", where it is asked for")" + by))
    }
    for token in ends.tokens {
      lines.append(("ends at", "\(tokenizer.piece(token.id)), \(token.id) (\(token.sources.joined(separator: "; ")))"))
    }
    return lines
  }
}
