extension Pattern {
  /// Of GPT-2 and of what came after it until 2023.
  static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  /// Of Llama 3.
  static let llama3 = contractions + lettersAfterAny + #"|\p{N}{1,3}"# + punctuation
  /// Of Qwen2: digits stand alone.
  static let qwen2 = contractions + lettersAfterAny + #"|\p{N}"# + punctuation

  private static let contractions = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"#
  private static let lettersAfterAny = #"[^\r\n\p{L}\p{N}]?\p{L}+"#
  private static let punctuation = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
}
