import FurlBase
import FurlSpec
import FurlTensor

/// Matrices of experts in MXFP4, as gpt-oss's checkpoints hold them: `NAME_blocks` [experts][outputs][blocks][16] of codes,
/// and `NAME_scales` [experts][outputs][blocks] beside it, all of bytes. Rows are outputs, whatever the plain form has.
enum MXFP4Experts {
  private static let columns = 32
  private static let bytes = 16

  static func isBytes(_ tensor: StoredTensors.Tensor) -> Bool {
    ["U8", "UINT8"].contains(tensor.typeName.uppercased())
  }

  /// Whether a tensor of codes has the form that is read.
  static func mayRead(_ tensor: StoredTensors.Tensor) -> Bool {
    isBytes(tensor) && tensor.shape.count == 4 && tensor.shape[3] == bytes
  }

  /// - Returns: nil where there are no such tensors of that name.
  /// - Throws: ``FurlError`` of kind `input` for tensors of another form than the configuration says.
  static func source(
    of tensor: TensorSpec, at location: TensorLocation, name: String, in stored: StoredTensors, sizesFrom: String
  ) throws -> (source: WeightSource, names: [String])? {
    let names = [name + "_blocks", name + "_scales"]
    guard tensor.shape.count == 2, let slice = location.slice, let codes = stored.tensors[names[0]],
      let scales = stored.tensors[names[1]]
    else { return nil }
    let (outputs, start) = (location.part?.total ?? tensor.shape[0], location.part?.start ?? 0)
    let inputs = tensor.shape[1]
    let expected = [slice.count, outputs, inputs / columns]
    for (found, name, shape) in [(codes, names[0], expected + [bytes]), (scales, names[1], expected)] {
      guard isBytes(found) else {
        throw FurlError.input(found.file.path, name, "has dtype \(found.typeName); codes and scales of MXFP4 are U8")
      }
      let isDense = found.strides == StoredTensors.Tensor.denseStrides(found.shape)
      guard inputs % columns == 0, found.shape == shape, isDense else {
        throw FurlError.input(found.file.path, name, "has shape \(found.shape); \(sizesFrom) says \(shape)")
      }
    }
    let firstBlock = slice.index * outputs * (inputs / columns)
    let matrix = try MXFP4Codes(
      codes: (codes.file, codes.offset + firstBlock * bytes), scales: (scales.file, scales.offset + firstBlock),
      shape: (outputs, inputs))
    let source = try WeightSource(
      coded: matrix, firstRow: start, rows: tensor.shape[0], columns: inputs, rowOrder: location.rowOrder)
    return (source.folding(location.fold), names)
  }
}
