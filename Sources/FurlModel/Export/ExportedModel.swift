import FurlArtifact
package import FurlBase
package import FurlCheckpoint
package import FurlSpec
package import FurlTensor
import FurlTokenizer

/// A checkpoint or an artifact as exports see it.
package struct ExportedModel: ExportSource {
  package let file: ModelFile

  package init(_ file: ModelFile) { self.file = file }

  package var path: String { file.path }
  package var spec: ModelSpec { file.spec }

  package var name: String {
    let ending = [".furl", ".gguf"].first { file.name.hasSuffix($0) && file.name.count > $0.count } ?? ""
    return String(file.name.dropLast(ending.count))
  }

  package var config: JSON {
    switch file {
    case .checkpoint(let checkpoint): checkpoint.config
    case .artifact(let weights): weights.artifact.description.config
    }
  }

  package func numbers(of tensor: TensorSpec) throws -> StoredNumbers {
    switch file {
    case .checkpoint(let checkpoint): return .plain(try checkpoint.source(tensor.name).type)
    case .artifact(let weights):
      guard let found = weights.artifact.tensor(named: tensor.name) else {
        throw FurlError.input(path, tensor.name, "is missing")
      }
      return .packed(found.scheme)
    }
  }

  package func fold(of tensor: TensorSpec) throws -> WeightSource.Fold {
    guard case .checkpoint(let checkpoint) = file else { return .none }
    return try checkpoint.source(tensor.name).fold
  }

  package func weights(of tensor: TensorSpec, pool: WorkerPool) throws -> ExportedWeights {
    switch file {
    case .checkpoint(let checkpoint): return .source(try checkpoint.source(tensor.name))
    case .artifact(let weights):
      return tensor.shape.count == 1
        ? .vector(try weights.vector(tensor)) : .matrix(try weights.matrix(tensor, pool: pool))
    }
  }

  package var files: [MappedFile] {
    switch file {
    case .checkpoint(let checkpoint): checkpoint.weightFiles
    case .artifact(let weights): [weights.artifact.file]
    }
  }

  package func dropPages() {
    switch file {
    case .checkpoint(let checkpoint): checkpoint.dropPages()
    case .artifact(let weights): weights.artifact.dropPages()
    }
  }

  package func papers() throws -> ModelPapers { try file.papers() }

  package func sideFiles() throws -> [SideFile] {
    let papers = try papers()
    if case .checkpoint(let checkpoint) = file, checkpoint.gguf == nil, checkpoint.tokenizerBytes == nil {
      // A folder whose tokenizer is missing or damaged is copied as it is.
      let tokenizer = try? file.tokenizer()
      let limit = max(spec.vocabularySize, tokenizer?.vocabularySize ?? 0)
      let declared = try checkpoint.endTokens(below: limit)
      let ends = tokenizer?.ends ?? declared
      let generation = try checkpoint.generationConfiguration()
      let isSaid = declared.ids == ends.ids
      let hasMoreTemplates = papers.templates.contains { $0.name != ModelPapers.NamedTemplate.usual }
      return try papers.sideFiles
        + ExportedModel.copiedFiles.compactMap { name in
          if hasMoreTemplates, name == "tokenizer_config.json",
            let config = try tokenizerConfiguration(checkpoint, papers)
          {
            return config
          }
          if hasMoreTemplates, name == "chat_template.jinja" { return nil }
          let path = checkpoint.folder + "/" + name
          if name == "generation_config.json", !isSaid {
            return generationConfiguration(ends, bosID: nil, over: generation)
          }
          guard access(path, F_OK) == 0 else { return nil }
          return SideFile(name: name, content: .file(try MappedFile(path: path)))
        }
    }
    let tokenizer = try file.tokenizer()
    func text(_ json: JSON) -> SideFile.SideContent { .bytes(Array((json.prettyText + "\n").utf8)) }
    let configuration = tokenizer.configurationJSON(contextLength: spec.contextLength).members ?? []
    return papers.sideFiles + generation(papers, tokenizer) + papers.templateFile + [
      SideFile(name: "tokenizer.json", content: text(try naming { try tokenizer.tokenizerJSON() })),
      SideFile(name: "tokenizer_config.json", content: text(.object(configuration + papers.tokenizerMembers))),
    ]
  }

  /// `generation_config.json`, byte for byte as it came where it names the ends of texts; none where there was none and the
  /// other files say all of them.
  private func generation(_ papers: ModelPapers, _ tokenizer: Tokenizer) -> [SideFile] {
    let ids = tokenizer.ends.ids
    let settings = papers.generationSettings
    if let text = papers.generation, let settings {
      let named = EndTokens.plainIDs(in: settings)
      let declared = named.isEmpty ? EndTokens.plainIDs(in: config) : named
      if Set(declared + (tokenizer.eosID.map { [$0] } ?? [])) == Set(ids) {
        return [SideFile(name: "generation_config.json", content: .bytes(Array(text.utf8)))]
      }
    }
    let isSaid = ids.isEmpty || (ids.count == 1 && EndTokens.plainIDs(in: config) == ids)
    guard settings != nil || !isSaid else { return [] }
    return [generationConfiguration(tokenizer.ends, bosID: tokenizer.bosID, over: settings)]
  }

  /// `tokenizer_config.json` with all templates, which a folder may have in files by themselves.
  private func tokenizerConfiguration(_ checkpoint: Checkpoint, _ papers: ModelPapers) throws -> SideFile? {
    let path = checkpoint.folder + "/tokenizer_config.json"
    guard access(path, F_OK) == 0 else { return nil }
    let json = try JSON.parse(MappedFile(path: path).readAll(limit: 64 << 20), file: path, dialect: .nonFinite)
    let members = (json.members ?? []).filter { $0.key != "chat_template" } + papers.templateMembers
    return SideFile(
      name: "tokenizer_config.json", content: .bytes(Array((JSON.object(members).prettyText + "\n").utf8)))
  }

  /// A `generation_config.json` with all ends of texts.
  ///
  /// - Parameter generation: what the file has said so far.
  private func generationConfiguration(_ ends: EndTokens, bosID: Int?, over generation: JSON?) -> SideFile {
    var members = generation?.members ?? bosID.map { [JSON.Member("bos_token_id", .integer($0))] } ?? []
    members.removeAll { $0.key == "eos_token_id" }
    let ids = ends.ids
    members.append(JSON.Member("eos_token_id", ids.count == 1 ? .integer(ids[0]) : .array(ids.map(JSON.integer))))
    return SideFile(
      name: "generation_config.json", content: .bytes(Array((JSON.object(members).prettyText + "\n").utf8)))
  }

  /// What a checkpoint has beside its weights and `config.json`.
  private static let copiedFiles = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json",
  ]

  package func vocabulary() throws -> ExportedVocabulary {
    try naming { try file.tokenizer().ggufVocabulary(architecture: spec.architecture, rows: spec.vocabularySize) }
  }

  private func naming<Value>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch var error as FurlError {
      error.file = error.file ?? path
      throw error
    }
  }
}
