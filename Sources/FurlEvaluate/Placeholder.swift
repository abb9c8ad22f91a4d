import FurlSpec
public struct Gate: Sendable { 
  public static func parse(_ r: DocumentReader) throws -> Gate { Gate() }
  public var json: JSON { .null } }
