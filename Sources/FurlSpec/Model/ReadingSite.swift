import FurlBase

/// A place in a block where linear layers read.
public struct ReadingSite: Sendable, Hashable {
  /// The stage, by its number in the block.
  public let stage: Int
  /// Where the part of that number has what its last layers read; nil: behind the stage's norm, where the first layers of
  /// all its parts read.
  public let part: Int?

  public init(stage: Int, part: Int? = nil) {
    self.stage = stage
    self.part = part
  }
}

extension ModelSpec {
  /// The places of a block in the order in which they are computed.
  public func sites(of block: Int) -> [ReadingSite] {
    stages(of: block).enumerated().flatMap { index, stage in
      [ReadingSite(stage: index)] + stage.parts.indices.map { ReadingSite(stage: index, part: $0) }
    }
  }

  /// The layers of a block that read at one of its places.
  public func readers(of site: ReadingSite, in block: Int) -> [LinearSpec] {
    let parts = stages(of: block)[site.stage].parts
    guard let part = site.part else { return parts.flatMap { $0.inputs(hidden: hiddenSize) } }
    return parts[part].outputs(hidden: hiddenSize)
  }

  /// What a place lies behind; nil behind a norm.
  public func mixer(before site: ReadingSite, in block: Int) -> MixerSpec? {
    site.part.map { stages(of: block)[site.stage].parts[$0].mixer }
  }

  /// The names of the norms that a block's stages read the stream through.
  ///
  /// - Throws: ``FurlError`` of kind `defect` for a stage that reads the stream as it is: nothing computes one yet.
  public func normNames(of block: Int) throws -> [String] {
    try stages(of: block).map { stage in
      let name = "blocks.\(block).\(stage.normName)"
      guard stage.norm != nil else { throw FurlError(.defect, place: name, "is no norm of this model") }
      return name
    }
  }
}
