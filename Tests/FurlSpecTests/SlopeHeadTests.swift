import FurlBase
import FurlSpec
import Testing

/// Heads that are left of more, each with the slope that it had.
@Suite struct SlopeHeadTests {
  private static func spec(_ change: (inout AttentionSpec) -> Void) -> ModelSpec {
    var spec = StageSpecTests.spec
    guard var attention = spec.blocks[0].attention else { return spec }
    attention.slopeLimit = 8
    attention.slopeHeads = .init(all: 9, kept: [0, 3, 4, 8])
    change(&attention)
    for block in 0..<2 { spec.blocks[block].attention = attention }
    return spec
  }

  @Test func theyAreReadBack() throws {
    let spec = Self.spec { _ in }
    try spec.validate(file: nil)
    let text = spec.json.compactText
    #expect(text.contains(#""slope_limit":8.0,"slope_heads":{"all":9,"kept":[0,3,4,8]}"#))
    #expect(try StageSpecTests.read(StageSpecTests.parsed(text)) == spec)
    #expect(spec.blocks[0].attention?.slopes?.count == 4)
  }

  @Test(arguments: [
    #"{"all":3,"kept":[0,1,2,3]}"#, #"{"all":9,"kept":[0,3,4]}"#, #"{"all":9,"kept":[0,3,4,9]}"#,
    #"{"all":9,"kept":[0,3,3,8]}"#, #"{"all":9,"kept":[-1,3,4,8]}"#, #"{"all":9,"kept":[4,3,0,8]}"#,
    #"{"all":9,"kept":[0,3,4,0.5]}"#, #"{"all":9}"#, #"{"kept":[0,3,4,8]}"#, #"{"all":9,"kept":[0,3,4,8],"more":1}"#,
    #"{"all":1000000,"kept":[0,3,4,8]}"#, "[0,3,4,8]",
  ])
  func whatFitsNoHeadsIsRefused(_ heads: String) throws {
    let text = Self.spec { _ in }.json.compactText
      .replacing(#"{"all":9,"kept":[0,3,4,8]}"#, with: heads)
    let error = #expect(throws: FurlError.self) { try StageSpecTests.read(StageSpecTests.parsed(text)) }
    #expect(error?.kind == .input && error?.place?.contains("slope_heads") == true, "\(String(describing: error))")
  }

  @Test func theyNeedSlopes() {
    let error = #expect(throws: FurlError.self) { try Self.spec { $0.slopeLimit = nil }.validate(file: "a.furl") }
    #expect(error?.place?.contains("slope_heads") == true)
  }
}
