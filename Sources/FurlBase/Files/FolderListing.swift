/// The names in a folder. The system's are bytes; those that are no UTF-8 cannot be named in a text, and are told apart.
package struct FolderListing: Sendable {
  /// In the order of their letters; empty for what is no folder that can be read.
  package let names: [String]
  /// Names that are no UTF-8, with what is malformed replaced.
  package let unreadable: [String]

  package init(_ path: String) {
    var (names, others) = ([String](), [String]())
    if !path.utf8.contains(0), let folder = opendir(path) {
      defer { closedir(folder) }
      while let entry = readdir(folder) {
        withUnsafePointer(to: &entry.pointee.d_name) { field in
          field.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: field.pointee)) { bytes in
            if let name = String(validatingCString: bytes) {
              if name != ".", name != ".." { names.append(name) }
            } else {
              others.append(String(cString: bytes))
            }
          }
        }
      }
    }
    self.names = names.sorted()
    unreadable = others.sorted()
  }
}
