import FurlBase
import FurlSpec
import FurlTestSupport
import Testing

/// The canonical form of a recipe is hashed into the ids of artifacts, so that not a byte of it may change: the fixture holds
/// what the readers and writers wrote that were made by hand, of every published recipe and of some that have every key.
/// Set FURL_WRITE_SNAPSHOTS to add recipes that are new; what is there is never written anew.
@Suite struct CanonicalRecipeTests {
  static let fixture = TestData.root + "/Tests/Fixtures/documents/canonical.json"

  static let forms: [(file: String, text: String)] = {
    let members = try? JSON.parse(TestData.bytes(fixture), file: fixture).members
    return (members ?? []).map { ($0.key, $0.value.string ?? "") }
  }()

  @Test func everyPublishedRecipeIsPinned() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: TestData.root + "/recipes")
    let pinned = Set(Self.forms.map(\.file))
    let new = names.filter { $0.hasSuffix(".yaml") }.map { "recipes/" + $0 }.filter { !pinned.contains($0) }.sorted()
    #expect(pinned.count { $0.hasPrefix("Tests/") } == 10)
    guard ProcessInfo.processInfo.environment["FURL_WRITE_SNAPSHOTS"] != nil else { return #expect(new.isEmpty) }
    let added = try new.map { ($0, try Recipe(path: TestData.root + "/" + $0).json.canonicalText) }
    let all = (Self.forms + added).map { JSON.Member($0.0, .string($0.1)) }.sorted { $0.key < $1.key }
    try TestData.write(Array((JSON.object(all).prettyText + "\n").utf8), to: Self.fixture)
  }

  @Test(arguments: forms)
  func theCanonicalFormIsWhatItWas(_ form: (file: String, text: String)) throws {
    let recipe = try Recipe(path: TestData.root + "/" + form.file)
    #expect(recipe.json.canonicalText == form.text)
    #expect(recipe.digest == Digest(of: form.text.utf8))
    let again = try Recipe(YAML.read(Array(form.text.utf8), file: "again"))
    #expect(again.json.canonicalText == form.text)
  }
}
