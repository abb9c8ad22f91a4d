import CYaml

/// What a YAML text says, one thing after the other: the thin face of libyaml.
struct YAMLEvents: ~Copyable {
  /// One thing, and the line that it begins in, counted from 1.
  struct Event {
    enum EventKind {
      case streamStart, streamEnd, documentStart, documentEnd, sequenceStart, mappingStart, collectionEnd
      case alias(String)
      case scalar(String, isPlain: Bool)
    }

    let kind: EventKind
    let line: Int
    var anchor: String?
    /// What is written, or what it is short for; nil where nothing is written and for a bare `!` before a scalar.
    var tag: String?
  }

  /// What libyaml does not take.
  struct Mistake: Error {
    let line: Int
    let problem: String
  }

  // The library keeps pointers into it, so it must not move.
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let text: UnsafeBufferPointer<UInt8>

  /// - Parameter text: UTF-8, which has to stay until the last event.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  init(_ text: UnsafeBufferPointer<UInt8>) throws {
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    guard yaml_parser_initialize(parser) == 1 else {
      parser.deallocate()
      throw YAMLEvents.noMemory
    }
    self.text = text
    self.parser = parser
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    yaml_parser_set_input_string(parser, text.baseAddress, text.count)
  }

  deinit {
    yaml_parser_delete(parser)
    parser.deallocate()
  }

  /// - Throws: ``Mistake``, or ``FurlError`` of kind `unavailable` when there is no memory.
  func next() throws -> Event {
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else { throw mistake }
    defer { yaml_event_delete(&event) }
    return YAMLEvents.converted(event)
  }

  private static let noMemory = FurlError(.unavailable, "there is no memory to read YAML with", remedy: "free memory")

  private var mistake: any Error {
    let problem = parser.pointee.problem.map { String(cString: $0) } ?? "unreadable"
    switch parser.pointee.error {
    case YAML_MEMORY_ERROR: return YAMLEvents.noMemory
    case YAML_READER_ERROR:
      // It knows the byte only.
      let line = 1 + text.prefix(parser.pointee.problem_offset).count { $0 == UInt8(ascii: "\n") }
      return Mistake(line: line, problem: problem)
    default: return Mistake(line: Int(clamping: parser.pointee.problem_mark.line) + 1, problem: problem)
    }
  }

  private static func converted(_ event: yaml_event_t) -> Event {
    let line = Int(clamping: event.start_mark.line) + 1
    switch event.type {
    case YAML_STREAM_START_EVENT: return Event(kind: .streamStart, line: line)
    case YAML_DOCUMENT_START_EVENT: return Event(kind: .documentStart, line: line)
    case YAML_DOCUMENT_END_EVENT: return Event(kind: .documentEnd, line: line)
    case YAML_ALIAS_EVENT: return Event(kind: .alias(string(event.data.alias.anchor) ?? ""), line: line)
    case YAML_SCALAR_EVENT:
      let scalar = event.data.scalar
      // It may hold NUL.
      let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      return Event(
        kind: .scalar(text, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE), line: line,
        anchor: string(scalar.anchor), tag: string(scalar.tag))
    case YAML_SEQUENCE_START_EVENT:
      let start = event.data.sequence_start
      return Event(kind: .sequenceStart, line: line, anchor: string(start.anchor), tag: string(start.tag))
    case YAML_MAPPING_START_EVENT:
      let start = event.data.mapping_start
      return Event(kind: .mappingStart, line: line, anchor: string(start.anchor), tag: string(start.tag))
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return Event(kind: .collectionEnd, line: line)
    // After its end the library gives nothing at all.
    default: return Event(kind: .streamEnd, line: line)
    }
  }

  private static func string(_ text: UnsafePointer<UInt8>?) -> String? { text.map { String(cString: $0) } }
}
