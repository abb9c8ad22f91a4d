import FurlBase
import FurlSpec

extension ExportedVocabulary {
  /// The same with as many tokens as the model has rows, and the ids that only `config.json` names.
  ///
  /// - Throws: ``FurlError`` of kind `input` for tokens that llama.cpp cannot tell apart.
  func completed(for source: any ExportSource) throws -> ExportedVocabulary {
    var result = self
    let count = source.spec.vocabularySize
    result.leaveOut(from: count)
    var known: Set<[UInt8]> = []
    known.reserveCapacity(count)
    for (id, token) in result.tokens.enumerated() where !known.insert(Array(token.utf8)).inserted {
      throw FurlError.input(source.path, "tokenizer", "the tokens \(id) and another are both \"\(token)\"")
    }
    for id in result.tokens.count..<count {
      result.tokens.append("[PAD\(id)]")
      result.kinds.append(.unused)
      guard known.insert(Array("[PAD\(id)]".utf8)).inserted else {
        throw FurlError.input(source.path, "tokenizer", "the name of the unused id \(id) is taken by a token")
      }
    }
    func configured(_ key: String) -> Int? {
      let value = source.config[key]
      return (value?.integer ?? value?[0]?.integer).flatMap { (0..<count).contains($0) ? $0 : nil }
    }
    result.bosID = result.bosID ?? configured("bos_token_id")
    result.eosID = result.eosID ?? configured("eos_token_id")
    return result
  }

  /// Takes out the tokens that have no row in the model, and their merges: llama.cpp wants as many tokens as rows.
  private mutating func leaveOut(from count: Int) {
    guard tokens.count > count else { return }
    let gone = Set(tokens[count...])
    notes.append(
      "\(tokens.count - count) tokens without a row in the model are left out, the first of them \"\(tokens[count])\": "
        + "llama.cpp takes their text for any other")
    tokens.removeSubrange(count...)
    kinds.removeSubrange(count...)
    scores?.removeSubrange(count...)
    merges.removeAll { merge in
      let ends = merge.split(separator: " ").map(String.init)
      return gone.contains(ends.joined()) || ends.contains(where: gone.contains)
    }
    func kept(_ id: Int?) -> Int? { id.flatMap { $0 < count ? $0 : nil } }
    (bosID, eosID, eotID, eomID, unknownID) = (kept(bosID), kept(eosID), kept(eotID), kept(eomID), kept(unknownID))
    addsBOS = addsBOS && bosID != nil
  }

  var metadata: [GGUFEntry] {
    var entries: [GGUFEntry] = [
      .init("tokenizer.ggml.model", .text(model)), .init("tokenizer.ggml.pre", .text(preTokenizer)),
      .init("tokenizer.ggml.tokens", .texts(tokens)),
    ]
    if let scores { entries.append(.init("tokenizer.ggml.scores", .floats(scores))) }
    entries.append(.init("tokenizer.ggml.token_type", .int32s(kinds.map(\.rawValue))))
    if !merges.isEmpty { entries.append(.init("tokenizer.ggml.merges", .texts(merges))) }
    let ids = [("bos", bosID), ("eos", eosID), ("eot", eotID), ("eom", eomID), ("unknown", unknownID)]
    for (name, id) in ids {
      if let id { entries.append(.init("tokenizer.ggml.\(name)_token_id", .uint32(UInt32(id)))) }
    }
    entries.append(.init("tokenizer.ggml.add_bos_token", .bool(addsBOS)))
    if let addsSpace { entries.append(.init("tokenizer.ggml.add_space_prefix", .bool(addsSpace))) }
    return entries
  }
}
