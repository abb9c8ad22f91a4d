import CFurlKernels

/// Elementary functions that are the same on every CPU. The C library's are not: it chooses among several forms of each
/// by what the CPU has, and they differ in the last bit.
package enum Elementary {
  /// eˣ
  package static func exp(_ x: Double) -> Double { furl_exponential(x) }

  /// eˣ
  package static func exp(_ x: Float) -> Float { furl_exponential_float(x) }

  /// 2ˣ, exact for whole numbers.
  package static func exp2(_ x: Double) -> Double { furl_power_of_two(x) }

  /// The natural logarithm.
  package static func log(_ x: Double) -> Double { furl_logarithm(x) }

  /// The natural logarithm.
  package static func log(_ x: Float) -> Float { Float(furl_logarithm(Double(x))) }

  /// log(1 + eˣ), without overflow.
  package static func softplus(_ x: Double) -> Double { max(x, 0) + log(1 + exp(-abs(x))) }

  /// xʸ of x above 0.
  package static func pow(_ x: Double, _ y: Double) -> Double { furl_power(x, y) }

  /// Of an angle in radians.
  package static func cosineAndSine(_ angle: Double) -> (cosine: Double, sine: Double) {
    var sine = 0.0
    let cosine = furl_cosine_and_sine(angle, &sine)
    return (cosine, sine)
  }
}
