@testable import FurlArtifact
import FurlBase
import FurlTestSupport

/// Makes artifacts whose digests are right, whatever else is wrong.
enum Forge {
  /// The decoded index of a file.
  static func indexText(_ path: String) throws -> [UInt8] {
    let file = try MappedFile(path: path)
    let footer = try Footer(of: file)
    let stored = file.read(footer.indexOffset..<footer.indexOffset + footer.indexLength)
    return try Zstd.decompress(stored, count: footer.indexDecodedLength)
  }

  /// Puts another index into a file.
  static func replaceIndex(of path: String, _ text: [UInt8]) throws {
    let file = try MappedFile(path: path)
    // The place is read past the checks, so that an index can be replaced again.
    let offset = file.integer(at: file.count - 128 + 16, as: Int.self)
    try TestData.write(try close(file.read(0..<offset), text), to: path)
  }

  /// Adds index and footer to what comes before them.
  static func close(_ sections: [UInt8], _ text: [UInt8]) throws -> [UInt8] {
    let stored = try Zstd.compress(text)
    let footer = Footer(
      indexOffset: sections.count, indexLength: stored.count, indexDecodedLength: text.count,
      indexDigest: Digest(of: stored))
    let body = sections + stored
    return Container.padded(body, to: Container.aligned(body.count)) + footer.bytes
  }

  /// Writes tensors whose streams lie one after the other, and a tokenizer with the digest of another.
  static func write(
    _ tensors: [ArtifactTensor], _ streams: [[UInt8]], to path: String, tokenizer: [UInt8] = [],
    said: [UInt8]? = nil
  ) throws {
    var sections = Container.header
    for stream in streams {
      sections = Container.padded(sections, to: Container.aligned(sections.count)) + stream
    }
    sections = Container.padded(sections, to: Container.aligned(sections.count))
    let stored = try Zstd.compress(tokenizer)
    let section = TokenizerSection(
      offset: sections.count, length: stored.count, decodedLength: (said ?? tokenizer).count,
      digest: Digest(of: stored), decodedDigest: Digest(of: said ?? tokenizer))
    sections += stored
    let index = ArtifactIndex(
      storage: .compact, description: Samples.description, tokenizer: section, tensors: tensors)
    try TestData.write(
      close(Container.padded(sections, to: Container.aligned(sections.count)), index.text), to: path)
  }
}

/// A step from a JSON value to one inside of it.
enum JSONStep: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
  case key(String)
  case index(Int)

  init(stringLiteral value: String) { self = .key(value) }
  init(integerLiteral value: Int) { self = .index(value) }
}

extension JSON {
  /// The value with another one at a path; nil removes what is there.
  func changing(_ path: ArraySlice<JSONStep>, _ change: (JSON?) -> JSON?) -> JSON? {
    guard let step = path.first else { return change(self) }
    switch (self, step) {
    case (.object(var members), .key(let key)):
      let position = members.firstIndex { $0.key == key }
      let old = position.map { members[$0].value }
      let new = path.count == 1 ? change(old) : old?.changing(path.dropFirst(), change)
      if let position { members.remove(at: position) }
      if let new { members.append(Member(key, new)) }
      return .object(members)
    case (.array(var elements), .index(let index)):
      if let new = elements[index].changing(path.dropFirst(), change) { elements[index] = new }
      return .array(elements)
    default: return self
    }
  }
}
