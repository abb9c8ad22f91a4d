import FurlEvaluate
import FurlTestSupport
import Testing

/// What is loaded before the command does anything.
@Suite struct LibrariesTests {
  #if os(Linux)
  /// The names of needed libraries lie in the file as they are.
  @Test func neitherFoundationNorItsTablesAreNeeded() throws {
    let bytes = try TestData.bytes(Tool.path)
    #expect(bytes.firstRange(of: Array("libFoundationEssentials.so\0".utf8)) != nil)
    for library in ["libFoundation.so", "lib_FoundationICU.so", "libFoundationInternationalization.so"] {
      #expect(bytes.firstRange(of: Array("\0\(library)\0".utf8)) == nil, "\(library)")
    }
  }
  #endif
}
