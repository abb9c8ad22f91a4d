package import FurlBase
package import FurlSpec

extension Checkpoint {
  /// What the checkpoint's configuration says about the ends of its texts; a GGUF file says it with its tokenizer.
  ///
  /// - Parameter limit: what is not below it names no token and is passed over, as it can never come up: transformers writes
  ///   the usual ids of a family into the files of its smallest models, too. Ids of rows and of tokens are below it.
  /// - Throws: ``FurlError`` of kind `input` that names file and key, for what is no id.
  package func endTokens(below limit: Int) throws -> EndTokens {
    if let ends { return ends }
    if gguf != nil { return EndTokens() }
    let files = [("generation_config.json", try generationConfiguration()), ("config.json", config)]
    for (name, configuration) in files {
      let ids = try EndTokens.ids(in: configuration, file: folder + "/" + name).filter { $0 < limit }
      if !ids.isEmpty { return EndTokens(ids, from: name) }
    }
    return EndTokens()
  }

  /// `generation_config.json`, if there is one.
  ///
  /// - Throws: ``FurlError`` of kind `input` when it is not JSON.
  package func generationConfiguration() throws -> JSON? {
    let path = folder + "/generation_config.json"
    guard gguf == nil, FileManager.default.fileExists(atPath: path) else { return nil }
    let json = try JSON.parse(
      MappedFile(path: path).readAll(limit: 2 << 20), file: path, depthLimit: 100, dialect: .nonFinite)
    guard json.members != nil else { throw FurlError.input(path, "a mapping is expected, not \(json.kindName)") }
    return json
  }
}
