package import Foundation

#if canImport(FoundationXML)
package import FoundationXML
#endif

/// Holds JUnit files to the schema by which Jenkins' xUnit plugin takes or refuses them.
///
/// The rules are those of `junit-10.xsd` in jenkinsci/xunit-plugin (src/main/resources/org/jenkinsci/plugins/xunit/types/
/// model/xsd), element by element.
package final class JUnitSchema: NSObject, XMLParserDelegate {
  private struct Element {
    var children: Set<String> = []
    var required: Set<String> = []
    var optional: Set<String> = []
    var hasText = false
  }

  private static let outcome = Element(optional: ["type", "message"], hasText: true)
  private static let rerun = Element(
    children: ["stackTrace", "system-out", "system-err"], required: ["type"], optional: ["message"], hasText: true)
  private static let text = Element(hasText: true)

  private static let elements: [String: Element] = [
    "testsuites": Element(children: ["testsuite"], optional: ["name", "time", "tests", "failures", "errors"]),
    "testsuite": Element(
      children: ["testsuite", "properties", "testcase", "system-out", "system-err"],
      required: ["name", "tests", "failures", "errors"],
      optional: [
        "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "version",
      ]),
    "properties": Element(children: ["property"]),
    "property": Element(required: ["name", "value"]),
    "testcase": Element(
      children: [
        "skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out",
        "system-err",
      ], required: ["name"], optional: ["time", "classname", "group"]),
    "failure": outcome, "error": outcome, "skipped": outcome, "rerunFailure": rerun, "rerunError": rerun,
    "flakyFailure": rerun, "flakyError": rerun, "system-out": text, "system-err": text, "stackTrace": text,
  ]

  /// What is wrong with the file; empty when nothing is.
  package private(set) var problems: [String] = []
  /// How often each element occurs.
  package private(set) var count: [String: Int] = [:]
  /// The last message of each element that has one.
  package private(set) var messages: [String: String] = [:]
  private var path: [String] = []

  package init(_ file: String) {
    super.init()
    let parser = XMLParser(data: Data(file.utf8))
    parser.delegate = self
    if !parser.parse() { problems.append("no XML: \(parser.parserError.map { "\($0)" } ?? "")") }
    if !path.isEmpty { problems.append("\(path) is not closed") }
    for name in ["testsuites", "testsuite"] where count[name] == nil { problems.append("no \(name)") }
  }

  package func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    defer { path.append(name) }
    count[name, default: 0] += 1
    if let message = attributes["message"] { messages[name] = message }
    guard let element = JUnitSchema.elements[name] else { return problems.append("unknown element \(name)") }
    if let parent = path.last {
      if JUnitSchema.elements[parent]?.children.contains(name) != true { problems.append("\(name) in \(parent)") }
    } else if name != "testsuites" {
      problems.append("\(name) at the top")
    }
    let known = element.required.union(element.optional)
    for attribute in attributes.keys where !known.contains(attribute) { problems.append("\(attribute) of \(name)") }
    for attribute in element.required where attributes[attribute] == nil {
      problems.append("\(name) has no \(attribute)")
    }
    // SUREFIRE_TIME, which GitLab reads as a number of seconds; a test case's time is held to it, too.
    if ["testsuites", "testsuite", "testcase"].contains(name) {
      let time = attributes["time"] ?? "none"
      if time.wholeMatch(of: /[0-9]+\.[0-9]{1,3}/) == nil { problems.append("the time of \(name) is \(time)") }
    }
  }

  package func parser(
    _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
  ) { path.removeLast() }

  package func parser(_ parser: XMLParser, foundCharacters string: String) {
    guard let name = path.last, JUnitSchema.elements[name]?.hasText != true,
      !string.allSatisfy(\.isWhitespace)
    else { return }
    problems.append("text in \(name)")
  }
}
