import FurlBase
import FurlTestSupport
import Testing

/// What git leaves where git lfs did not run, in the place of any file.
@Suite struct FilePointerTests {
  static let text =
    "version https://git-lfs.github.com/spec/v1\noid sha256:\(String(repeating: "0f", count: 32))\nsize 98400000\n"

  @Test(arguments: [
    text, text.replacing("\n", with: "\r\n"), "\u{FEFF}" + text, "version https://hawser.github.com/spec/v1\noid x\n",
    text.replacing("oid", with: "ext-0-foo sha256:00\noid"),
  ])
  func pointersAreRefusedWithTheCure(_ text: String) throws {
    for name in ["model.safetensors", "tokenizer.model", "generation_config.json", "anything"] {
      let error = try #require(throws: FurlError.self) {
        try TestData.withTemporaryFile(Array(text.utf8), name) { try MappedFile(path: $0) }
      }
      #expect(error.kind == .input && error.file?.hasSuffix(name) == true)
      #expect(error.problem.contains("Git LFS pointer") && error.remedy?.contains("git lfs pull") == true)
    }
  }

  @Test(arguments: [
    "", "version", "version https://git-lfs.github.com/", "Version https://git-lfs.github.com/spec/v1",
    "# version https://git-lfs.github.com/spec/v1", text + String(repeating: "x", count: 1024),
  ])
  func otherTextsAreFiles(_ text: String) throws {
    #expect(try TestData.withTemporaryFile(Array(text.utf8), "a") { try MappedFile(path: $0).count } == text.utf8.count)
  }
}
