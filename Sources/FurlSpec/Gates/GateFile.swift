package import FurlBase

/// A file of gates that several artifacts are held to.
package struct GateFile: DeclaredDocument {
  var summary: String?
  var gates: [Gate] = []

  package init() {}

  package static let declaration = Declaration<GateFile>("gates", "Bounds that artifacts are held to.") {
    Field.version(of: "gate file")
    Field("description", \.summary, .text, "What the gates are for.")
    Field("gates", \.gates, .gates, "The bounds; at most one entry for each figure of a suite.")
  }
}
