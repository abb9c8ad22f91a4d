import FurlTensor

/// Logarithms of softmaxes: the only ones that Furl computes by itself, so that each use names its precision.
package enum LogSoftmax {
  /// log p of every logit of a row, in nats, all of it in double precision: what perplexities and divergences are
  /// reported from.
  package static func double(_ logits: Span<Float>) -> [Double] {
    var largest = -Double.infinity
    for index in logits.indices { largest = max(largest, Double(logits[index])) }
    var sum = 0.0
    for index in logits.indices { sum += Elementary.exp(Double(logits[index]) - largest) }
    let offset = largest + Elementary.log(sum)
    return logits.indices.map { Double(logits[$0]) - offset }
  }

  /// log p of every logit of a row, in nats, with exponentials in single precision and their sum in double: what a
  /// survey compares models by over many positions, where the first form would take most of the time and memory.
  ///
  /// - Parameter output: as many numbers as there are logits.
  package static func float(_ logits: Span<Float>, into output: UnsafeMutableBufferPointer<Float>) {
    precondition(output.count == logits.count)
    var largest = -Float.infinity
    for index in logits.indices { largest = max(largest, logits[index]) }
    var sum = 0.0
    for index in logits.indices { sum += Double(Elementary.exp(logits[index] - largest)) }
    let offset = largest + Float(Elementary.log(sum))
    for index in logits.indices { output[index] = logits[index] - offset }
  }

  /// What a kernel's softmax leaves to be taken from each logit: the logarithm of the sum of exponentials, from the
  /// largest logit and the sum of exponentials relative to it. Training's form.
  static func offset(largest: Float, sum: Float) -> Float { largest + Elementary.log(sum) }
}
