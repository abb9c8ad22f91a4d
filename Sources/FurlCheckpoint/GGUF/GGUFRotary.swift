import FurlBase
import FurlSpec
import FurlTensor

/// How a GGUF file says that heads are turned, in the keys of `config.json`.
struct GGUFRotary {
  let file: GGUFFile
  let architecture: String
  /// Numbers of each head that are turned.
  let dimensions: Int

  private func name(_ key: String) -> String { architecture + ".rope." + key }

  /// - Throws: ``FurlError`` of kind `input` for a scaling that Furl does not compute.
  func members() throws -> [JSON.Member] {
    let theta = try file.metadata.number(name("freq_base")) ?? 10_000
    guard theta >= 1, theta <= 1e12 else {
      throw file.metadata.error(name("freq_base"), "\(theta) is out of range", remedy: "allowed: 1 to 1e12")
    }
    let linear = try linearFactor()
    let factor = try llama3Factor(theta: theta)
    var members: [JSON.Member] = [.init("rope_theta", .number(theta))]
    if let factor {
      guard linear == 1 else {
        throw file.metadata.error(name("scaling.factor"), "is given beside \(GGUFNames.rotaryFactors)")
      }
      members.append(
        .init(
          "rope_scaling",
          [
            "rope_type": "llama3", "factor": .number(factor), "low_freq_factor": .number(GGUFRotary.low),
            "high_freq_factor": .number(GGUFRotary.high),
            "original_max_position_embeddings": .integer(GGUFRotary.originalContext),
          ]))
    } else if linear != 1 {
      members.append(.init("rope_scaling", ["rope_type": "linear", "factor": .number(linear)]))
    }
    return members
  }

  /// What frequencies are divided by; 1 without scaling.
  private func linearFactor() throws -> Double {
    let kind = try file.metadata.string(name("scaling.type")) ?? "linear"
    guard kind != "none" else { return 1 }
    guard kind == "linear" else {
      throw file.metadata.error(
        name("scaling.type"), "\"\(kind)\" is not supported yet", remedy: "supported: none, linear")
    }
    // The second is the key of files of 2023.
    let factor = try file.metadata.number(name("scaling.factor")) ?? file.metadata.number(name("scale_linear")) ?? 1
    return factor == 0 ? 1 : factor
  }

  // What every Llama 3.1, 3.2 and 3.3 was trained with; the file has only what becomes of it.
  private static let (low, high, originalContext) = (1.0, 4.0, 8192)

  /// The factor of Llama 3's scaling: the file has what each frequency is divided by, and this finds the factor that
  /// gives the same numbers.
  private func llama3Factor(theta: Double) throws -> Double? {
    guard architecture == "llama",
      let (tensor, data) = file.tensors.first(where: { $0.tensor.name == GGUFNames.rotaryFactors })
    else { return nil }
    guard tensor.type == .float32, dimensions > 0, dimensions <= 1 << 16, tensor.shape == [dimensions / 2] else {
      throw FurlError.input(
        data.path, tensor.name, "is \(tensor.typeName) of shape \(tensor.shape); F32 of [\(dimensions / 2)] is expected"
      )
    }
    let divisors = data.floats(.float32, at: tensor.offset, count: dimensions / 2).map(Double.init)
    if divisors.allSatisfy({ $0 == 1 }) { return nil }
    let factor = divisors.max() ?? 1
    let plain = ModelSpec.Rotary(theta: theta, dimensions: dimensions)
    let scaled = ModelSpec.Rotary(
      theta: theta, dimensions: dimensions,
      scaling: .llama3(
        factor: factor, lowFrequencyFactor: GGUFRotary.low, highFrequencyFactor: GGUFRotary.high,
        originalContext: GGUFRotary.originalContext))
    // The converter computes in FP32.
    let isSame = zip(divisors, zip(plain.frequencies, scaled.frequencies)).allSatisfy { divisor, pair in
      abs(divisor - pair.0 / pair.1) <= 1e-4 * divisor
    }
    guard factor.isFinite, factor > 1, isSame else {
      throw FurlError.input(
        data.path, tensor.name,
        "divides the rotary frequencies otherwise than Llama 3 does, which is not supported yet")
    }
    return factor
  }
}
