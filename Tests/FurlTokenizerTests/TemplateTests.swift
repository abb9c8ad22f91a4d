import FurlBase
import FurlTestSupport
import FurlTokenizer
import Testing

/// Chat templates against transformers and jinja2: `make_templates.py` of the fixtures.
@Suite struct ChatTemplateTests {
  private static let folder = TestData.root + "/Tests/Fixtures/templates/"
  private static let fixture = try? JSON.parse(TestData.bytes(folder + "rendered.json"), file: nil)
  private static let clock = ClockTime(year: 2026, month: 3, day: 7, hour: 14, minute: 5, second: 9)

  static let names = Set((fixture?["cases"]?.array ?? []).compactMap { $0["template"]?.string }).sorted()

  private static func items(_ key: String) -> [JSON] { fixture?[key]?.array ?? [] }

  /// What a template makes of a chat of the fixtures; nil where it refuses.
  private static func rendered(_ item: JSON, _ template: ChatTemplate) throws -> String? {
    let chat = try #require(fixture?["chats"]?[item["chat"]?.string ?? ""])
    let others = (fixture?["tokens"]?.members ?? []) + (chat["others"]?.members ?? [])
    return try outcome {
      try template.render(
        ChatInput(
          messages: chat["messages"]?.array ?? [], tools: chat["tools"],
          addsGenerationPrompt: item["prompt"] == .bool(true), others: others), now: clock)
    }
  }

  private static func outcome(_ body: () throws -> String) throws -> String? {
    do {
      return try body()
    } catch let error as FurlError {
      #expect(error.kind == .input && error.place?.hasPrefix("chat template, line ") == true, "\(error)")
      return nil
    }
  }

  @Test(arguments: names) func isRenderedAsTransformersDoes(_ name: String) throws {
    let text = String(decoding: try TestData.bytes(Self.folder + name), as: UTF8.self)
    let template = try ChatTemplate(text, file: name)
    for item in Self.items("cases") where item["template"]?.string == name {
      let found = try Self.rendered(item, template)
      #expect(found == item["text"]?.string, "\(item["chat"]?.string ?? ""), \(item["prompt"]?.bool ?? false)")
    }
  }

  @Test func thereAreTemplatesOfTenFamilies() { #expect(Self.names.count >= 13 && Self.items("snippets").count >= 55) }

  private static func render(_ item: JSON) throws -> String {
    let values = fixture?["values"]?.members ?? []
    return try ChatTemplate(item["template"]?.string ?? "", file: nil).render(
      ChatInput(messages: [], others: values), now: clock)
  }

  @Test func everythingOfTheLanguageIsAsInJinja() throws {
    for item in Self.items("snippets") {
      do {
        let found = try Self.render(item)
        #expect(found == item["text"]?.string, "\(item["template"]?.string ?? "")")
      } catch { Issue.record("\(item["template"]?.string ?? ""): \(error)") }
    }
  }

  @Test func whatJinjaRefusesIsRefused() throws {
    for item in Self.items("failing") {
      #expect(try Self.outcome { try Self.render(item) } == nil, "\(item["template"]?.string ?? "")")
    }
  }

  /// Templates that take what they are not to take, and what the error says of it.
  static let hostile: [(String, String)] = [
    ("{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}", "steps"),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "deeply"),
    ("{% set ns = namespace(a='x') %}{% for i in range(100) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}", "MiB"),
    ("{% set ns = namespace(a=[]) %}{% for i in range(1000) %}{% set ns.a = [ns.a] %}{% endfor %}", "nested"),
    ("{% set n = namespace(a=['x']) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% endfor %}", "large"),
    ("{{ 'ab' * 1000000000 }}", "MiB"), ("{{ [1] * 1000000000 }}", "steps"), ("{{ 'a'.zfill(1000000000000) }}", "MiB"),
    ("{{ 'x' | indent(1000000000000, true) }}", "MiB"), ("{{ 2 ** 64 }}", "64 bits"),
    (String(repeating: "(", count: 5000), "nested"), ("{{ " + String(repeating: "[", count: 5000), "nested"),
    ("{{ " + String(repeating: "not ", count: 5000) + "1 }}", "nested"),
    ("{{ 1" + String(repeating: " + 1", count: 5000) + " }}", "too long"),
    ("{{ a" + String(repeating: ".b", count: 5000) + " }}", "too long"),
    (String(repeating: "{% if 1 %}", count: 5000), "nested"),
    ("{% include '/etc/passwd' %}", "reads another file"), ("{% import 'x' as y %}", "reads another file"),
    ("{% extends 'x' %}", "reads another file"), ("{{ ''.__class__.__mro__ }}", "no __mro__"),
    ("{{ x | attr('y') }}", "the filter \"attr\" is not supported"), ("{% do x %}", "{% do %} is not supported"),
    ("\n\n{{ cycler(1) }}", "line 3: cycler is not supported"), ("{{ '%d' % 1 }}", "% behind it is not supported"),
    ("{% for x in y recursive %}{% endfor %}", "recursive"), ("{{ x(*y) }}", "arguments from a list"),
    ("{{ ('<'|safe).strip() }}", "|safe"), ("{% call m() %}{% endcall %}", "{% call %} is not supported"),
  ]

  @Test(arguments: hostile) func isBoundedAndRefusedByName(_ template: String, _ words: String) throws {
    let template = template.hasPrefix("(") ? "{{ \(template)" : template
    let error = #expect(throws: FurlError.self) {
      try ChatTemplate(template, file: "tokenizer_config.json").render(ChatInput(messages: []), now: Self.clock)
    }
    #expect(error?.kind == .input && "\(error!)".contains(words), "\(error!)")
  }
}
