import FurlBase

/// A recipe that comes with Furl and is named without a path: `--recipe int8`.
package struct ShippedRecipe: Sendable {
  package let name: String
  /// The file in `recipes/`, byte for byte.
  package let text: String

  /// All of them, by name. Those of the bundled model lie in `recipes/` alone.
  package static let all = (formats + changes).sorted { $0.name < $1.name }

  package static func named(_ name: String) -> ShippedRecipe? { all.first { $0.name == name } }

  package func recipe() throws -> Recipe { try Recipe(YAML.read(Array(text.utf8), file: name)) }
}

extension Recipe {
  /// Reads a recipe file, or one that ships where there is no file of that name.
  ///
  /// - Throws: ``FurlError`` of kind `input`; for a name that is neither, with the recipe that was probably meant.
  package init(named argument: String) throws {
    guard FileNames.isFolder(argument) == nil else {
      try self.init(path: argument)
      return
    }
    // A name with its ending means the same, as long as it is no path.
    let name = argument.hasSuffix(".yaml") ? String(argument.dropLast(5)) : argument
    if let shipped = ShippedRecipe.named(name) {
      self = try shipped.recipe()
      return
    }
    let meant = Suggestion.nearest(to: name.lastName, among: ShippedRecipe.all.map(\.name))
    throw FurlError.input(
      argument, "does not exist",
      remedy: (meant.map { "did you mean \($0)? " } ?? "") + "furl recipes lists those that ship")
  }

  /// The files that reading it reads: none where it ships.
  package static func filesRead(named argument: String) -> [String] {
    FileNames.isFolder(argument) == nil ? [] : [argument]
  }
}
