import Foundation
import FurlRuntime

#if canImport(Glibc)
import Glibc
#endif

/// `swift run -c release server MODEL [PORT]` completes code for editors, on this machine alone: `/v1/completions` as OpenAI has
/// it, and `/infill` as llama.vim and llama.vscode ask llama.cpp for it. Both stream where `"stream": true` is asked for.
///
/// It is an example: no keys, no TLS, one model, which answers one request at a time.
@main struct Server {
  static func main() async throws {
    let words = CommandLine.arguments
    guard words.count == 2 || words.count == 3, let port = words.count == 3 ? UInt16(words[2]) : 8012 else {
      return print("usage: server MODEL [PORT]")
    }
    let model = try Model(contentsOf: words[1])
    let listener = try listen(on: port)
    // At once, though nobody looks at a terminal.
    FileHandle.standardOutput.write(Data("listening on http://127.0.0.1:\(boundPort(listener))\n".utf8))
    signal(SIGPIPE, SIG_IGN)
    // Connections are taken on a thread of their own: waiting for one would hold up Swift's.
    let connections = AsyncStream<Int32> { continuation in
      Thread.detachNewThread {
        while true {
          let connection = accept(listener, nil, nil)
          if connection >= 0 { continuation.yield(connection) }
        }
      }
    }
    await withDiscardingTaskGroup { group in
      for await connection in connections {
        group.addTask { await Connection(connection).answer(with: model) }
      }
    }
  }

  private static func listen(on port: UInt16) throws -> Int32 {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var yes: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard listener >= 0, bound == 0, Glibc.listen(listener, 16) == 0 else {
      throw FurlError(.unavailable, "port \(port) cannot be had", remedy: "give another one")
    }
    return listener
  }

  /// The port that the system chose where 0 was asked for.
  private static func boundPort(_ listener: Int32) -> UInt16 {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &size) }
    }
    return UInt16(bigEndian: address.sin_port)
  }
}
