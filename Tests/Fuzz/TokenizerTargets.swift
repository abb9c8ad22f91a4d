import FurlBase
import FurlTestSupport
import FurlTokenizer

/// Vocabularies in all of their forms. What is read is used: on a text, and written and read again.
let tokenizerTargets = [
  FuzzTarget(name: "tokenizer") {
    [
      [document, #"{"bos_token":"<s>","add_bos_token":true,"eos_token":{"content":"</s>"}}"#],
      [
        document, "", #"{"additional_special_tokens":["<x>"],"eos_token":"</s>"}"#, #"{"<y>":8}"#,
        #"{"eos_token_id":6}"#,
      ],
      [markedDocument, #"{"bos_token":"<s>","add_bos_token":true}"#],
      [markedDocument, #"{"added_tokens_decoder":{"1":{"content":"<s>","special":true,"lstrip":true}}}"#],
    ].map(Workspace.join)
  } run: { input, workspace in
    try workspace.write(
      input,
      to: [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "generation_config.json",
      ])
    try use(Tokenizer(checkpoint: workspace.folder), input)
  },
  FuzzTarget(name: "vocabulary") {
    let vocabulary = #"{"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"abc":5,"<|endoftext|>":6,"é":7}"#
    let merges = "#version: 0.2\na b\nab c\n"
    return [
      [vocabulary, merges], [vocabulary, merges, #"{"tokenizer_class":"Qwen2Tokenizer","add_prefix_space":true}"#],
      [
        vocabulary, merges, "", #"{"bos_token":"<s>","eos_token":{"content":"<e>","rstrip":true}}"#,
        #"{"<s>":7,"<e>":8}"#,
      ],
      [vocabulary, merges, "", "", "", #"{"model_type":"qwen2"}"#],
      [vocabulary, merges, #"{"added_tokens_decoder":{"6":{"content":"<|endoftext|>","special":true}}}"#],
    ].map(Workspace.join)
  } run: { input, workspace in
    try workspace.write(
      input,
      to: [
        "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "config.json",
      ])
    try use(Tokenizer(checkpoint: workspace.folder), input)
  },
  FuzzTarget(name: "sentencepiece") {
    [
      ["", ""], [#"{"add_bos_token":false,"legacy":false}"#, #"{"<x>":12}"#],
      [#"{"added_tokens_decoder":{"1":{"content":"<s>","special":true}}}"#, ""],
    ].map { Workspace.join($0.map { Array($0.utf8) } + [sentencePieceModel]) }
  } run: { input, workspace in
    try workspace.write(input, to: ["tokenizer_config.json", "added_tokens.json", "tokenizer.model"])
    try use(Tokenizer(checkpoint: workspace.folder), input)
  },
  FuzzTarget(name: "serialized") {
    try serializedTokenizers()
  } run: { input, _ in
    try use(Tokenizer(serialized: input, file: "input"), input)
  },
  // A template, then a conversation in JSON.
  FuzzTarget(name: "template") {
    let chat =
      #"{"messages":[{"role":"system","content":"s"},{"role":"user","content":" a\n"}],"tools":[{"name":"f"}],"x":[1,{"y":2.5}]}"#
    let folder = TestData.root + "/Tests/Fixtures/templates"
    return try FolderListing(folder).names.filter { $0.hasSuffix(".jinja") }.sorted().map { name in
      Workspace.join([try TestData.bytes(folder + "/" + name), Array(chat.utf8)])
    }
      + [
        "{% for k, v in x | dictsort %}{{ loop.index }}{{ v | tojson(indent=2) | trim }}{% else %}{% break %}{% endfor %}",
        "{%- macro m(a, b=1) -%}{{ a ~ b }}{%- endmacro -%}{{ m(x[0], b='z'.split()[::-1]) | upper }}",
        "{% set ns = namespace(a=[]) %}{% set ns.a = ns.a + [1] %}{% filter indent(2) %}{{ ns.a }}{% endfilter %}{# c #}",
        "{% raw %}{{{% endraw %}{{ messages | selectattr('role', 'eq', 'user') | map(attribute='content') | join('-') }}",
      ].map { Workspace.join([$0, chat]) }
  } run: { input, _ in
    let parts = Workspace.parts(input, atMost: 2)
    guard let text = String(validating: parts[0], as: UTF8.self) else { return }
    let template = try ChatTemplate(text, file: "input")
    let chat = parts.count > 1 ? try JSON.parse(parts[1], file: "chat") : [:]
    let messages = chat["messages"]?.array ?? []
    let rendered = try template.render(
      ChatInput(messages: messages, tools: chat["tools"], others: chat.members ?? []),
      now: ClockTime(year: 2026, month: 2, day: 28, hour: 23))
    precondition(String(validating: Array(rendered.utf8), as: UTF8.self) != nil, "is not UTF-8")
  },
]

/// Uses a tokenizer on a text of its own and on the end of the input, and holds it to being the same when it is written and
/// read again.
func use(_ tokenizer: Tokenizer, _ input: [UInt8]) throws {
  let again = try Tokenizer(serialized: tokenizer.serialized(), file: "again")
  precondition(again.serialized() == tokenizer.serialized(), "is another tokenizer when written and read")
  let text =
    "<s>def  f(a1b, abc):\n\té = \"日e\u{301}\u{2581}'s\" 1234 c<a> " + String(decoding: input.suffix(64), as: UTF8.self)
  for bos in Tokenizer.BOS.allCases {
    let ids = tokenizer.encode(text, bos: bos)
    precondition(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize }, "an id out of range")
    precondition(again.encode(text, bos: bos) == ids, "encodes otherwise when written and read")
    _ = tokenizer.decode(ids, skippingSpecial: bos == .auto)
  }
  for id in -1...min(tokenizer.vocabularySize, 300) { _ = (tokenizer.piece(id), tokenizer.isSpecial(id)) }
  _ = (tokenizer.id(of: "a"), tokenizer.decode([0, 1, 2, tokenizer.vocabularySize, -1]))
}

/// The tokenizers of the other targets' seeds in Furl's own form.
func serializedTokenizers() throws -> [[UInt8]] {
  try TestData.withTemporaryFolder { folder in
    let workspace = Workspace(folder: folder)
    return try [document, markedDocument].map { text in
      try workspace.write(text.utf8, to: "tokenizer.json")
      return try Tokenizer(checkpoint: folder).serialized()
    } + [Tokenizer(scored, file: nil).serialized()]
  }
}

/// A small vocabulary of whole texts with scores.
let scored: GGUFTokenizer = {
  let pieces = ["<unk>", "<s>", "</s>", "<0x0A>", "<0xC3>", "\u{2581}", "a", "b", "c", "ab", "bc", "\u{2581}ab"]
  return GGUFTokenizer(
    model: "llama", tokens: pieces.map { Array($0.utf8) }, types: [2, 3, 3, 6, 6] + pieces.dropFirst(5).map { _ in 1 },
    scores: [0, 0, 0, 0, 0, -8, -7, -6, -5, -1, -1, -2])
}()

/// A model by bytes with every kind of step.
private let document = #"""
  {"version":"1.0","added_tokens":[{"id":6,"content":"</s>","special":true,"lstrip":true,"rstrip":true},
  {"id":7,"content":"<s>","single_word":true,"normalized":true}],"normalizer":{"type":"NFC"},"pre_tokenizer":
  {"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"Split","pattern":
  {"Regex":"\\p{N}{1,3}|(?i:'s)|[^\\r\\n\\p{L}]?\\p{L}+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},
  {"type":"Split","pattern":{"String":"="},"behavior":"MergedWithPrevious","invert":true},
  {"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}]},"post_processor":
  {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
  "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[7],"tokens":["<s>"]}}},"decoder":{"type":"ByteLevel"},"model":
  {"type":"BPE","ignore_merges":true,"vocab":{"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"abc":5},"merges":["a b",["ab","c"]]}}
  """#

/// A model by whole texts.
private let markedDocument = #"""
  {"added_tokens":[{"id":1,"content":"<s>","special":true},{"id":12,"content":"c<a>","normalized":true}],"normalizer":
  {"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Prepend","prepend":"▁"},
  {"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":
  [{"type":"Digits","individual_digits":true},
  {"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}]},"decoder":{"type":"Sequence","decoders":
  [{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
  {"type":"Strip","content":" ","start":1,"stop":0}]},"model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,
  "byte_fallback":true,"vocab":{"<unk>":0,"<s>":1,"▁":2,"▁ab":10,"a":3,"b":4,"c":5,"ab":6,"<0xC3>":7,"<0xA9>":8,
  "<0x0A>":9,"c c":11},"merges":["a b","▁ ab"]}}
  """#

/// A SentencePiece model: pieces (field 1: text, score, type), the trainer (3: BPE; 40 to 42: ids), the normalizer (4: false).
private let sentencePieceModel: [UInt8] = {
  func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
  let pieces = zip(zip(scored.tokens, scored.scores), scored.types).flatMap { piece, type in
    field(1, field(1, piece.0) + [2 << 3 | 5] + GGUFText.bytes(piece.1.bitPattern) + [3 << 3, UInt8(type)])
  }
  return pieces + field(2, [3 << 3, 2, 0xC0, 2, 0, 0xC8, 2, 1, 0xD0, 2, 2]) + field(3, [3 << 3, 1, 4 << 3, 0])
}()
