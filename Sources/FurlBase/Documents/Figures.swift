/// How figures are written for people.
package enum Figures {
  /// `7.4 MB`: decimal units, three digits.
  package static func bytes(_ count: Int) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"]
    var value = Double(count)
    var unit = 0
    while value >= 999.5, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(count) B" : "\(significant(value)) \(units[unit])"
  }

  /// Three significant digits without an exponent: 0.0123, 1.23, 12.3, 123, 1234.
  package static func significant(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    let magnitude = value == 0 ? 0 : Int(floor(log10(abs(value))))
    let decimals = max(0, min(9, 2 - magnitude))
    let text = value.text(decimals: decimals)
    // Rounding may reach the next power of ten, which has a digit more: 9.996 is 10.0.
    guard decimals > 0, let rounded = Double(text), abs(rounded) >= pow(10, Double(magnitude + 1)) else { return text }
    return value.text(decimals: max(0, min(9, 1 - magnitude)))
  }

  /// `6,971,392`: digits in threes, for numbers that are to be exact.
  package static func grouped(_ count: Int) -> String {
    let digits = Array(String(count.magnitude))
    var result = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3) { result += "," }
      result.append(digit)
    }
    return count < 0 ? "-" + result : result
  }

  /// `97.6 %`.
  package static func percent(_ share: Double, digits: Int = 1) -> String {
    (share * 100).text(decimals: digits) + " %"
  }

  /// `6.97 M`: counts of parameters.
  package static func count(_ count: Int) -> String {
    let units = ["", " k", " M", " B"]
    var value = Double(count)
    var unit = 0
    while value >= 999.5, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(count)" : significant(value) + units[unit]
  }

  /// A share that may be missing.
  package static func share(_ value: Double?) -> String { value.map { percent($0) } ?? "–" }

  /// So many digits behind the point.
  package static func fixed(_ value: Double, digits: Int) -> String { value.text(decimals: digits) }
}
