import FurlArtifact
import FurlBase
import FurlCheckpoint
import FurlModel
import FurlSpec
import FurlTensor
import FurlTestSupport
import FurlTokenizer
import Foundation
import Testing

/// What comes with the weights, on all ways through Furl.
@Suite struct PaperTests {
  private static let template =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\r\n{# é #}"
  private static let generation =
    "{ \"temperature\": 0.7,\n  \"top_k\": 20, \"do_sample\":true, \"eos_token_id\": [11,13] }\n\n"
  private static let card = """
    ---
    license: apache-2.0
    license_link: https://example.org/LICENSE
    base_model: [org/base, "org/other"]
    language:
    - en
    - no
    unknown: {a: 1}
    ---
    # A model
    """

  /// A chat model with all papers in a folder, written into `folder`.
  private func write(to folder: String, templates: JSON? = nil) throws {
    var chain = ChainCheckpoint()
    chain.config = [.init("eos_token_id", 11)]
    try chain.write(to: folder)
    if let templates {
      let path = folder + "/tokenizer_config.json"
      let old = try? JSON.parse(TestData.bytes(path), file: nil)
      let members = (old?.members ?? []).filter { $0.key != "chat_template" } + [.init("chat_template", templates)]
      try TestData.write(Array(JSON.object(members).compactText.utf8), to: path)
    } else {
      try TestData.write(Array(Self.template.utf8), to: folder + "/chat_template.jinja")
    }
    try TestData.write(Array(Self.generation.utf8), to: folder + "/generation_config.json")
    try TestData.write(Array(Self.card.utf8), to: folder + "/README.md")
    try TestData.write(Array("You may.\n".utf8), to: folder + "/LICENSE")
  }

  private func check(_ papers: ModelPapers, files: Bool = true, _ place: String) {
    #expect(papers.template("default")?.utf8.elementsEqual(Self.template.utf8) == true, "\(place)")
    #expect(papers.generation?.utf8.elementsEqual(Self.generation.utf8) == true, "\(place)")
    let card = JSON.object(papers.card)
    #expect(card["license"] == "apache-2.0" && card["license_link"] == "https://example.org/LICENSE", "\(place)")
    #expect(
      card["base_model"]?.texts == ["org/base", "org/other"] && card["language"]?.texts == ["en", "no"], "\(place)")
    #expect(!files || papers.files == [.init(name: "LICENSE", text: "You may.\n")], "\(place)")
  }

  @Test func surviveEveryWayByteForByte() throws {
    let pool = WorkerPool(threads: 1)
    try TestData.withTemporaryFolder { folder in
      let (source, copy, gguf) = (folder + "/source", folder + "/copy", folder + "/a.gguf")
      try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
      try write(to: source)
      let model = ExportedModel(try ModelFile(path: source))
      check(try model.papers(), "folder")
      _ = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30).write(model, to: copy, pool: pool)
      check(try ModelFile(path: copy).papers(), "safetensors")
      let result = try GGUFExport(numbers: nil).write(model, to: gguf, pool: pool)
      #expect(result.notes.contains { $0.contains("LICENSE") })
      let again = ExportedModel(try ModelFile(path: gguf))
      check(try again.papers(), files: false, "GGUF")
      _ = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30).write(again, to: folder + "/back", pool: pool)
      check(try ModelFile(path: folder + "/back").papers(), files: false, "GGUF and safetensors")
      #expect(try TestData.bytes(folder + "/back/generation_config.json") == Array(Self.generation.utf8))
    }
  }

  @Test func severalTemplatesKeepTheirNames() throws {
    let pool = WorkerPool(threads: 1)
    let list: JSON = [["name": "default", "template": "a{{ 1 }}"], ["name": "tool_use", "template": "b"]]
    let expected = [("default", "a{{ 1 }}"), ("tool_use", "b")].map { ModelPapers.NamedTemplate(name: $0, text: $1) }
    try TestData.withTemporaryFolder { folder in
      let source = folder + "/source"
      try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
      try write(to: source, templates: list)
      let model = ExportedModel(try ModelFile(path: source))
      #expect(try model.papers().templates == expected)
      _ = try SafetensorsExport(numbers: .f32, shardBytes: 1 << 30).write(model, to: folder + "/copy", pool: pool)
      #expect(try ModelFile(path: folder + "/copy").papers().templates == expected)
      _ = try GGUFExport(numbers: nil).write(model, to: folder + "/a.gguf", pool: pool)
      #expect(try ModelFile(path: folder + "/a.gguf").papers().templates == expected)
    }
  }

  @Test func chatsAreRenderedWithTheModelsOwnTokens() throws {
    try TestData.withTemporaryFolder { folder in
      try write(to: folder)
      try TestData.write(
        Array("{{ bos_token }}{{ messages[0].content }}{{ add_generation_prompt }}{{ x }}".utf8),
        to: folder + "/chat_template.jinja")
      let file = try ModelFile(path: folder)
      let tokenizer = try file.tokenizer()
      let clock = ClockTime(year: 2026, month: 1, day: 1)
      let text = try file.chatText(ChatRequest(system: "s", question: "q"), tokenizer: tokenizer, now: clock)
      #expect(text == "\(tokenizer.bosID.map { tokenizer.piece($0) } ?? "")sTrue")
      try TestData.write(
        Array(#"{"messages": [{"role": "user", "content": "m"}], "x": 3}"#.utf8), to: folder + "/m.json")
      let request = try ChatRequest(path: folder + "/m.json", system: nil)
      #expect(try file.chatText(request, tokenizer: tokenizer, now: clock).hasSuffix("mTrue3"))
      let error = #expect(throws: FurlError.self) {
        try ModelFile(path: TestData.minipy).chatText(request, tokenizer: tokenizer, now: clock)
      }
      #expect("\(error!)".contains("chat template: is missing"))
    }
  }

  @Test(arguments: [("1:1", "", "ab\né\n"), ("2:2", "ab\né", "\n"), ("3:1", "ab\né\n", ""), ("1:3", "ab", "\né\n")])
  func placesAreCountedFromOne(_ place: String, _ prefix: String, _ suffix: String) throws {
    try TestData.withTemporaryFile(Array("ab\né\n".utf8), "a.py") { path in
      let found = try InfillPlace(path: path, at: place)
      #expect(found.prefix == prefix && found.suffix == suffix)
      for wrong in ["4:1", "1:4", "0:1", "1", "a:b", "1:2:3", "-1:1"] {
        #expect(throws: FurlError.self) { try InfillPlace(path: path, at: wrong) }
      }
    }
  }

  /// What artifacts are told by: minipy's settings of generation name tokens only.
  @Test func tokensAloneAreNotInTheIdentity() throws {
    #expect(try Checkpoint(path: TestData.minipy).papers().identity == nil)
    var papers = ModelPapers()
    papers.generation = Self.generation
    #expect(papers.identity?["generation_config"] != nil)
    let reader = try DocumentReader(try #require(papers.json), file: "x")
    #expect(try ModelPapers(reader) == papers)
  }
}
