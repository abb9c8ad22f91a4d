import FurlBase

/// A place in a block where linear layers read.
package struct ReadingSite: Sendable, Hashable {
  /// What lies there.
  package enum Place: Sendable, Hashable {
    /// Behind the stage's norm, where the first layers of all its parts read.
    case norm
    /// What layers of a part read that other layers of it have made: behind a norm of its own.
    case latent(part: Int, Latent)
    /// The tokens' embeddings, as the first block gets them.
    case embedding(part: Int)
    /// Tables of a part that are looked up by tokens: nothing is read there.
    case table(part: Int)
    /// Behind a norm of its own, where a router reads the stream.
    case router(part: Int)
    /// What the last layer of a part reads; of experts, of the shared one.
    case output(part: Int)
    /// Behind the stage's norm, the rows that go through one expert.
    case expertInput(part: Int, expert: Int)
    /// What the last layer of one expert reads.
    case expertOutput(part: Int, expert: Int)
  }

  /// What latent attention makes on the way.
  package enum Latent: Sendable, Hashable, CaseIterable {
    /// What queries are made from.
    case queries
    /// What keys and values are made from.
    case keysAndValues
  }

  /// The stage, by its number in the block.
  package let stage: Int
  package let place: Place

  package init(stage: Int, _ place: Place) {
    self.stage = stage
    self.place = place
  }

  /// The place behind a stage's norm, or of what the last layer of a part reads.
  package init(stage: Int, part: Int? = nil) { self.init(stage: stage, part.map { .output(part: $0) } ?? .norm) }

  /// The part that it belongs to; nil behind a stage's norm.
  package var part: Int? {
    switch place {
    case .norm: nil
    case .latent(let part, _), .output(let part), .embedding(let part), .table(let part): part
    case .router(let part): part
    case .expertInput(let part, _), .expertOutput(let part, _): part
    }
  }

  /// The expert whose rows are read; nil: all rows are.
  package var expert: Int? {
    switch place {
    case .norm, .latent, .output, .embedding, .table, .router: nil
    case .expertInput(_, let expert), .expertOutput(_, let expert): expert
    }
  }
}

extension ModelSpec {
  /// The places of a block in the order in which they are computed.
  package func sites(of block: Int) -> [ReadingSite] {
    stages(of: block).enumerated().flatMap { index, stage in
      [ReadingSite(stage: index, .norm)]
        + stage.parts.enumerated().flatMap { part, spec -> [ReadingSite] in
          if case .tokenInput = spec.mixer {
            let places: [ReadingSite.Place] = [.embedding(part: part), .table(part: part), .output(part: part)]
            return places.map { ReadingSite(stage: index, $0) }
          }
          guard case .experts(let experts) = spec.mixer else {
            let latents = ReadingSite.Latent.allCases.filter { !spec.inner($0).isEmpty }
            return latents.map { ReadingSite(stage: index, .latent(part: part, $0)) }
              + [ReadingSite(stage: index, .output(part: part))]
          }
          let router = experts.ownNorms == nil ? [] : [ReadingSite(stage: index, .router(part: part))]
          return router
            + (0..<experts.count).flatMap { expert in
              [
                ReadingSite(stage: index, .expertInput(part: part, expert: expert)),
                ReadingSite(stage: index, .expertOutput(part: part, expert: expert)),
              ]
            } + (experts.shared == nil ? [] : [ReadingSite(stage: index, .output(part: part))])
        }
    }
  }

  /// The layers of a block that read at one of its places.
  package func readers(of site: ReadingSite, in block: Int) -> [LinearSpec] {
    let parts = stages(of: block)[site.stage].parts
    switch site.place {
    case .norm: return parts.flatMap { $0.inputs(hidden: hiddenSize) }.filter { $0.expert == nil }
    case .latent(let part, let latent): return parts[part].inner(latent)
    case .embedding(let part): return parts[part].embeddingReaders(hidden: hiddenSize)
    case .router(let part): return parts[part].ownRouter(hidden: hiddenSize)
    case .table(let part): return parts[part].tables(vocabulary: vocabularySize)
    case .output(let part): return parts[part].outputs(hidden: hiddenSize).filter { $0.expert == nil }
    case .expertInput(let part, let expert):
      return parts[part].inputs(hidden: hiddenSize).filter { $0.expert == expert }
    case .expertOutput(let part, let expert):
      return parts[part].outputs(hidden: hiddenSize).filter { $0.expert == expert }
    }
  }

  /// What a place lies behind; nil behind a norm.
  package func mixer(before site: ReadingSite, in block: Int) -> MixerSpec? {
    let parts = stages(of: block)[site.stage].parts
    switch site.place {
    case .norm, .latent, .expertInput, .embedding, .table, .router: return nil
    case .output(let part):
      if case .experts(let experts) = parts[part].mixer { return experts.shared.map(MixerSpec.feedForward) }
      return parts[part].mixer
    case .expertOutput(let part, _):
      guard case .experts(let experts) = parts[part].mixer else { return nil }
      return .feedForward(experts.expert)
    }
  }

  /// The names of the norms that a block's stages read the stream through; nil for a stage that reads it as it is.
  package func normNames(of block: Int) -> [String?] {
    stages(of: block).map { stage in stage.norm == nil ? nil : "blocks.\(block).\(stage.normName)" }
  }
}
