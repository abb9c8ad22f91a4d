/// The text part of the weights of a model that takes images or sounds beside text.
struct TextPart {
  /// Its tensors, by the names that they have in a model of text alone.
  let stored: StoredTensors
  /// What was left out, in words.
  let notes: [String]

  /// What stands before the names of other parts.
  private static let others = [
    "vision_tower.", "vision_model.", "visual.", "multi_modal_projector.", "audio_tower.", "embed_vision.",
    "embed_audio.", "mtp.",
  ]

  /// - Throws: ``FurlError`` of kind `input` when two tensors get one name.
  init(_ stored: StoredTensors, isWrapped: Bool) throws {
    guard isWrapped else {
      (self.stored, notes) = (stored, [])
      return
    }
    let kept = stored.keeping { name in
      !TextPart.others.contains { name.hasPrefix($0) || name.hasPrefix("model." + $0) }
    }
    let count = stored.tensors.count - kept.tensors.count
    self.stored = try kept.renamed { name in
      if name.hasPrefix("model.language_model.") { return "model." + name.dropFirst("model.language_model.".count) }
      return name.hasPrefix("language_model.") ? String(name.dropFirst("language_model.".count)) : name
    }
    notes = count == 0 ? [] : ["\(count) tensors of its other parts (images, sounds) are left out"]
  }
}
