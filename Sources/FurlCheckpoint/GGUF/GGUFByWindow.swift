import FurlBase
import FurlSpec
import FurlTensor

// What files of `gemma4` say about blocks that differ by whether they have a window, in both directions.
//
// Source: llama.cpp, `src/models/gemma4.cpp`, `src/llama-model.cpp` (which blocks' keys later ones take) and `conversion/gemma.py`.

extension GGUFConfiguration {
  private static let headSizes = 2...4096
  static let widths = 1...(1 << 24)

  /// What a list, or one number, says of every block.
  ///
  /// - Parameter words: what it is a number of, for errors.
  func eachBlock(_ key: String, of words: String, in bounds: ClosedRange<Int>) throws -> [Int] {
    let blocks = try blockCount()
    let list: [Int]?
    if keys.count(name(key)) == nil {
      list = Array(repeating: try required(key), count: blocks)
    } else {
      list = try keys.integers(name(key))
    }
    guard let list, list.count == blocks else {
      throw keys.error(name(key), "a number of \(words) for each of \(blocks) blocks is expected")
    }
    if let wrong = list.first(where: { !bounds.contains($0) }) {
      throw keys.error(
        name(key), "\(wrong) is out of range", remedy: "allowed: \(bounds.lowerBound) to \(bounds.upperBound)")
    }
    return list
  }

  /// - Parameter suffix: of the keys of blocks with a window.
  func statedHeadSize(_ suffix: String = "") throws -> Int? {
    let size = try keys.integer(name("attention.key_length" + suffix))
    if let other = try keys.integer(name("attention.value_length" + suffix)), other != size {
      throw keys.error(
        name("attention.value_length" + suffix), "is not as attention.key_length\(suffix), which is not supported yet")
    }
    return size
  }

  /// The keys of `config.json` that say how blocks differ.
  ///
  /// - Throws: ``FurlError`` of kind `input` naming the key.
  func sizesByWindow(heads: Int) throws -> [(String, JSON)] {
    let slides = try slidingList()
    let (full, sliding) = (try headSize(""), try headSize("_swa"))
    let kvHeads = try keyHeads(slides, of: heads)
    let shared = try sharedLayers(slides)
    var usual = kvHeads.first ?? heads
    var layers: [JSON.Member] = []
    for (index, count) in kvHeads.enumerated() {
      guard slides[index] else {
        layers.append(.init("\(index)", ["head_dim": .integer(full), "num_key_value_heads": .integer(count)]))
        continue
      }
      usual = count
    }
    // Where a block without a window has no values, they are its keys.
    let lacksValues = slides.indices.dropLast(shared).contains { index in
      !slides[index] && ["attn_v", "attn_qkv"].allSatisfy { head.shapes["blk.\(index).\($0).weight"] == nil }
    }
    let neurons = try neurons(shared: shared)
    return [
      ("head_dim", .integer(sliding)), ("num_key_value_heads", .integer(usual)), ("per_layer_config", .object(layers)),
      ("num_kv_shared_layers", .integer(shared)), ("attention_k_eq_v", .bool(lacksValues)),
      ("use_double_wide_mlp", .bool(Set(neurons).count > 1)),
      ("vocab_size_per_layer_input", .integer(try vocabularySize())),
    ]
  }

  /// Which blocks have a window; the list has to be there.
  private func slidingList() throws -> [Bool] {
    let (key, window) = (name("attention.sliding_window_pattern"), try required("attention.sliding_window"))
    guard window > 0 else { throw keys.error(name("attention.sliding_window"), "\(window) is out of range") }
    let blocks = try blockCount()
    guard keys.count(key) != nil, let list = try keys.bools(key) else {
      throw keys.error(key, "is missing, or no list")
    }
    guard list.count == blocks else { throw keys.error(key, "has \(list.count) entries for \(blocks) blocks") }
    guard list.last != true else { throw keys.error(key, "gives the last block a window, which is not supported") }
    return list
  }

  /// - Parameter suffix: of the keys of blocks with a window.
  private func headSize(_ suffix: String) throws -> Int {
    let key = "attention.key_length" + suffix
    guard let size = try statedHeadSize(suffix) else { throw keys.error(name(key), "is missing") }
    guard GGUFConfiguration.headSizes.contains(size), size % 2 == 0 else {
      throw keys.error(name(key), "\(size) is out of range", remedy: "allowed: even numbers from 2 to 4096")
    }
    return size
  }

  /// Key/value heads of each block, alike in those with a window and in those without.
  private func keyHeads(_ slides: [Bool], of heads: Int) throws -> [Int] {
    let key = "attention.head_count_kv"
    guard keys.has(name(key)) else { return slides.map { _ in heads } }
    let list = try eachBlock(key, of: "key/value heads", in: 1...max(1, heads))
    for kind in [true, false] {
      let counts = Set(zip(slides, list).compactMap { $0 == kind ? $1 : nil })
      guard counts.count < 2 else {
        throw keys.error(
          name(key), "differs between blocks \(kind ? "with" : "without") a window, which is not supported")
      }
      for count in counts where heads % count != 0 {
        throw keys.error(name(key), "\(heads) heads cannot share \(count) key/value heads evenly")
      }
    }
    return list
  }

  /// How many blocks at the end take keys and values of earlier ones.
  private func sharedLayers(_ slides: [Bool]) throws -> Int {
    let key = name("attention.shared_kv_layers")
    let count = try keys.integer(key) ?? 0
    guard (0...slides.count).contains(count) else {
      throw keys.error(key, "\(count) of \(slides.count) blocks is out of range")
    }
    guard GGUFFamily.sharesAsModelsDo(slides, count) else { throw keys.error(key, GGUFFamily.otherKeys) }
    return count
  }

  /// The width of the MLP in each block: one for all, or twice as many in those that take keys of others.
  private func neurons(shared: Int) throws -> [Int] {
    let key = "feed_forward_length"
    let list = try eachBlock(key, of: "neurons", in: GGUFConfiguration.widths)
    let own = list.count - shared
    let first = list.first ?? 0
    let isDoubled = list.enumerated().allSatisfy { $1 == ($0 < own ? first : 2 * first) }
    guard isDoubled || list.allSatisfy({ $0 == first }) else {
      throw keys.error(
        name(key), "differs otherwise than by twice as many in blocks that take keys of others, which is not supported")
    }
    return list
  }
}

extension GGUFFamily {
  /// Whether the last blocks take the keys in llama.cpp that they take in the model. It gives those with a window the keys of
  /// the last but one block that makes any, the others those of the last one; the model, those of the last block of their kind.
  ///
  /// - Parameters:
  ///   - slides: which blocks have a window.
  ///   - count: blocks at the end that take keys, at most all.
  static func sharesAsModelsDo(_ slides: [Bool], _ count: Int) -> Bool {
    let own = slides.dropLast(count)
    return slides.suffix(count).allSatisfy { own.lastIndex(of: $0) == own.count - ($0 ? 2 : 1) }
  }

  static let otherKeys =
    "the last two blocks that make keys are not one with a window and one without, whose keys the blocks behind them take"
}

extension GGUFRotary {
  /// What stands for no turn at all, as llama.cpp's converter writes it, and the least that is taken for it.
  static let (noTurn, leastNoTurn) = (Float(1e30), Float(1e20))

  /// Turns in the first numbers of a head alone, all divided by one number; nil: in all of them as they are.
  ///
  /// - Throws: ``FurlError`` of kind `input` for other divisors.
  func proportional() throws -> [JSON.Member]? {
    func refuse(_ problem: String) -> FurlError { .input(head.path, GGUFNames.rotaryFactors, problem) }
    guard let divisors = try head.vector(GGUFNames.rotaryFactors) else { throw refuse("is missing") }
    guard dimensions > 0, divisors.count == dimensions / 2 else {
      throw refuse("has \(divisors.count) numbers; \(dimensions / 2) are expected")
    }
    let turning = divisors.prefix { $0 < GGUFRotary.leastNoTurn }
    let factor = turning.first ?? 1
    guard turning.allSatisfy({ $0 == factor }), 1e-3...1e6 ~= factor,
      divisors[turning.count...].allSatisfy({ $0 >= GGUFRotary.leastNoTurn })
    else {
      throw refuse("divides the frequencies otherwise than by one number up to some, which is not supported")
    }
    if turning.count == divisors.count, factor == 1 { return nil }
    // What gives the count back when it is multiplied and cut off.
    let share = Double(turning.count) / Double(divisors.count)
    let isSame = Int(share * Double(dimensions) / 2) == turning.count
    return [
      .init("rope_type", "proportional"), .init("factor", .number(Double(factor.description) ?? Double(factor))),
      .init("partial_rotary_factor", .number(isSame ? share : share.nextUp)),
    ]
  }
}

extension GGUFArchitecture {
  /// What a file says about the heads of all blocks.
  func headsByWindow(_ attention: AttentionSpec) -> [GGUFEntry] {
    let all = spec.blocks.compactMap(\.attention)
    let full = all.first { $0.window == nil } ?? attention
    let sliding = all.first { $0.window != nil } ?? full
    return [
      integer("attention.head_count", attention.heads), integers("attention.head_count_kv", all.map(\.kvHeads)),
      integer("attention.key_length", full.headSize), integer("attention.value_length", full.headSize),
      integer("attention.key_length_swa", sliding.headSize), integer("attention.value_length_swa", sliding.headSize),
      integer("attention.shared_kv_layers", spec.blocks.count(where: \.takesKeys)),
    ]
  }

  /// What the frequencies of blocks without a window are divided by.
  var turningFactors: [Float]? {
    guard let rotary = spec.blocks.first(where: { $0.attention?.window == nil })?.rotary else { return nil }
    let all = rotary.dimensions / 2
    guard case .proportional(let factor, let turning) = rotary.scaling else {
      return [Float](repeating: 1, count: all)
    }
    return (0..<all).map { $0 < turning ? Float(factor) : GGUFRotary.noTurn }
  }

  /// What keeps llama.cpp from running a model whose blocks differ.
  func windowProblem() -> String? {
    let slides = spec.blocks.map { $0.attention?.window != nil }
    let shared = spec.blocks.count(where: \.takesKeys)
    guard slides.contains(true) else { return "\(name) needs a block with a window" }
    guard slides.count - shared >= 2 else { return "\(name) needs two blocks that make keys" }
    guard GGUFFamily.sharesAsModelsDo(slides, shared) else { return GGUFFamily.otherKeys }
    return nil
  }
}

extension BlockSpec {
  /// The width of the MLP that all rows go through, if there is one.
  var neurons: Int { feedForward?.size ?? experts?.shared?.size ?? 0 }
}
