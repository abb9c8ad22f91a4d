import FurlBase
import FurlSpec
import FurlTensor

/// CodeGen (Nijkamp et al. 2022, https://arxiv.org/abs/2203.13474): GPT-J, with query, value and key fused in four parts, as
/// they lay on the four devices that it was trained on.
enum CodeGen: Architecture {
  static let modelType = "codegen"
  static let models = "CodeGen 350M to 16B"
  static let prefix = GPT2.prefix
  static let configurationKeys = GPT2.configurationKeys
  static let aliases = GPT2.aliases
  static let names = GPTJ.names
  private static let devices = 4

  static func spec(_ config: DocumentReader) throws -> ModelSpec {
    let spec = try GPTJ.spec(config, modelType)
    guard let attention = spec.blocks.first?.attention else { return spec }
    guard attention.heads % devices == 0 else {
      throw config.error("n_head", "\(attention.heads) heads are not \(devices) equal parts")
    }
    return spec
  }

  static func location(of tensor: TensorSpec, in spec: ModelSpec) -> TensorLocation {
    var location = GPTJ.location(of: tensor, in: spec)
    guard let place = [TensorRole.query, .value, .key].firstIndex(of: tensor.role), let block = tensor.block else {
      return location
    }
    let rows = tensor.shape[0] / devices
    location.name = "h.\(block).attn.qkv_proj.weight"
    location.part = (place * rows, 3 * tensor.shape[0])
    location.rowOrder = location.rowOrder.grouped(rows: rows, stride: 3 * rows)
    return location
  }
}
