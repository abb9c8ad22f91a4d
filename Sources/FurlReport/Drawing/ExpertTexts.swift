import FurlBase
import FurlModel
import FurlSpec

extension Inspection {
  /// How many experts there are, and what they saw of the calibration, in sentences; empty for a model without any.
  ///
  /// What an artifact says of its calibration is taken as far as it makes sense.
  package var expertTexts: [String] {
    let blocks = file.spec.blocks.compactMap(\.experts)
    guard let first = blocks.first else { return [] }
    func range(_ values: [Int]) -> String {
      let (least, most) = (values.min() ?? 0, values.max() ?? 0)
      return least == most ? "\(least)" : "\(least) to \(most)"
    }
    let shared = first.shared == nil ? "" : ", and one that all tokens go through"
    var texts = [
      "\(range(blocks.map(\.count))) in each of \(blocks.count) blocks, of which a token goes through "
        + "\(range(blocks.map(\.active)))\(shared)"
    ]
    guard let seen = experts?["calibration"], let least = seen["least_tokens"]?.integer,
      let positions = seen["positions"]?.integer, let few = seen["few"]?.array
    else { return texts }
    texts.append("each saw at least \(least) of the \(positions) positions of the calibration")
    if !few.isEmpty {
      let names = few.prefix(3).compactMap { one -> String? in
        guard let name = one["expert"]?.string, let tokens = one["tokens"]?.integer else { return nil }
        return "\(name) (\(tokens))"
      }
      texts.append(
        "\(few.count) saw few, and were calibrated with others' positions beside their own: "
          + names.joined(separator: ", ") + (few.count > 3 ? ", ..." : ""))
    }
    return texts
  }
}
