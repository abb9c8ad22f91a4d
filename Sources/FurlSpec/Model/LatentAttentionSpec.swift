import FurlBase
import FurlTensor

/// Attention whose keys and values are made from one short vector of each row (multi-head latent attention; DeepSeek-V2,
/// 2024, https://arxiv.org/abs/2405.04434), and perhaps its queries from another.
///
/// A part of each query and key is turned by its position and comes first in a head; that of the keys is the same for all
/// heads.
package struct LatentAttentionSpec: Sendable, Hashable {
  package var heads: Int
  /// Numbers of a head's queries and keys that are turned.
  package var turnedSize: Int
  /// Those that are not.
  package var plainSize: Int
  /// Numbers of a head's values.
  package var valueSize: Int
  /// Numbers of what queries are made from; nil: they are made from the stage's input.
  package var queryRank: Int?
  /// Numbers of what keys and values are made from.
  package var rank: Int
  package var rotary: ModelSpec.Rotary
  /// What products of queries and keys are multiplied with; nil: one over the square root of their size.
  package var scale: Double?
  /// Over what queries, and keys and values, are made from.
  package var norm: NormSpec
  /// Roles whose layers have a bias.
  package var biases: Set<TensorRole>

  /// The roles of all its layers.
  static let roles: Set<TensorRole> = [
    .queryLatent, .query, .latent, .sharedKey, .key, .value, .attentionOutput,
  ]

  /// Those of the layers that read the residual stream or write to it.
  var outerRoles: Set<TensorRole> {
    [queryRank == nil ? .query : .queryLatent, .latent, .sharedKey, .attentionOutput]
  }

  package init(
    heads: Int, turnedSize: Int, plainSize: Int, valueSize: Int, queryRank: Int?, rank: Int,
    rotary: ModelSpec.Rotary, norm: NormSpec
  ) {
    self.heads = heads
    self.turnedSize = turnedSize
    self.plainSize = plainSize
    self.valueSize = valueSize
    self.queryRank = queryRank
    self.rank = rank
    self.rotary = rotary
    self.norm = norm
    (scale, biases) = (nil, [])
  }

  /// Numbers of a head's queries and keys.
  package var querySize: Int { turnedSize + plainSize }
  /// Numbers of all heads' values.
  package var values: Int { heads * valueSize }

  /// What is computed once queries, keys and values are there. Its heads have one size for all three, which is even: what
  /// is smaller ends with zeros.
  package var expanded: AttentionSpec {
    var attention = AttentionSpec(
      heads: heads, kvHeads: heads, headSize: (max(querySize, valueSize) + 1) / 2 * 2, rotary: rotary)
    attention.scale = scale ?? 1 / Double(querySize).squareRoot()
    return attention
  }

  // MARK: Layers

  private func layer(_ role: TensorRole, rows: Int, columns: Int) -> LinearSpec {
    LinearSpec(name: role.rawValue, role: role, rows: rows, columns: columns, hasBias: biases.contains(role))
  }

  func inputs(hidden: Int) -> [LinearSpec] {
    [
      queryRank.map { layer(.queryLatent, rows: $0, columns: hidden) }
        ?? layer(.query, rows: heads * querySize, columns: hidden),
      layer(.latent, rows: rank, columns: hidden), layer(.sharedKey, rows: turnedSize, columns: hidden),
    ]
  }

  func inner(_ latent: ReadingSite.Latent) -> [LinearSpec] {
    switch latent {
    case .queries: queryRank.map { [layer(.query, rows: heads * querySize, columns: $0)] } ?? []
    case .keysAndValues:
      [layer(.key, rows: heads * plainSize, columns: rank), layer(.value, rows: values, columns: rank)]
    }
  }

  func output(hidden: Int) -> LinearSpec { layer(.attentionOutput, rows: hidden, columns: values) }
}

extension PartSpec {
  /// The layers that read what other layers of the part have made.
  package func inner(_ latent: ReadingSite.Latent) -> [LinearSpec] {
    if case .latentAttention(let attention) = mixer { attention.inner(latent) } else { [] }
  }

  /// All of them, in the order in which they are computed.
  package var innerLayers: [LinearSpec] { ReadingSite.Latent.allCases.flatMap(inner) }
}

extension LatentAttentionSpec {
  func validate(_ checks: SpecChecks) throws {
    try checks.range("heads", heads, 1...(1 << 12))
    try checks.range("turned_size", turnedSize, 2...(1 << 12))
    try checks.range("plain_size", plainSize, 1...(1 << 12))
    try checks.range("value_size", valueSize, 1...(1 << 12))
    try checks.range("turned_size and plain_size", querySize, 1...(1 << 12))
    try checks.range("rank", rank, 1...(1 << 17))
    if let queryRank { try checks.range("query_rank", queryRank, 1...(1 << 17)) }
    if let scale { try checks.positive("scale", scale) }
    try checks.norm("norm", norm)
    try rotary.validate(headSize: turnedSize, checks)
  }

  var json: JSON {
    var members: [JSON.Member] = [
      .init("heads", .integer(heads)), .init("turned_size", .integer(turnedSize)),
      .init("plain_size", .integer(plainSize)), .init("value_size", .integer(valueSize)), .init("rank", .integer(rank)),
    ]
    if let queryRank { members.append(.init("query_rank", .integer(queryRank))) }
    members += [.init("rotary", rotary.json), .init("norm", norm.json)]
    if let scale { members.append(.init("scale", .number(scale))) }
    return .object(members + biases.members)
  }

  init(_ reader: DocumentReader) throws {
    self.init(
      heads: try reader.size("heads"), turnedSize: try reader.size("turned_size"),
      plainSize: try reader.size("plain_size"), valueSize: try reader.size("value_size"),
      queryRank: try reader.integer("query_rank", in: 0...Int.max), rank: try reader.size("rank"),
      rotary: try ModelSpec.Rotary(reader.needed("rotary", reader.reader)),
      norm: try NormSpec(reader.needed("norm", reader.reader)))
    scale = try reader.number("scale", in: -1e300...1e300)
    biases = try reader.biases(among: LatentAttentionSpec.roles)
    try reader.finish()
  }
}
