import FurlBase

/// One turn of a conversation.
public struct ChatMessage: Sendable, Hashable {
  /// Who speaks.
  public enum Role: String, Sendable {
    case system, user, assistant
  }

  public var role: Role
  public var content: String

  /// - Parameters:
  ///   - role: who speaks.
  ///   - content: what is said.
  public init(_ role: Role, _ content: String) {
    self.role = role
    self.content = content
  }

  /// As templates read it.
  var json: JSON { ["role": .string(role.rawValue), "content": .string(content)] }
}
