/// A value of a YAML text as it is written: nothing is a number yet, and what aliases stand for is in their place.
struct YAMLNode {
  enum Content {
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([(key: YAMLNode, value: YAMLNode)])
  }

  let content: Content
  /// Counted from 1; of what an alias stands for, the line of that.
  let line: Int
  /// Levels of sequences and mappings: 0 for a scalar.
  let levels: Int

  /// More levels than anybody writes, and few enough for whoever walks over them.
  static let mostLevels = 1000

  /// The only document of a text; nil where there is none.
  ///
  /// - Parameter text: UTF-8.
  /// - Throws: ``YAMLEvents/Mistake`` for what is not YAML, ``FurlError`` for what is not read here.
  static func compose(_ text: [UInt8], file: String?) throws -> YAMLNode? {
    try text.withUnsafeBufferPointer { text in
      let events = try YAMLEvents(text)
      var composer = Composer(file: file)
      while true {
        let event = try events.next()
        if case .streamEnd = event.kind { return composer.root }
        try composer.take(event)
      }
    }
  }

  /// Puts nodes together without recursion, so that no text is too deep for the stack.
  private struct Composer {
    /// A sequence or mapping that has not ended.
    struct Open {
      let isMapping: Bool
      let line: Int
      let anchor: String?
      var children: [YAMLNode] = []
      var levels = 0
    }

    let file: String?
    var root: YAMLNode?
    var open: [Open] = []
    var anchors: [String: YAMLNode] = [:]

    mutating func take(_ event: YAMLEvents.Event) throws {
      // What a tag makes of a value differs from reader to reader.
      if let tag = event.tag {
        let short = tag.hasPrefix("tag:yaml.org,2002:") ? "!!" + tag.dropFirst(18) : tag
        throw FurlError.input(
          file, "line \(event.line)", "tags as \(short.readable) are not read here",
          remedy: "leave it out, or write quotes around a text")
      }
      switch event.kind {
      case .documentStart:
        if root != nil { throw YAMLEvents.Mistake(line: event.line, problem: "but found another document") }
      case .alias(let name):
        // An anchor is known once its node has ended, so that none contains itself.
        guard let node = anchors[name] else {
          throw YAMLEvents.Mistake(line: event.line, problem: "found undefined alias")
        }
        try place(node, at: event.line)
      case .scalar(let text, let isPlain):
        let node = YAMLNode(content: .scalar(text, isPlain: isPlain), line: event.line, levels: 0)
        if let anchor = event.anchor { anchors[anchor] = node }
        try place(node, at: event.line)
      case .sequenceStart: open.append(Open(isMapping: false, line: event.line, anchor: event.anchor))
      case .mappingStart: open.append(Open(isMapping: true, line: event.line, anchor: event.anchor))
      case .collectionEnd:
        guard let ended = open.popLast() else { break }
        let children = ended.children
        let content: Content =
          ended.isMapping
          ? .mapping(stride(from: 0, to: children.count - 1, by: 2).map { (children[$0], children[$0 + 1]) })
          : .sequence(children)
        let node = YAMLNode(content: content, line: ended.line, levels: ended.levels + 1)
        if let anchor = ended.anchor { anchors[anchor] = node }
        try place(node, at: event.line)
      case .streamStart, .documentEnd, .streamEnd: break
      }
      // Before more of them are read than are taken.
      try check(levels: open.count, at: event.line)
    }

    private mutating func place(_ node: YAMLNode, at line: Int) throws {
      guard let last = open.indices.last else {
        root = node
        return
      }
      try check(levels: open.count + node.levels, at: line)
      open[last].children.append(node)
      open[last].levels = max(open[last].levels, node.levels)
    }

    private func check(levels: Int, at line: Int) throws {
      guard levels <= YAMLNode.mostLevels else {
        throw YAMLEvents.Mistake(line: line, problem: "more than \(YAMLNode.mostLevels) levels")
      }
    }
  }
}
