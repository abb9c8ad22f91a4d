import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import Testing

/// Models of stages that are walked block by block.
@Suite struct StageWalkTests {
  /// What a walk has come to.
  private struct Result {
    /// What was read at each place of each block, row by row.
    var visited: [[ReadingSite: [[Float]]]] = []
    /// Positions of each expert, by the stages that have some.
    var counts: [[ReadingSite: [Int]]] = []
    var logits: [[Float]] = []
  }

  private static let lengths = [80, 5, 1, 33]

  /// - Parameter visitsAll: whether places that nothing later needs are visited, too.
  private static func walk(
    _ naive: NaiveModel, _ sequences: [[Int]], visitsAll: Bool = true, context: ComputeContext
  ) throws -> Result {
    let spec = naive.spec
    func matrix(_ name: String) throws -> PackedMatrix { try #require(naive.matrices[name], "\(name)") }
    let walk = try BlockWalk(
      spec, embedding: matrix("embedding"), positions: spec.hasLearnedPositions ? matrix("positions") : nil,
      sequences: sequences, context: context)
    var result = Result()
    func apply(_ block: Int) throws {
      guard spec.patches.contains(block) else { return }
      let name = spec.patchName(before: block)
      walk.apply(patch: try matrix(name), bias: try naive.vector(name + ".bias"))
    }
    for block in spec.blocks.indices {
      try apply(block)
      try walk.begin(block: block, vector: naive.vector)
      var visited: [ReadingSite: [[Float]]] = [:]
      var counts: [ReadingSite: [Int]] = [:]
      for site in spec.sites(of: block) {
        if visitsAll || walk.isNeeded(site) {
          visited[site] = []
          walk.visit(site) { input, count in visited[site]! += (0..<count).map { input[$0] } }
        }
        for layer in spec.readers(of: site, in: block) {
          let name = "blocks.\(block)." + layer.name
          walk.install(layer, try matrix(name), bias: try naive.vector(name + ".bias"))
        }
        if site.expert == 0, let part = site.part { counts[site] = walk.expertCounts(stage: site.stage, part: part) }
      }
      walk.finish()
      result.visited.append(visited)
      result.counts.append(counts)
    }
    try apply(spec.blocks.count)
    result.logits = try logits(walk, naive, context)
    return result
  }

  /// The head on what a walk gives.
  private static func logits(_ walk: BlockWalk, _ naive: NaiveModel, _ context: ComputeContext) throws -> [[Float]] {
    let spec = naive.spec
    let weight = try #require(naive.matrices[spec.tiedEmbeddings ? "embedding" : "head"])
    let head = LinearGroup([.init(weight, bias: try naive.vector("head.bias"))])
    let output = try Activations(columns: spec.vocabularySize, capacity: BlockWalk.rowLimit)
    let norm = BlockWalk.WalkedNorm(weight: try #require(try naive.vector("norm")), bias: try naive.vector("norm.bias"))
    var rows: [[Float]] = []
    walk.visitHead(norm) { input, count in
      if head.readsRounded(context) { input.quantize(count: count, on: context) }
      head(input, count: count, into: [output], on: context)
      if let cap = spec.logitSoftCap { output.capSoftly(at: Float(cap), count: count, on: context) }
      rows += (0..<count).map { output[$0] }
    }
    return rows
  }

  /// A walk ends with the bits of a session, whether places that nothing needs are visited or not.
  private static func check(_ spec: ModelSpec, _ scheme: Scheme, _ name: String) throws {
    let naive = try NaiveModel(spec, seed: 2, scheme: scheme)
    let context = try Fixtures.context()
    let sequences = lengths.map { Fixtures.ids($0, below: spec.vocabularySize, seed: UInt64($0)) }
    let own = try walk(naive, sequences, context: context)
    let total = lengths.reduce(0, +)
    for (block, visited) in own.visited.enumerated() {
      #expect(Set(visited.keys) == Set(spec.sites(of: block)))
      for (site, rows) in visited where site.expert == nil {
        // A table is looked up by tokens, and nothing is read there.
        if case .table = site.place {
          #expect(rows.isEmpty, "\(name), \(site)")
        } else {
          #expect(rows.count == total, "\(name), \(site)")
        }
      }
    }
    #expect(try walk(naive, sequences, visitsAll: false, context: context).logits == own.logits, "\(name)")
    try TestData.withTemporaryFolder { folder in
      try naive.write(to: folder + "/a.furl")
      let model = try ModelFile(path: folder + "/a.furl").load(pool: context.pool)
      var expected: [[Float]] = []
      for sequence in sequences {
        expected += try Fixtures.logits(Session(model, context: context, format: .float16), sequence)
      }
      #expect(expected.count == total && own.logits == expected, "\(name), \(scheme)")
    }
  }

  @Test(arguments: StagedModels.all.indices, StageTests.schemes)
  func hiddenStatesAreThoseOfASession(_ index: Int, _ scheme: Scheme) throws {
    try Self.check(StagedModels.all[index].spec, scheme, StagedModels.all[index].name)
  }

  @Test(arguments: 0..<24, StageTests.schemes)
  func hiddenStatesOfCombinationsAreThoseOfASession(_ seed: Int, _ scheme: Scheme) throws {
    var draws = SpecDraws(seed: 2000 + UInt64(seed))
    try Self.check(draws.spec(contextLength: 80), scheme, "combination \(seed)")
  }

  /// Keys and values of earlier blocks, what blocks take from the tokens, and numbers behind blocks.
  @Test(arguments: ["gemma4-shared", "gemma4-keys-alone", "gemma4-experts"], StageTests.schemes)
  func blocksThatTakeFromOthersAreThoseOfASession(_ name: String, _ scheme: Scheme) throws {
    var spec = try Checkpoint(folder: TestData.root + "/Tests/Fixtures/families/" + name).spec
    spec.contextLength = 80
    try Self.check(spec, scheme, name)
    spec.patches = [0, 3, spec.blocks.count]
    try Self.check(spec, scheme, name + " with linear maps")
  }

  // MARK: Experts

  /// Rows of an expert are those, and all those, that plain loops send there from what the router reads; what its last
  /// layer reads is what they make of them.
  @Test(arguments: StagedModels.routed.indices)
  func expertsReadTheRowsThatTheRouterGives(_ index: Int) throws {
    let feature = StagedModels.routed[index]
    let context = try Fixtures.context()
    let sequences = Self.lengths.map { Fixtures.ids($0, below: feature.spec.vocabularySize, seed: UInt64($0)) }
    for seed in UInt64(1)...20 {
      let naive = try NaiveModel(feature.spec, seed: seed)
      let result = try Self.walk(naive, sequences, context: context)
      let trace = NaiveModel.Trace()
      let blocks = feature.spec.blocks.indices.map { block in
        NaiveParts(model: naive, block: "blocks.\(block).", context: 80, trace: trace)
      }
      let choices = feature.spec.blocks.indices.map { block in
        Self.choices(feature.spec.blocks[block], blocks[block], result.visited[block])
      }
      // Rounding may turn a choice that is as near as this.
      guard trace.gap > 1e-5 else { continue }
      #expect(choices.contains { !$0.isEmpty })
      for block in feature.spec.blocks.indices {
        for choice in choices[block] {
          Self.compare(choice, blocks[block], result.visited[block], result.counts[block], feature.name)
        }
      }
      return
    }
    Issue.record("every seed makes a router waver: \(feature.name)")
  }

  /// Experts of a block, and where each position goes.
  private struct Routed {
    let stage: Int
    let part: Int
    let spec: ExpertsSpec
    let choices: [NaiveRouting.Choice]
  }

  private static func choices(
    _ block: BlockSpec, _ parts: NaiveParts, _ visited: [ReadingSite: [[Float]]]
  ) -> [Routed] {
    block.stages.enumerated().flatMap { stage, spec in
      spec.parts.enumerated().compactMap { part, spec -> Routed? in
        guard case .experts(let experts) = spec.mixer else { return nil }
        let rows = visited[ReadingSite(stage: stage, .norm)] ?? []
        return Routed(
          stage: stage, part: part, spec: experts, choices: rows.map { parts.choice(experts, $0.map(Double.init)) })
      }
    }
  }

  private static func compare(
    _ routed: Routed, _ parts: NaiveParts, _ visited: [ReadingSite: [[Float]]], _ counts: [ReadingSite: [Int]],
    _ name: String
  ) {
    let rows = visited[ReadingSite(stage: routed.stage, .norm)] ?? []
    func site(_ place: ReadingSite.Place) -> ReadingSite { ReadingSite(stage: routed.stage, place) }
    var inner = Worst()
    func compare(_ neurons: [[Float]]?, _ input: [[Float]], _ mlp: FeedForwardSpec, _ prefix: String) {
      #expect(neurons?.count == input.count, "\(name), \(prefix)")
      for (actual, row) in zip(neurons ?? [], input) {
        let expected = parts.neurons(mlp, row.map(Double.init), parts.block + prefix)
        if actual.count != expected.count { inner.add(.nan, 0, bound: 1, prefix) }
        for (value, right) in zip(actual, expected) { inner.add(Double(value), right, bound: 2e-5, prefix) }
      }
    }
    var all: [Int] = []
    for expert in 0..<routed.spec.count {
      let expected = rows.indices.filter { routed.choices[$0].weights[expert] != nil }.map { rows[$0] }
      #expect(visited[site(.expertInput(part: routed.part, expert: expert))] == expected, "\(name), expert \(expert)")
      compare(
        visited[site(.expertOutput(part: routed.part, expert: expert))], expected, routed.spec.expert,
        "mlp.experts.\(expert).")
      all.append(expected.count)
    }
    #expect(counts[site(.expertInput(part: routed.part, expert: 0))] == all, "\(name)")
    #expect(all.reduce(0, +) == rows.count * routed.spec.active, "\(name)")
    if let shared = routed.spec.shared {
      compare(visited[site(.output(part: routed.part))], rows, shared, "mlp.shared.")
    }
    #expect(inner.share <= 1, "\(name), \(inner.place)")
  }
}
