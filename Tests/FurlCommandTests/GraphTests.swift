import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

/// The modules are what docs/architecture.md says: so are Package.swift and the import lines of every file.
@Suite struct GraphTests {
  /// The modules of the page's table, each with those that its row names.
  private static func table() throws -> [String: Set<String>] {
    let page = String(decoding: try TestData.bytes(TestData.root + "/docs/architecture.md"), as: UTF8.self)
    var uses: [String: Set<String>] = [:]
    for line in page.split(separator: "\n") where line.hasPrefix("| `Furl") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      let name = names(in: cells[0]).first ?? ""
      uses[name] = Set(cells.count > 2 ? names(in: cells[2]) : [])
    }
    return uses
  }

  private static func names(in cell: String) -> [String] {
    cell.split(separator: "`").map(String.init).filter { $0.hasPrefix("Furl") }
  }

  /// What the lines of a folder's files import of Furl's modules: (module, file).
  private static func imports(_ folder: String) throws -> [(module: String, file: String)] {
    let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return try files.filter { $0.hasSuffix(".swift") }.flatMap { file in
      String(decoding: try TestData.bytes(folder + "/" + file), as: UTF8.self).split(separator: "\n").compactMap {
        line in
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(of: "import"), place < 3, words.count == place + 2,
          words[..<place].allSatisfy({ $0.hasPrefix("@") || ["public", "package", "internal"].contains($0) }),
          words[place + 1].hasPrefix("Furl")
        else { return nil }
        return (String(words[place + 1]), file)
      }
    }
  }

  @Test func importsAreThoseOfTheTable() throws {
    let table = try Self.table()
    let folders = try FileManager.default.contentsOfDirectory(atPath: TestData.root + "/Sources")
    #expect(Set(folders.filter { $0.hasPrefix("Furl") }) == Set(table.keys))
    for (module, uses) in table {
      let imports = try Self.imports(TestData.root + "/Sources/" + module)
      for (name, file) in imports {
        #expect(uses.contains(name), "\(module)/\(file) imports \(name)")
      }
      #expect(Set(imports.map(\.module)) == uses, "the row of \(module) names what no file imports")
    }
  }

  @Test func thePackageIsThatOfTheTable() async throws {
    for (module, uses) in try Self.table() {
      #expect(try Self.dependencies(of: module) == uses, "\(module)")
    }
  }

  /// The modules that Package.swift lets a module use.
  private static func dependencies(of module: String) throws -> Set<String> {
    let text = String(decoding: try TestData.bytes(TestData.root + "/Package.swift"), as: UTF8.self)
    let place = try #require(
      [
        "module(\n    \"\(module)\",", "module(\"\(module)\",", "name: \"\(module)\",\n      dependencies:",
        "name: \"\(module)\", dependencies:",
      ].lazy.compactMap {
        text.range(of: $0)
      }.first)
    let rest = text[place.upperBound...]
    let open = try #require(rest.firstIndex(of: "["))
    let close = try #require(rest[open...].firstIndex(of: "]"))
    return Set(
      rest[open..<close].split(separator: "\"").map(String.init).filter {
        $0.hasPrefix("Furl") && $0.allSatisfy(\.isLetter)
      })
  }

  @Test func nothingGoesInCircles() throws {
    let table = try Self.table()
    func height(_ module: String, _ path: [String]) throws -> Int {
      try #require(!path.contains(module), "\(path) -> \(module)")
      return try 1 + (table[module] ?? []).reduce(0) { max($0, try height($1, path + [module])) }
    }
    var heights: [String: Int] = [:]
    for module in table.keys { heights[module] = try height(module, []) }
    #expect(heights["FurlBase"] == 1)
    // What stands beside each other.
    for row in [["FurlArtifact", "FurlCheckpoint", "FurlTokenizer"], ["FurlTransform", "FurlEvaluate"]] {
      for module in row { #expect((table[module] ?? []).isDisjoint(with: row)) }
    }
  }
}
