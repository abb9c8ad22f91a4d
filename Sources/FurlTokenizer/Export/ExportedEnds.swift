import FurlSpec

/// The keys under which a GGUF file says where a text ends. There are three; llama.cpp takes tokens of well-known names for
/// ends without a key.
struct ExportedEnds {
  private let ids: [Int]
  private let parts: TokenizerParts
  /// Those that llama.cpp finds by itself.
  private let found: [Int]

  /// - Parameter rows: tokens from this id on are not written.
  init(_ ids: [Int], of parts: TokenizerParts, rows: Int) {
    self.ids = ids
    self.parts = parts
    let vocabulary = parts.vocabulary
    found =
      GGUFEnds.ends(count: min(vocabulary.count, rows), given: [:]) { id in
        vocabulary.kinds[id].contains(.present) ? vocabulary.spelling(id) : nil
      }.ids
  }

  func write(to vocabulary: inout ExportedVocabulary) {
    let eos = parts.eosID.flatMap { ids.contains($0) ? $0 : nil } ?? ids.first
    vocabulary.eosID = eos
    var rest = ids.filter { $0 != eos }
    if let id = rest.first(where: { text($0) == "<|eom_id|>" }) {
      vocabulary.eomID = id
      rest.removeAll { $0 == id }
    }
    // The ones that need a key come first.
    rest = rest.filter { !found.contains($0) } + rest.filter { found.contains($0) }
    vocabulary.eotID = rest.first
    if let id = rest.dropFirst().first, vocabulary.eomID == nil, !found.contains(id) { vocabulary.eomID = id }
    let keyed = [eos, vocabulary.eotID, vocabulary.eomID]
    let lost = rest.filter { !keyed.contains($0) && !found.contains($0) }
    if !lost.isEmpty {
      vocabulary.notes.append("llama.cpp has no key for more ends of texts: it goes on behind \(names(lost))")
    }
    let more = found.filter { !ids.contains($0) }
    if !more.isEmpty { vocabulary.notes.append("llama.cpp ends texts at \(names(more)), too, because of their names") }
  }

  private func text(_ id: Int) -> String {
    id < parts.vocabulary.count && parts.vocabulary.kinds[id].contains(.present) ? parts.vocabulary.spelling(id) : ""
  }

  private func names(_ ids: [Int]) -> String { ids.map { "\($0) (\(text($0)))" }.joined(separator: ", ") }
}
