package import FurlBase
package import FurlSpec

extension ProblemID {
  /// The name as JSON has it.
  package var json: JSON {
    switch self {
    case .text(let text): .string(text)
    case .integer(let integer): .integer(integer)
    }
  }
}
