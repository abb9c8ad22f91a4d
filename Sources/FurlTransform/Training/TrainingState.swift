import FurlBase
import FurlNumerics
import FurlSpec

/// A file that a training saves itself to, so that a run that was stopped goes on where it was.
struct TrainingState {
  let path: String
  /// What the training is of: settings, texts and weights. A state of another training is not gone on from.
  let identity: Digest
  /// Steps between two savings.
  var interval = 25

  private static let magic = "furl training 1\n"
  private static let headerBytes = 4096

  /// Writes the state; the file before stays until the new one is whole.
  ///
  /// - Throws: ``FurlError`` of kind `cannotCreate` or `cannotWrite`.
  func save(_ trainer: Trainer, steps: Int) throws {
    let matrices = trainer.stateMatrices
    let header: JSON = [
      "identity": .string(identity.hex), "steps": .integer(steps),
      "counts": .array(matrices.map { .integer($0.count) }),
    ]
    var bytes = Array((TrainingState.magic + header.compactText + "\n").utf8)
    bytes += [UInt8](repeating: 0, count: max(0, TrainingState.headerBytes - bytes.count))
    let file = try OutputFile(path: path)
    try file.require(bytes: bytes.count + matrices.reduce(0) { $0 + $1.count * 4 })
    try file.write(bytes)
    for matrix in matrices { try matrix.forEachChunk { try file.write($0) } }
    try file.commit()
  }

  /// Takes the state of the file.
  ///
  /// - Returns: the steps that have been made; 0 where there is no file, or one of another training.
  /// - Throws: ``FurlError`` of kind `input` when the file is damaged.
  func load(into trainer: Trainer) throws -> Int {
    guard FileManager.default.fileExists(atPath: path) else { return 0 }
    let file = try MappedFile(path: path)
    let head = file.read(0..<min(file.count, TrainingState.headerBytes))
    let damaged = FurlError.input(path, "is not a whole state of a training", remedy: "delete it and begin anew")
    let magic = Array(TrainingState.magic.utf8)
    guard head.starts(with: magic), let end = head[magic.count...].firstIndex(of: UInt8(ascii: "\n")) else {
      throw damaged
    }
    let header = try JSON.parse(Array(head[magic.count..<end]), file: path)
    guard header["identity"]?.string == identity.hex else { return 0 }
    let matrices = trainer.stateMatrices
    let start = max(TrainingState.headerBytes, end + 1)
    let expected = start + matrices.reduce(0, { $0 + $1.count * 4 })
    guard let steps = header["steps"]?.integer, (1..<trainer.settings.steps).contains(steps),
      header["counts"]?.array?.compactMap(\.integer) == matrices.map(\.count),
      file.count == expected
    else { throw damaged }
    var offset = start
    for matrix in matrices {
      try matrix.load(file, at: offset)
      offset += matrix.count * 4
    }
    trainer.resume(steps: steps)
    return steps
  }

  /// Removes the file, when the training is done.
  func remove() { try? FileManager.default.removeItem(atPath: path) }
}
