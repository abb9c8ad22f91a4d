import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlSpec
import FurlTensor
import Synchronization

/// One compression at work.
///
/// All threads take jobs from one queue: the next bytes of a file are hashed, a stripe of a tensor is encoded, a
/// chunk of a stream is compressed, a tensor is written. Tensors are admitted in the order of the artifact while
/// those under way take little memory, and are written in that order, so the bytes do not depend on who did what.
final class CompressionRun: Sendable {
  private let plan: Plan
  private let checkpoint: Checkpoint
  private let packer: TensorPacker
  private let writer: Mutex<ArtifactWriter>
  private let pace: ReadingPace
  private let hashing: HashingWork
  private let buffers: [ReadBuffer]
  private let memory = StoragePool()
  private let queue = JobQueue()
  private let failures = FirstFailure()
  private let state = Mutex(RunState())

  /// Encoded bytes of the tensors under way, if there are several.
  private static let memoryLimit = 128 << 20

  private struct RunState {
    /// Tensors whose work has begun, and tensors that are in the file.
    var admitted = 0
    var written = 0
    /// Encoded bytes of the tensors in between.
    var memory = 0
    /// For tensors under way, the jobs that the present step waits for.
    var open: [Int: Int] = [:]
    /// Tensors that can be written, and whether somebody is writing.
    var ready: [Int: PackedTensor] = [:]
    var isWriting = false
    var tokenizer: PackedTokenizer?
  }

  init(_ compressor: Compressor, writer: sending ArtifactWriter, threads: Int) throws {
    plan = compressor.plan
    checkpoint = compressor.checkpoint
    packer = writer.packer
    self.writer = Mutex(writer)
    buffers = (0..<threads).map { _ in ReadBuffer() }
    let sources = SourceDigests(try compressor.checkpoint.files(), memory: compressor.digests)
    let encoded = try compressor.plan.tensors.reduce(0) { sum, tensor in
      try sum + compressor.checkpoint.source(tensor.sourceName).type.byteCount(tensor.spec.elementCount)
    }
    pace = ReadingPace(
      encodedTotal: encoded, hashedTotal: sources.open.reduce(0) { $0 + sources.files[$1].count },
      total: sources.files.reduce(0) { $0 + $1.count })
    // Streams are hashed twice where they are compressed, and the files' hash has room beside it.
    hashing = HashingWork(
      sources, pace: pace, queue: queue, failures: failures, threads: threads,
      ridesAlong: compressor.plan.recipe.storage == .compact)
  }

  /// Does everything and completes the file.
  ///
  /// - Parameters:
  ///   - tokenizer: makes the tokenizer's section.
  ///   - description: says what the artifact says beside its tensors, from its source's files.
  ///   - progress: called on the calling thread, at least once for every tensor.
  func run(
    on pool: WorkerPool, tokenizer: @escaping @Sendable () throws -> [UInt8],
    description: ([Checkpoint.SourceFile]) throws -> ArtifactDescription,
    progress: (CompressionProgress) -> Void
  ) throws -> (id: Digest, bytes: Int) {
    queue.add(.begin) { _ in
      self.attempt(at: TensorPlace.beforeTensors) {
        let packed = try self.packer.tokenizer(tokenizer())
        self.state.withLock { $0.tokenizer = packed }
      }
    }
    hashing.start { [weak self] in self?.admit() }
    defer { hashing.stop() }
    admit()
    var reported = 0
    queue.run(on: pool) { report(&reported, to: progress) }
    report(&reported, to: progress)
    try failures.rethrow()
    let description = try description(hashing.finish())
    guard let tokenizer = state.withLock({ $0.tokenizer }) else { throw FurlError(.defect, "there is no tokenizer") }
    return try writer.withLock { (try $0.finish(description, tokenizer: tokenizer), $0.bytesWritten) }
  }

  private func report(_ reported: inout Int, to progress: (CompressionProgress) -> Void) {
    let written = state.withLock { $0.written }
    repeat {
      if reported < written { reported += 1 }
      let name = reported == 0 ? "" : plan.tensors[reported - 1].spec.name
      progress(
        .init(
          tensor: name, tensorsDone: reported, tensors: plan.tensors.count, bytesDone: pace.bytesDone,
          bytes: pace.total))
    } while reported < written
  }

  // MARK: Errors

  /// Where an error belongs in the order of the work, so that of several the same one is reported whatever the
  /// threads: work before the first failure goes on.
  private enum TensorPlace {
    static let beforeTensors = -1

    static func tensor(_ index: Int, stripe: Int = 0) -> Int { index << 32 + min(stripe, Int(UInt32.max)) }
  }

  /// Does something that may fail.
  ///
  /// - Returns: whether it was done.
  @discardableResult
  private func attempt(at place: Int, _ body: () throws -> Void) -> Bool {
    guard !failures.precedes(place) else { return false }
    do {
      try body()
      return true
    } catch {
      failures.add(error, at: place)
      return false
    }
  }

  /// Whether this was the last job that a tensor's present step waited for.
  private func closeJob(of index: Int) -> Bool {
    state.withLock { state in
      state.open[index]? -= 1
      guard state.open[index] == 0 else { return false }
      state.open[index] = nil
      return true
    }
  }

  // MARK: Encoding

  /// Begins with as many tensors as there may be under way.
  private func admit() {
    while failures.isEmpty {
      let index: Int? = state.withLock { state in
        guard state.admitted < plan.tensors.count, pace.mayEncode else { return nil }
        let size = plan.tensors[state.admitted].layout.byteCount
        guard state.memory == 0 || state.memory + size <= CompressionRun.memoryLimit else { return nil }
        state.memory += size
        state.admitted += 1
        return state.admitted - 1
      }
      guard let index else { return }
      queue.add(.begin) { worker in
        self.attempt(at: TensorPlace.tensor(index)) {
          try self.naming(index) { try self.begin(index, self.buffers[worker]) }
        }
      }
    }
  }

  private func begin(_ index: Int, _ buffer: ReadBuffer) throws {
    let tensor = plan.tensors[index]
    let source = try checkpoint.source(tensor.sourceName)
    guard tensor.spec.shape.count == 2 else {
      let vector = try FloatVector(source)
      didEncode(source.type.byteCount(vector.count))
      return try pack(index, [.values: vector.storage])
    }
    let encoder = try MatrixEncoder(
      source, scheme: tensor.scheme, takesCodes: tensor.keepsCodes, memory: memory)
    state.withLock { $0.open[index] = encoder.stripeCount }
    for stripe in 0..<encoder.stripeCount {
      queue.add(.begin) { worker in self.encode(index, encoder, stripe, self.buffers[worker]) }
    }
  }

  private func encode(_ index: Int, _ encoder: MatrixEncoder, _ stripe: Int, _ buffer: ReadBuffer) {
    attempt(at: TensorPlace.tensor(index, stripe: stripe)) {
      try naming(index) { try encoder.encode(stripe: stripe, with: buffer) }
      didEncode(encoder.sourceBytes(stripe: stripe))
    }
    guard closeJob(of: index), failures.isEmpty else { return }
    attempt(at: TensorPlace.tensor(index)) {
      let matrix = encoder.matrix
      try pack(index, Dictionary(uniqueKeysWithValues: zip(matrix.layout.streams.map(\.kind), matrix.streams)))
    }
  }

  private func didEncode(_ bytes: Int) {
    pace.encode(bytes)
    if pace.mayHash { hashing.wake() }
  }

  private func naming(_ index: Int, _ body: () throws -> Void) throws {
    do {
      try body()
    } catch var error as FurlError {
      error.place = error.place ?? plan.tensors[index].sourceName
      throw error
    }
  }

  // MARK: Writing

  private func pack(_ index: Int, _ streams: [PackedLayout.StreamKind: ByteStorage]) throws {
    let tensor = plan.tensors[index]
    let packed = try packer.tensor(
      name: tensor.spec.name, role: tensor.spec.role.rawValue, shape: tensor.spec.shape, scheme: tensor.scheme,
      streams: streams)
    guard packed.jobCount > 0 else { return try hash(index, packed) }
    state.withLock { $0.open[index] = packed.jobCount }
    for job in 0..<packed.jobCount {
      queue.add(.advance) { _ in
        if self.failures.isEmpty { self.attempt(at: TensorPlace.tensor(index)) { try packed.run(job) } }
        guard self.closeJob(of: index), self.failures.isEmpty else { return }
        self.attempt(at: TensorPlace.tensor(index)) { try self.hash(index, packed) }
      }
    }
  }

  private func hash(_ index: Int, _ packed: PackedTensor) throws {
    let digests = try packed.digests()
    state.withLock { $0.open[index] = digests.count }
    for digest in digests {
      hashing.add(digest) { if self.closeJob(of: index) { self.makeReady(index, packed) } }
    }
  }

  private func makeReady(_ index: Int, _ packed: PackedTensor) {
    let mayWrite = state.withLock { state in
      state.ready[index] = packed
      guard !state.isWriting, state.ready[state.written] != nil else { return false }
      state.isWriting = true
      return true
    }
    if mayWrite { queue.add(.finish) { _ in self.write() } }
  }

  /// Writes the tensors whose turn it is.
  private func write() {
    // A tensor's memory is free before the next ones are begun with.
    while writeNext() { admit() }
  }

  private func writeNext() -> Bool {
    let next: (index: Int, tensor: PackedTensor)? = state.withLock { state in
      if failures.isEmpty, let tensor = state.ready.removeValue(forKey: state.written) {
        return (state.written, tensor)
      }
      state.isWriting = false
      return nil
    }
    guard let next else { return false }
    let isWritten = attempt(at: TensorPlace.beforeTensors) { try writer.withLock { try $0.append(next.tensor) } }
    guard isWritten else { return false }
    state.withLock { state in
      state.written += 1
      state.memory -= plan.tensors[next.index].layout.byteCount
    }
    return true
  }
}
