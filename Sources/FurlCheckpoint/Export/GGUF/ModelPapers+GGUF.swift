import FurlBase
import FurlSpec

extension ModelPapers {
  /// The keys of a GGUF file that say them.
  ///
  /// - Parameter vocabulary: of the same file: special tokens are named by their ids.
  func metadata(_ vocabulary: ExportedVocabulary) -> [GGUFEntry] {
    cardEntries + samplingEntries + templateEntries + tokenEntries(vocabulary)
      + (generation.map { [GGUFEntry(GGUFPapers.generation, .text($0))] } ?? [])
  }

  /// What a GGUF file has no keys for.
  var lostInGGUF: [String] {
    let names = files.map(\.name).joined(separator: ", ")
    return names.isEmpty ? [] : ["GGUF has no place for \(names): pass the text on with the file"]
  }

  private var cardEntries: [GGUFEntry] {
    func fact(_ name: String) -> JSON? { card.first { $0.key == name }?.value }
    var entries: [GGUFEntry] = []
    for (key, name) in GGUFPapers.texts {
      if let text = fact(name)?.texts.first { entries.append(.init(key, .text(text))) }
    }
    for (key, name) in GGUFPapers.lists {
      if let texts = fact(name)?.texts { entries.append(.init(key, .texts(texts))) }
    }
    for name in ModelCard.general {
      if let text = fact(ModelCard.name(name))?.texts.first { entries.append(.init("general." + name, .text(text))) }
    }
    for (stem, name) in [(GGUFPapers.baseModel, "base_model"), ("general.dataset", "datasets")] {
      let found = fact(name)?.texts ?? []
      if found.isEmpty { continue }
      entries.append(.init(stem + ".count", .uint32(UInt32(clamping: found.count))))
      for (number, text) in found.enumerated() { entries += reference("\(stem).\(number).", text) }
    }
    return entries
  }

  /// A model or a data set that the hub calls `organization/name`.
  private func reference(_ stem: String, _ text: String) -> [GGUFEntry] {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    let isAddress = text.contains("://")
    guard parts.count == 2, !isAddress else {
      return [.init(stem + "name", .text(parts.last.map(String.init) ?? text))]
        + (isAddress ? [.init(stem + "repo_url", .text(text))] : [])
    }
    return [
      .init(stem + "name", .text(String(parts[1]))), .init(stem + "organization", .text(String(parts[0]))),
      .init(stem + "repo_url", .text(GGUFPapers.hub + text)),
    ]
  }

  /// Settings of sampling that llama.cpp takes from a file, as its converter writes them.
  private var samplingEntries: [GGUFEntry] {
    guard let settings = generationSettings, settings["do_sample"] != .bool(false) else { return [] }
    func real(_ key: String) -> Float? { settings[key]?.number.map { Float($0) } }
    var entries: [GGUFEntry] = []
    if let count = settings["top_k"]?.integer, let number = Int32(exactly: count) {
      entries.append(.init("general.sampling.top_k", .int32(number)))
    }
    for (key, name) in [
      ("top_p", "top_p"), ("min_p", "min_p"), ("temperature", "temp"), ("repetition_penalty", "penalty_repeat"),
    ] {
      if let number = real(key), number.isFinite { entries.append(.init("general.sampling." + name, .float32(number))) }
    }
    return entries
  }

  private var templateEntries: [GGUFEntry] {
    var entries = template(NamedTemplate.usual).map { [GGUFEntry(GGUFPapers.template, .text($0))] } ?? []
    let more = templates.filter { $0.name != NamedTemplate.usual }
    if !more.isEmpty { entries.append(.init(GGUFPapers.templateNames, .texts(more.map(\.name)))) }
    return entries + more.map { GGUFEntry("\(GGUFPapers.template).\($0.name)", .text($0.text)) }
  }

  private func tokenEntries(_ vocabulary: ExportedVocabulary) -> [GGUFEntry] {
    GGUFPapers.tokenKeys.compactMap { key, role in
      guard let text = specialTokens.first(where: { $0.key == role })?.value.string,
        let id = vocabulary.tokens.firstIndex(where: { $0.utf8.elementsEqual(text.utf8) })
      else { return nil }
      return GGUFEntry("tokenizer.ggml." + key, .uint32(UInt32(clamping: id)))
    }
  }
}
