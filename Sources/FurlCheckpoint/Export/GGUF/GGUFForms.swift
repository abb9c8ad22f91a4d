import FurlBase
import FurlSpec
import FurlTensor

/// Decides in which form the tensors of a GGUF file are written.
struct GGUFForms {
  /// What was asked for; nil: what the model has.
  let numbers: ExportNumbers?
  let source: any ExportSource
  /// llama.cpp's architecture, for errors.
  let architecture: String

  /// ggml's number of a form.
  static func number(of numbers: ExportNumbers) -> UInt32 {
    GGUFTensor.typeNames.first { $0.value == numbers.type.rawValue }?.key ?? 0
  }

  /// `general.file_type`, llama.cpp's number of the form that most weights have.
  static func fileType(of tensors: [GGUFTensorPlan]) -> UInt32 {
    var counts: [ExportNumbers: Int] = [:]
    for tensor in tensors where tensor.hasForms && tensor.name.hasPrefix("blk.") {
      counts[tensor.numbers, default: 0] += tensor.elementCount
    }
    func has(_ form: ExportNumbers) -> Bool { counts[form, default: 0] > 0 }
    // The first of equals by the enumeration's order, so that equal models give equal bytes.
    let most = ExportNumbers.allCases.max { counts[$0, default: 0] < counts[$1, default: 0] } ?? .f32
    switch most {
    case .f32: return 0
    case .f16: return 1
    case .q4_0: return 2
    case .q4_1: return 3
    case .q8_0: return 7
    case .bf16: return 32
    case .q5_0: return 8
    case .q5_1: return 9
    case .q3_k: return has(.q5_k) || has(.q4_k) ? 12 : 11
    case .q4_k: return has(.q6_k) ? 15 : 14
    case .q5_k: return has(.q6_k) ? 17 : 16
    case .q6_k: return 18
    case .iq4_nl: return 25
    case .iq4_xs: return 30
    case .mxfp4: return 38
    }
  }

  /// A tensor with its form, which is counted in `result`.
  ///
  /// - Throws: ``FurlError`` of kind `input` for weights that GGUF cannot hold as they are, unless a form was asked
  ///   for.
  func decided(_ tensor: GGUFTensorPlan, _ result: inout ExportResult) throws -> GGUFTensorPlan {
    var decided = tensor
    if case .weights(let layout) = tensor.content, tensor.hasForms {
      let parts = try layout.slices.joined().map { part in
        FormPart(
          spec: part.spec,
          isFolded: try part.location.fold != .none && part.location.fold != source.fold(of: part.spec),
          isTurned: part.location.headRows != nil)
      }
      decided.numbers = try numbers.map { try asked($0, tensor, parts, &result) } ?? kept(tensor, parts)
    }
    result.forms[decided.numbers.rawValue, default: 0] += 1
    return decided
  }

  /// A tensor of the model that belongs to one of the file.
  private struct FormPart {
    let spec: TensorSpec
    /// Whether the file has other numbers than the model, and the model's were not read from such: blocks cannot be taken over.
    let isFolded: Bool
    /// Whether the file has it input x output: blocks of the model lie across those of the file.
    var isTurned: Bool
  }

  /// The form that holds exactly the weights that a tensor has.
  private func exact(_ part: FormPart) throws -> ExportNumbers? {
    let tensor = part.spec
    let numbers = try source.numbers(of: tensor)
    if part.isFolded, numbers.isBlocks { return nil }
    // All numbers of blocks are FP32 numbers.
    if part.isTurned, try kept(whole: part) { return .f32 }
    switch numbers {
    case .plain(let type): return ExportNumbers(type)
    case .packed(.float32): return .f32
    case .padded: return nil
    case .packed(let scheme): return scheme.blockType(columns: tensor.shape[1]).flatMap { ExportNumbers($0) }
    }
  }

  /// Whether a file would have the blocks of a tensor as they are, lay they the right way.
  private func kept(whole part: FormPart) throws -> Bool {
    var whole = part
    whole.isTurned = false
    return try source.numbers(of: part.spec).isBlocks && exact(whole) != nil
  }

  private func kept(_ tensor: GGUFTensorPlan, _ parts: [FormPart]) throws -> ExportNumbers {
    let remedy = "give --dtype f16, or q8_0, q4_0 or another form of blocks to encode the weights anew"
    let forms = try parts.map { part in
      guard let form = try exact(part) else { throw try noForm(part, remedy: remedy) }
      return form
    }
    guard Set(forms).count == 1 else {
      throw FurlError.input(
        source.path, parts[0].spec.name,
        "is \(forms[0].rawValue) and other parts of llama.cpp's \(tensor.name) are \(forms[1...].map(\.rawValue).joined(separator: " and "))",
        remedy: remedy)
    }
    return forms[0]
  }

  private func noForm(_ part: FormPart, remedy: String) throws -> FurlError {
    let numbers = try source.numbers(of: part.spec)
    let columns = part.spec.shape[1]
    let isWhole = if case .padded = numbers { true } else { columns % 32 == 0 }
    guard isWhole else {
      return .input(
        source.path, part.spec.name, "GGUF has blocks of 32 weights only, and its rows have \(columns)",
        remedy: "give --dtype f16")
    }
    guard !(part.isFolded && numbers.isBlocks) else {
      return .input(
        source.path, part.spec.name,
        "\(architecture) files have a multiple of its weights, which blocks in \(numbers.name) cannot be made into exactly",
        remedy: remedy)
    }
    return .input(source.path, part.spec.name, "GGUF has no form for weights in \(numbers.name)", remedy: remedy)
  }

  private func asked(
    _ numbers: ExportNumbers, _ tensor: GGUFTensorPlan, _ parts: [FormPart], _ result: inout ExportResult
  ) throws -> ExportNumbers {
    let held = try parts.map(exact)
    var form = numbers
    let isHeld = held.allSatisfy { $0 == numbers }
    switch parts[0].spec.role {
    case .positions where !isHeld:
      // As llama.cpp's converter: they are added, not multiplied, and there are few of them.
      form = held[0]?.isBlocks == true ? held[0] ?? .f32 : .f32
    case .inputContext where !isHeld && numbers.isBlocks:
      // As llama.cpp's quantizer, which leaves it as it is.
      form = Set(held).count == 1 && held[0]?.isBlocks == false ? held[0] ?? .f32 : .f32
    case let role where [.embedding, .head].contains(role) && !isHeld && numbers.isBlocks && numbers != .q8_0:
      // As llama.cpp's quantizer, which gives more bits to what turns into logits.
      form = numbers.type.blockSize > 32 && tensor.columns % numbers.type.blockSize == 0 ? .q6_k : .q8_0
    default: break
    }
    let columns = tensor.isBesideEachOther ? parts[0].spec.shape[1] : tensor.columns
    guard columns % form.type.blockSize == 0 else {
      throw FurlError.input(
        source.path, parts[0].spec.name,
        "cannot be \(form.rawValue): it has blocks of \(form.type.blockSize) weights, and its rows have \(columns)",
        remedy: "give --dtype f16 or f32")
    }
    var schemes: Set<String> = []
    for (part, held) in zip(parts, held) where held != form && form != .f32 {
      let numbers = try source.numbers(of: part.spec)
      switch numbers {
      case .packed(let scheme) where scheme != .float32: schemes.insert(scheme.name)
      case .padded: schemes.insert(numbers.name)
      default: break
      }
    }
    for scheme in schemes { result.encodedAnew[scheme, default: 0] += 1 }
    return form
  }
}
