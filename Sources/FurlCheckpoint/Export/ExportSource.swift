package import FurlBase
package import FurlSpec
package import FurlTensor

/// A model that is exported, wherever it lies. What lies above this module says how its weights and its tokenizer are
/// reached.
package protocol ExportSource {
  /// What errors call the model.
  var path: String { get }
  /// The model's name, without a folder.
  var name: String { get }
  var spec: ModelSpec { get }
  /// The `config.json` of the checkpoint that the model is or was made from.
  var config: JSON { get }
  /// How the weights of a tensor are written down; nothing is read for it.
  func numbers(of tensor: TensorSpec) throws -> StoredNumbers
  func weights(of tensor: TensorSpec, pool: WorkerPool) throws -> ExportedWeights
  /// What stored numbers are made into when they are read.
  func fold(of tensor: TensorSpec) throws -> WeightSource.Fold
  /// The files that are read. None of them is replaced, and at the end they have to be as they were.
  var files: [MappedFile] { get }
  /// Called behind every tensor: gives the pages of files back.
  func dropPages()
  /// The files that go with the weights of a checkpoint: the tokenizer's, and what generation assumes.
  func sideFiles() throws -> [SideFile]
  /// The tokenizer as GGUF files describe it.
  ///
  /// - Throws: ``FurlError`` of kind `input` for one that llama.cpp cannot run.
  func vocabulary() throws -> ExportedVocabulary
  /// What came with the model: templates, settings of generation, licence.
  func papers() throws -> ModelPapers
}

/// How weights are written down where they come from.
package enum StoredNumbers: Sendable, Hashable {
  /// As a checkpoint stores them.
  case plain(SourceType)
  /// As an artifact stores them.
  case packed(Scheme)
  /// The same with zeros around them, so that they are numbers now.
  case padded(Scheme)

  /// Whether several weights share a scale.
  var isBlocks: Bool {
    switch self {
    case .plain(let type): type.blockSize > 1
    case .packed(let scheme), .padded(let scheme): scheme != .float32
    }
  }

  /// What people call it.
  var name: String {
    switch self {
    case .plain(let type): type.rawValue
    case .packed(let scheme): scheme.name
    case .padded(let scheme): "\(scheme.name) padded with zeros"
    }
  }
}

/// The weights of one tensor, in memory or mapped. A vector is a matrix of one row.
package enum ExportedWeights: Sendable {
  case source(WeightSource)
  case matrix(PackedMatrix)
  case vector(FloatVector)
  case floats([Float], columns: Int)

  /// Some rows as FP32: [rows.count][columns].
  ///
  /// - Throws: ``FurlError`` of kind `input` when a file cannot be read.
  func read(rows: Range<Int>, with tools: ExportTools) throws -> [Float] {
    switch self {
    case .source(let source): try source.loadFloats(rows: rows, with: tools.buffer)
    case .matrix(let matrix): matrix.read(rows: rows, pool: tools.pool)
    case .vector(let vector): vector.values
    case .floats(let values, let columns): Array(values[rows.lowerBound * columns..<rows.upperBound * columns])
    }
  }
}

/// What an export computes with.
struct ExportTools {
  let pool: WorkerPool
  let buffer = ReadBuffer()
}

extension ExportSource {
  /// - Throws: ``FurlError`` of kind `cannotCreate` when writing to a path would replace a file of the model.
  func refuseToBeReplaced(by path: String) throws {
    func identity(_ path: String) -> (UInt64, UInt64)? {
      var status = stat()
      return stat(path, &status) == 0 ? (UInt64(status.st_dev), UInt64(status.st_ino)) : nil
    }
    guard let output = identity(path) else { return }
    for file in files {
      guard let input = identity(file.path), input == output else { continue }
      throw FurlError(.cannotCreate, file: path, "is a file of the model itself", remedy: "give another name")
    }
  }

  /// - Throws: ``FurlError`` of kind `input` for a model that no other runtime knows.
  func refusePatches() throws {
    guard !spec.patches.isEmpty else { return }
    throw FurlError.input(
      path, "has a linear map in place of blocks, which other runtimes do not know",
      remedy: "run it with furl, or cut blocks with heal: none")
  }

  /// - Throws: ``FurlError`` of kind `input` when a file has changed since it was opened.
  func checkUnchanged() throws { for file in files { try file.checkUnchanged() } }
}

/// A file that goes with a checkpoint's weights.
package struct SideFile: Sendable {
  package enum SideContent: Sendable {
    case bytes([UInt8])
    /// To be copied as it is.
    case file(MappedFile)
  }

  package let name: String
  package let content: SideContent

  package init(name: String, content: SideContent) {
    self.name = name
    self.content = content
  }
}

/// How numbers are written down in an export.
package enum ExportNumbers: String, Sendable, Hashable, CaseIterable {
  case f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, mxfp4

  package var type: SourceType {
    switch self {
    case .f32: .float32
    case .f16: .float16
    case .bf16: .bfloat16
    case .q8_0: .q80
    case .q4_0: .q40
    case .q4_1: .q41
    case .q5_0: .q50
    case .q5_1: .q51
    case .q3_k: .q3k
    case .q4_k: .q4k
    case .q5_k: .q5k
    case .q6_k: .q6k
    case .iq4_nl: .iq4nl
    case .iq4_xs: .iq4xs
    case .mxfp4: .mxfp4
    }
  }

  /// Whether several weights share a scale.
  var isBlocks: Bool { type.blockSize > 1 }

  /// The form of a type; nil where there is none.
  init?(_ type: SourceType) {
    // What is read from it are FP32 numbers.
    let type = type == .float64 ? .float32 : type
    guard let found = ExportNumbers.allCases.first(where: { $0.type == type }) else { return nil }
    self = found
  }
}

/// How far an export is.
package struct ExportProgress: Sendable {
  package let tensor: String
  /// Weights done, this tensor included.
  package let done: Int
  package let total: Int
}

/// What an export has written.
package struct ExportResult: Sendable {
  /// Bytes of all files.
  package internal(set) var diskBytes = 0
  package internal(set) var tensors = 0
  /// How many tensors are written in each form, by its name.
  package internal(set) var forms: [String: Int] = [:]
  /// Tensors whose quantized weights were decoded and encoded anew, and what from.
  package internal(set) var encodedAnew: [String: Int] = [:]
  /// What the reader of the export has to know.
  package internal(set) var notes: [String] = []
}

/// The sizes of what is in memory at once.
enum ExportLimits {
  /// FP32 numbers of a stripe of rows.
  static let stripe = 1 << 22

  /// Rows that make up a stripe, a multiple of `unit`.
  static func rows(columns: Int, unit: Int = 1) -> Int { max(1, stripe / columns / unit) * unit }
}
