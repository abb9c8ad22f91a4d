import FurlBase
import CFurlKernels

/// Attention over what a cache holds. A row's result depends on its own position and window only: neither the
/// number of threads nor the rest of the batch change a bit of it.
extension KeyValueCache {
  /// What becomes of the products of queries and keys.
  package struct Scores: Sendable {
    /// What they are multiplied with: above 0.
    package var scale: Float
    /// They become softCap * tanh(score / softCap) then; nil: they stay.
    package var softCap: Float?
    /// A score of each head that the softmax counts and that nothing is read for: [heads].
    package var sinks: FloatVector?
    /// What scores of each head grow by from one position to the next: [heads] (ALiBi; Press et al. 2022).
    package var slopes: FloatVector?

    package init(scale: Float, softCap: Float? = nil, sinks: FloatVector? = nil, slopes: FloatVector? = nil) {
      self.slopes = slopes
      self.scale = scale
      self.softCap = softCap
      self.sinks = sinks
    }
  }

  /// Attention of the runs' rows over what their slots hold; every row sees its own position and those before it,
  /// as far back as the block's window reaches.
  ///
  /// - Parameters:
  ///   - query: [rows][heads * headSize].
  ///   - runs: rows that have been stored, or are in `stored`.
  ///   - stored: keys and values of the runs' rows, if they have not been stored yet; each slot at most once then. What a
  ///     thread reads next it best stores itself: its cache then has it.
  ///   - scores: what becomes of them before the softmax.
  ///   - output: the same shape as `query`.
  package func attend(
    block: Int, query: Activations, runs: [CacheRun], storing stored: Stored? = nil, scores: Scores,
    into output: Activations, on context: ComputeContext
  ) {
    let heads = blocks[block]
    precondition(query.columns == heads.heads * heads.headSize && output.columns == query.columns)
    precondition(scores.sinks == nil || scores.sinks?.count == heads.heads)
    precondition(scores.slopes == nil || scores.slopes?.count == heads.heads)
    precondition(context.pool.threads <= scratch.work.count)
    precondition(stored == nil || Set(runs.map(\.slot)).count == runs.count)
    for run in runs { check(run, rows: min(query.capacity, output.capacity)) }
    let kernel =
      switch format {
      case .float32: context.kernels.table.attend_f32
      case .float16: context.kernels.table.attend_f16
      case .int8: context.kernels.table.attend_i8
      }
    let jobs = AttentionJobs(runs, heads)
    let call = AttentionCall(cache: self, block: block, query: query, runs: runs, scores: scores, output: output)
    guard jobs.areUneven(over: context.pool.threads), let parts = scratch.parts,
      let partFloats = scratch.partFloats(jobs, heads)
    else {
      if let stored {
        // A single position of a head is one job. Longer runs have several, maybe of several threads, that read all of
        // it.
        advance(block, stored, runs)
        let long = runs.filter { $0.count > 1 }
        if !long.isEmpty { store(block: block, stored, runs: long, on: context) }
      }
      return context.pool.run { part, parts in
        jobs.forEach(part, parts) { job, next in
          let run = runs[job.run]
          if let stored, run.count == 1 { store(block, stored, run, head: job.kvHead, context.kernels) }
          var whole = call.part(job, before: next, scratch: part)
          kernel(&whole)
        }
      }
    }
    if let stored { store(block: block, stored, runs: runs, on: context) }
    context.pool.run { part, threads in
      jobs.forEachTile(part, threads) { index, tiles in
        var some = call.part(jobs.single(index), scratch: part)
        some.parts = parts.floats + index * partFloats
        (some.tile_begin, some.tile_end) = (tiles.lowerBound, tiles.upperBound)
        kernel(&some)
      }
    }
    context.pool.forEach(jobs.singles) { index in
      var whole = call.part(jobs.single(index), scratch: 0)
      whole.parts = parts.floats + index * partFloats
      context.kernels.table.join_parts(&whole)
    }
  }
}

/// What one call of attention reads and writes, as its jobs take it.
private struct AttentionCall {
  let cache: KeyValueCache
  let block: Int
  let query: Activations
  let runs: [KeyValueCache.CacheRun]
  let scores: KeyValueCache.Scores
  let output: Activations

  /// A job for the kernels.
  ///
  /// - Parameters:
  ///   - next: the job after it, whose keys are fetched meanwhile.
  ///   - scratch: whose numbers it may use, by thread.
  func part(
    _ job: AttentionJobs.AttentionJob, before next: AttentionJobs.AttentionJob? = nil, scratch: Int
  ) -> furl_attention {
    let heads = cache.blocks[block]
    let width = heads.group * heads.headSize
    let run = runs[job.run]
    let row = run.row + job.first
    var attention = furl_attention(
      cache: cache.head(block, slot: run.slot, job.kvHead),
      query: query.values + row * query.stride + job.kvHead * width,
      query_stride: query.stride, queries: job.count, heads: heads.group, position: run.position + job.first,
      window: heads.window ?? 0, scale: scores.scale, soft_cap: scores.softCap ?? 0,
      slopes: scores.slopes.map { $0.pointer + job.kvHead * heads.group },
      sinks: scores.sinks.map { $0.pointer + job.kvHead * heads.group },
      scratch: cache.scratch.work[scratch].floats,
      out: output.values + row * output.stride + job.kvHead * width, out_stride: output.stride, parts: nil,
      tile_begin: 0, tile_end: 0, next_keys: nil, next_positions: 0)
    if let next, next.run != job.run || next.kvHead != job.kvHead {
      let keys = cache.head(block, slot: runs[next.run].slot, next.kvHead)
      attention.next_keys = UnsafeRawPointer(keys.keys)
      attention.next_positions = min(keys.capacity, runs[next.run].position + next.first + next.count)
    }
    return attention
  }
}

/// The pieces of attention: up to so many rows of one key/value head. Threads take contiguous shares of equal cost;
/// where whole pieces make uneven shares, tiles of positions are shared out.
struct AttentionJobs {
  /// Consecutive positions of one run, for the heads that share a key/value head.
  struct AttentionJob {
    let run: Int
    let kvHead: Int
    /// The first row of the run.
    let first: Int
    let count: Int
  }

  static let tile = Int(FURL_ATTENTION_TILE)
  private static let rowsPerJob = 64

  private let runs: [KeyValueCache.CacheRun]
  private let heads: KeyValueCache.Heads
  private let queries: Int
  private let total: Int

  init(_ runs: [KeyValueCache.CacheRun], _ heads: KeyValueCache.Heads) {
    self.runs = runs
    self.heads = heads
    queries = AttentionJobs.queries(heads)
    var total = 0
    for run in runs { total += AttentionJobs.cost(run, 0, run.count, heads.window) }
    self.total = total * heads.kvHeads
  }

  /// Positions of one job: about 64 rows, in fours, which the kernels take at once.
  static func queries(_ heads: KeyValueCache.Heads) -> Int {
    let queries = rowsPerJob / heads.group
    return queries > 4 ? queries / 4 * 4 : max(1, queries)
  }

  /// Scores to compute, for one head.
  private static func cost(_ run: KeyValueCache.CacheRun, _ first: Int, _ count: Int, _ window: Int?) -> Int {
    let position = run.position + first
    let whole = count * (position + 1) + count * (count - 1) / 2
    return min(whole, count * (window ?? .max / count))
  }

  /// Calls `body` with a thread's jobs, and with what comes after each.
  func forEach(_ part: Int, _ parts: Int, _ body: (AttentionJob, _ next: AttentionJob?) -> Void) {
    let share = WorkerPool.share(total, part, parts)
    var last: AttentionJob?
    forEachJob { job, middle, _ in
      guard share.contains(middle) else { return }
      if let last { body(last, job) }
      last = job
    }
    if let last { body(last, nil) }
  }

  /// A job belongs to the thread in whose share its middle lies.
  private func forEachJob(_ body: (AttentionJob, _ middle: Int, _ cost: Int) -> Void) {
    var passed = 0
    for (index, run) in runs.enumerated() {
      for kvHead in 0..<heads.kvHeads {
        for first in stride(from: 0, to: run.count, by: queries) {
          let count = min(queries, run.count - first)
          let cost = AttentionJobs.cost(run, first, count, heads.window)
          body(AttentionJob(run: index, kvHead: kvHead, first: first, count: count), passed + cost / 2, cost)
          passed += cost
        }
      }
    }
  }

  // MARK: Sharing out tiles

  /// The jobs, where every run is a single position.
  var singles: Int { runs.count * heads.kvHeads }

  func single(_ index: Int) -> AttentionJob {
    AttentionJob(run: index / heads.kvHeads, kvHead: index % heads.kvHeads, first: 0, count: 1)
  }

  /// Whether whole jobs leave threads idle for a while, as few sequences with few key/value heads do: only single
  /// positions, which are few and see much.
  func areUneven(over threads: Int) -> Bool {
    guard threads > 1, singles <= AttentionScratch.jobsPerThread * threads, runs.allSatisfy({ $0.count == 1 }),
      runs.contains(where: { $0.position >= AttentionJobs.tile })
    else { return false }
    var thread = 0
    var load = 0
    var largest = 0
    forEachJob { _, middle, cost in
      while !WorkerPool.share(total, thread, threads).contains(middle) { (thread, load) = (thread + 1, 0) }
      load += cost
      largest = max(largest, load)
    }
    return largest * threads > total + total / 16
  }

  /// The tiles that a job's rows see.
  func tiles(_ job: AttentionJob) -> Range<Int> {
    let position = runs[job.run].position + job.first
    let begin = max(0, position + 1 - (heads.window ?? position + 1))
    return begin / AttentionJobs.tile..<(position + job.count - 1) / AttentionJobs.tile + 1
  }

  /// Calls `body` with the index of a job and some of the job's tiles. Single positions only.
  func forEachTile(_ part: Int, _ parts: Int, _ body: (Int, Range<Int>) -> Void) {
    let share = WorkerPool.share(total, part, parts)
    var passed = 0
    for index in 0..<singles {
      let job = single(index)
      let position = runs[job.run].position
      let begin = max(0, position + 1 - (heads.window ?? position + 1))
      var mine: Range<Int>?
      for tile in tiles(job) {
        if share.contains(passed) { mine = (mine?.lowerBound ?? tile)..<tile + 1 }
        let end = min((tile + 1) * AttentionJobs.tile, position + 1)
        passed += end - max(begin, tile * AttentionJobs.tile)
      }
      if let mine { body(index, mine) }
    }
  }
}

/// What attention works in, made once: for each thread, and for tiles that are shared out.
struct AttentionScratch: @unchecked Sendable {
  struct ScratchFloats {
    let storage: ByteStorage
    let floats: UnsafeMutablePointer<Float>

    init(_ count: Int) throws {
      storage = try ByteStorage(zeroed: 4 * count)
      floats = storage.base.assumingMemoryBound(to: Float.self)
    }
  }

  /// More jobs than this for each thread make even shares by themselves.
  static let jobsPerThread = 8

  let work: [ScratchFloats]
  /// nil with one thread.
  let parts: ScratchFloats?
  private let partCapacity: Int

  /// - Parameter blocks: each with the positions that it keeps.
  init(_ blocks: [(heads: KeyValueCache.Heads, capacity: Int)], slots: Int, rowLimit: Int, threads: Int) throws {
    var floats = 0
    var partFloats = 0
    for (heads, capacity) in blocks {
      let rows = heads.group * min(AttentionJobs.queries(heads), rowLimit)
      floats = max(floats, furl_attention_scratch(rows, heads.headSize))
      let jobs = min(checkedProduct(heads.kvHeads, slots) ?? .max, Self.jobsPerThread * threads)
      // A window may begin and end within tiles.
      let size = checkedProduct(
        jobs, capacity / AttentionJobs.tile + 2, furl_attention_part(heads.group, heads.headSize), 4)
      partFloats = max(partFloats, (size ?? 0) / 4)
    }
    work = try (0..<threads).map { _ in try ScratchFloats(floats) }
    partCapacity = partFloats
    parts = threads > 1 ? try ScratchFloats(partFloats) : nil
  }

  /// Floats of each job's parts; nil if there is no room for them.
  func partFloats(_ jobs: AttentionJobs, _ heads: KeyValueCache.Heads) -> Int? {
    var tiles = 0
    for index in 0..<jobs.singles { tiles = max(tiles, jobs.tiles(jobs.single(index)).count) }
    let floats = tiles * furl_attention_part(heads.group, heads.headSize)
    return floats * jobs.singles <= partCapacity ? floats : nil
  }
}
