import FurlBase
import FurlEvaluate
import FurlReport
import FurlSpec
import FurlTestSupport
import Foundation

/// Texts that people and other programs write.
let documentTargets = [
  FuzzTarget(name: "json") {
    [
      #"{"a":[1,-2.5e3,true,false,null,"é\u00e9\ud83d\ude00\n"],"b":{"":9007199254740993,"c":[]}}"#,
      "{\"id\":1}\n\n{\"id\":2}\r\n", "[[[[[0]]]]]", "1e308", #""\"\\\/\b\f\n\r\t""#, "[NaN,Infinity,-Infinity]",
      "\u{FEFF}{}",
    ].map { Array($0.utf8) }
  } run: { input, _ in
    FuzzRun.accept {
      let value = try JSON.parse(input, file: "input")
      let text = value.canonicalBytes
      let again = try JSON.parse(text, file: "again").canonicalBytes
      precondition(again == text, "is another value when written and read")
      _ = value.prettyText
    }
    FuzzRun.accept { _ = try JSON.parseLines(input, file: "input") }
  },
  FuzzTarget(name: "yaml") {
    [
      "furl: 1\na: {b: [1, 2.5, true, null, ~, 'x', \"y\\n\"]}\nc: |\n  text\n  more\n", "- a\n- b: c\n",
      "a: &x 1\nb: *x\n",
      "? [a]\n: b\n", "%YAML 1.2\n---\na: !!str 1\n...\n", "a: 0x1F\nb: 0o17\nc: 1_000\nd: .inf\ne: 1:30\n",
      "<<: {a: 1}\nb: 2\n",
    ].map { Array($0.utf8) }
  } run: { input, _ in
    let reader = try YAML.read(input, file: "input")
    for key in reader.keys { _ = reader.optional(key) }
    try reader.finish()
  },
  // The first byte says what the document is.
  FuzzTarget(name: "documents") {
    let root = TestData.root
    return try [("r", "/recipes"), ("g", "/gates"), ("c", "/suites"), ("s", "/sweeps")].flatMap { letter, folder in
      try files(root + folder, ending: ".yaml").map { Array(letter.utf8) + (try TestData.bytes($0)) }
    }
  } run: { input, workspace in
    let text = input.dropFirst()
    switch input.first {
    case UInt8(ascii: "r"): _ = try Recipe(YAML.read(Array(text), file: "input"))
    case UInt8(ascii: "g"): _ = try Gate.read(path: workspace.write(text, to: "gates.yaml"))
    case UInt8(ascii: "c"): _ = try Suite(path: workspace.write(text, to: "card.yaml"))
    default: _ = try SweepPlan(path: workspace.write(text, to: "sweep.yaml"))
    }
  },
  // Problem files and completions, which are put to the problems.
  FuzzTarget(name: "problems") {
    let completions = #"{"task_id":"a/0","completion":"    return 1\n"}"#
    return [
      #"{"task_id":"a/0","prompt":"def f(x):\n","entry_point":"f","test":"def check(f):\n    assert f(1)\n"}"#,
      #"{"task_id":"a/0","prompt":"def f(x):\n","entry_point":"f","canonical_solution":"    return x\n","#
        + #""base_input":[[12345678901234567890123],[1.0]],"plus_input":[[2]],"atol":0}"#,
      #"{"task_id":2,"text":"t","code":"def f():\n    pass","test_list":["assert f() is None"]}"#,
      #"{"id":0,"input":"a = ","gt":"1"}"#,
    ].map { Workspace.join([completions, $0]) }
  } run: { input, workspace in
    try workspace.write(input, to: ["samples.jsonl", "problems.jsonl"])
    let suite = try Suite(path: workspace.path("problems.jsonl"))
    _ = try Samples.completions(path: workspace.path("samples.jsonl"), of: suite.problems)
  },
  FuzzTarget(name: "reports") {
    try files(TestData.root + "/artifacts", ending: ".json").map(TestData.bytes) + [
      Array(
        (#"{"results":[{"path":"a.furl","disk_bytes":1,"bits_per_weight":4.5,"parameters":{"total":9,"nonzero":9,"embedding":3},"#
          + #""quality":[{"suite":{"name":"s","kind":"lines","count":2},"exact_match":0.5,"interval_95":[0,1]}]}]}"#)
          .utf8),
      Array(
        #"{"verdict":"pass","artifact":"a","gates":[{"suite":"s","metric":"pass_at_1","bound":0.5,"value":1}]}"#.utf8),
    ]
  } run: { input, _ in
    var document = ReportDocument()
    try document.add(JSON.parse(input, file: "input"), file: "input")
    _ = MarkdownReport.text(document)
  },
]

/// The files of a folder whose names end in a certain way, in their order; none where there is no folder.
func files(_ folder: String, ending: String) throws -> [String] {
  let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  return names.filter { $0.hasSuffix(ending) }.sorted().map { folder + "/" + $0 }
}
