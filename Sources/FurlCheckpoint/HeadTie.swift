import FurlSpec
import FurlTensor

/// Embedding and head where the configuration says that they are one matrix: the files may hold it under either name,
/// under both, or two different matrices. The files decide, as in transformers.
struct HeadTie {
  /// Whether the head is a matrix of its own after all.
  private(set) var isStoredApart = false
  private(set) var notes: [String] = []
  /// Where the embedding lies, if that is under the head's name.
  private var embedding: TensorLocation?
  /// The name of a head that says the embedding again.
  private var copy: String?

  init(_ stored: StoredTensors, family: any Architecture.Type, spec: ModelSpec) throws {
    guard spec.tiedEmbeddings else { return }
    var apart = spec
    apart.tiedEmbeddings = false
    guard let head = apart.tensors.first(where: { $0.name == "head" }),
      let tensor = apart.tensors.first(where: { $0.name == "embedding" })
    else { return }
    func find(_ location: TensorLocation) -> StoredTensors.Tensor? {
      stored.tensors[family.prefix + location.name] ?? stored.tensors[location.name]
    }
    let (headLocation, location) = (family.location(of: head, in: apart), family.location(of: tensor, in: apart))
    guard let headTensor = find(headLocation) else { return }
    guard let embeddingTensor = find(location) else {
      embedding = headLocation
      notes = ["embedding and head are one matrix, which is stored as \(headLocation.name) alone"]
      return
    }
    guard !HeadTie.areEqual(headTensor, embeddingTensor, shape: tensor.shape) else {
      copy = headLocation.name
      return
    }
    isStoredApart = true
    notes = [
      "\(headLocation.name) is another matrix than \(location.name), though tie_word_embeddings says that they are one: "
        + "it is the head"
    ]
  }

  /// Where a tensor lies, if that is elsewhere than the family says.
  func location(of tensor: TensorSpec) -> TensorLocation? { tensor.name == "embedding" ? embedding : nil }

  /// Whether a stored tensor is the embedding again.
  func isCopy(_ name: String) -> Bool { name == copy }

  /// Ends with the first number that differs; what cannot be compared is not equal.
  private static func areEqual(_ one: StoredTensors.Tensor, _ other: StoredTensors.Tensor, shape: [Int]) -> Bool {
    guard one.shape == shape, other.shape == shape, let first = source(one), let second = source(other) else {
      return false
    }
    return first.isEqual(to: second)
  }

  private static func source(_ tensor: StoredTensors.Tensor) -> WeightSource? {
    guard let type = tensor.type, type.blockSize == 1 else { return nil }
    return try? WeightSource(
      file: tensor.file, type: type, offset: tensor.offset, rows: tensor.shape[0], columns: tensor.shape[1],
      rowStride: tensor.strides[0], columnStride: tensor.strides[1])
  }
}
