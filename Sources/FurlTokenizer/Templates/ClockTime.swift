import FurlBase

/// A moment on a clock, for templates that say what day it is.
package struct ClockTime: Sendable, Hashable {
  package var year: Int
  /// From 1.
  package var month: Int
  /// From 1.
  package var day: Int
  package var hour: Int
  package var minute: Int
  package var second: Int

  package init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    (self.year, self.month, self.day) = (year, month, day)
    (self.hour, self.minute, self.second) = (hour, minute, second)
  }

  /// What the machine's clock says, in its own time zone.
  package static func now() -> ClockTime {
    var (seconds, parts) = (time(nil), tm())
    localtime_r(&seconds, &parts)
    return ClockTime(
      year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday), hour: Int(parts.tm_hour),
      minute: Int(parts.tm_min), second: Int(parts.tm_sec))
  }

  /// What ``text(_:)`` knows.
  static let forms = "%Y %y %m %d %e %H %I %M %S %p %A %a %B %b %h %j %F %T %D %% and %- before a number"

  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
  ]
  private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

  /// 0 for a Sunday, by Zeller's congruence.
  private var weekday: Int {
    let (month, year) = month < 3 ? (month + 12, year - 1) : (month, year)
    let zeller = day + 13 * (month + 1) / 5 + year + year / 4 - year / 100 + year / 400
    return (zeller + 6) % 7
  }

  private var dayOfYear: Int {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].prefix(month - 1).reduce(0, +) + day
  }

  /// As C's `strftime` writes it, with English names; nil for a form that is not known.
  package func text(_ form: String) -> String? {
    var result = ""
    var rest = form.unicodeScalars[...]
    while let scalar = rest.popFirst() {
      guard scalar == "%" else {
        result.unicodeScalars.append(scalar)
        continue
      }
      let isBare = rest.first == "-"
      if isBare { rest.removeFirst() }
      guard let code = rest.popFirst() else { return nil }
      if let number = number(code) {
        result += ClockTime.padded(number.value, isBare ? 1 : number.width, with: code == "e" ? " " : "0")
      } else if let word = word(code), !isBare {
        result += word
      } else {
        return nil
      }
    }
    return result
  }

  private static func padded(_ value: Int, _ width: Int, with pad: String) -> String {
    String(repeating: pad, count: max(0, width - "\(value)".count)) + "\(value)"
  }

  private func number(_ code: Unicode.Scalar) -> (value: Int, width: Int)? {
    switch code {
    case "Y": (year, 4)
    case "y": (year % 100, 2)
    case "m": (month, 2)
    case "d", "e": (day, 2)
    case "H": (hour, 2)
    case "I": ((hour + 11) % 12 + 1, 2)
    case "M": (minute, 2)
    case "S": (second, 2)
    case "j": (dayOfYear, 3)
    default: nil
    }
  }

  private func word(_ code: Unicode.Scalar) -> String? {
    switch code {
    case "A": ClockTime.days[weekday]
    case "a": String(ClockTime.days[weekday].prefix(3))
    case "B": ClockTime.months[month - 1]
    case "b", "h": String(ClockTime.months[month - 1].prefix(3))
    case "p": hour < 12 ? "AM" : "PM"
    case "F": text("%Y-%m-%d")
    case "T": text("%H:%M:%S")
    case "D": text("%m/%d/%y")
    case "%": "%"
    default: nil
    }
  }
}
