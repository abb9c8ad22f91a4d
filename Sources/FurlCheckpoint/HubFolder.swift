import FurlBase

/// What people name in the place of a checkpoint's folder: a model of the Hugging Face hub, or the folder that its
/// cache keeps it in.
enum HubFolder {
  /// The error for a path that is not there.
  static func missing(_ path: String) -> FurlError {
    if let place = path.firstRange(of: "://") {
      let words = path[place.upperBound...].split(separator: "/")
      let name = words.count >= 3 && words[0] == "huggingface.co" ? "\(words[1])/\(words[2])" : "MODEL"
      return FurlError.input(
        path, "is an address, and Furl fetches nothing itself",
        remedy: "hf download \(name) --local-dir FOLDER, then name the folder")
    }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let isID =
      parts.count == 2
      && parts.allSatisfy { part in
        !part.isEmpty && part != "." && part != ".." && part != "~"
          && part.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
      } && ![".furl", ".gguf", ".json", ".safetensors", ".bin"].contains { path.hasSuffix($0) }
    guard isID, !FileManager.default.fileExists(atPath: String(parts[0])) else {
      return FurlError.input(path, FurlError.missing)
    }
    return FurlError.input(
      path, "does not exist; if it is a model of the Hugging Face hub, Furl fetches nothing itself",
      remedy: "hf download \(path) --local-dir FOLDER, then name the folder")
  }

  /// - Throws: ``FurlError`` of kind `input` if a folder is one of the hub's cache, naming the snapshot in it.
  static func refuseCache(_ folder: String) throws {
    let names = FolderListing(folder).names
    let name = URL(fileURLWithPath: folder).standardizedFileURL.lastPathComponent
    if names.contains("snapshots") {
      let snapshots = FolderListing(folder + "/snapshots").names.filter { !$0.hasPrefix(".") }
      let main = try? MappedFile(path: folder + "/refs/main").readAll(limit: 1024)
      let current = main.map { String(decoding: $0, as: UTF8.self).trimmed }
      guard let snapshot = current.flatMap({ snapshots.contains($0) ? $0 : nil }) ?? snapshots.first else {
        throw FurlError.input(folder, "is a folder of the hub's cache without a snapshot", remedy: "download it anew")
      }
      throw FurlError.input(
        folder, "is a folder of the hub's cache, which holds the model once for each revision",
        remedy: "name the snapshot: \(folder)/snapshots/\(snapshot)")
    }
    if name == "snapshots", let snapshot = names.first(where: { !$0.hasPrefix(".") }) {
      throw FurlError.input(
        folder, "is a folder of the hub's cache, which holds the model once for each revision",
        remedy: "name the snapshot: \(folder)/\(snapshot)")
    }
    if let model = names.first(where: { $0.hasPrefix("models--") }) {
      throw FurlError.input(
        folder, "is the hub's cache", remedy: "name a snapshot of a model in it: \(folder)/\(model)/snapshots/...")
    }
  }
}
