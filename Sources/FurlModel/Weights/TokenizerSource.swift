import FurlBase
import FurlCheckpoint
import FurlTensor
package import FurlTokenizer

extension Tokenizer {
  /// Opens a tokenizer wherever it lies: in a checkpoint or an artifact, in a folder that has nothing else, in a
  /// `tokenizer.json` with what lies beside it, in a `tokenizer.model`, or in a GGUF file, which may be a vocabulary alone.
  /// No weight is looked at.
  ///
  /// - Throws: ``FurlError`` of kind `input`.
  package static func open(path: String) throws -> Tokenizer {
    guard let isFolder = FileNames.isFolder(path) else { return try ModelFile(path: path).tokenizer() }
    if isFolder {
      let files = ["tokenizer.json", "vocab.json", "tokenizer.model", "config.json"]
      guard files.contains(where: { FileManager.default.fileExists(atPath: path + "/" + $0) }) else {
        // A folder with one GGUF file and nothing else is a checkpoint.
        return try ModelFile(path: path).tokenizer()
      }
      return try Tokenizer(checkpoint: path)
    }
    if GGUFFile.isGGUF(path: path) || path.hasSuffix(".gguf") {
      return try Tokenizer(GGUFTokenizer(GGUFFile(path: path).metadata), file: path)
    }
    if Checkpoint.isWeightFile(path) { return try ModelFile(path: path).tokenizer() }
    if path.hasSuffix(".json") || path.hasSuffix(".model") { return try Tokenizer(file: path) }
    return try ModelFile(path: path).tokenizer()
  }
}
