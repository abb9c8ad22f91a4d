import Foundation
import FurlRuntime

#if canImport(Glibc)
import Glibc
#endif

/// One request and its answer; the connection ends with it.
struct Connection {
  private let descriptor: Int32
  private static let mostBytes = 4 << 20

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  func answer(with model: Model) async {
    defer { close(descriptor) }
    guard let (method, path, body) = read() else { return send(status: "400 Bad Request", ["error": "no request"]) }
    switch (method, path) {
    case ("GET", "/health"): send(status: "200 OK", ["status": "ok"])
    case ("POST", "/v1/completions"), ("POST", "/completions"):
      guard let prompt = body["prompt"] as? String else {
        return send(status: "400 Bad Request", ["error": "prompt is missing"])
      }
      let stops = (body["stop"] as? [String]) ?? (body["stop"] as? String).map { [$0] } ?? []
      let pieces = model.generate(
        prompt, maxTokens: body["max_tokens"] as? Int ?? 128, stops: stops, sampling: sampling(body))
      await send(pieces, streaming: body["stream"] as? Bool ?? false) {
        let reason: Any = $1 ? "stop" : NSNull()
        return ["object": "text_completion", "choices": [["index": 0, "text": $0, "finish_reason": reason]]]
      }
    case ("POST", "/infill"):
      let before = (body["input_prefix"] as? String ?? "") + (body["prompt"] as? String ?? "")
      let pieces = model.infill(
        before: before, after: body["input_suffix"] as? String ?? "", maxTokens: body["n_predict"] as? Int ?? 64,
        sampling: sampling(body))
      await send(pieces, streaming: body["stream"] as? Bool ?? false) { ["content": $0, "stop": $1] }
    default: send(status: "404 Not Found", ["error": "\(method) \(path) is not answered here"])
    }
  }

  private func sampling(_ body: [String: Any]) -> Sampling {
    Sampling(
      temperature: body["temperature"] as? Double ?? 0, topK: (body["top_k"] as? Int).flatMap { $0 > 0 ? $0 : nil },
      topP: body["top_p"] as? Double ?? 1, seed: UInt64(max(0, body["seed"] as? Int ?? 0)))
  }

  // MARK: Reading

  /// The request's line and its JSON; nil where it is none, or too large.
  private func read() -> (method: String, path: String, body: [String: Any])? {
    var bytes = Data()
    let end = Data("\r\n\r\n".utf8)
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    func more() -> Bool {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0, bytes.count + count <= Connection.mostBytes else { return false }
      bytes.append(contentsOf: buffer[..<count])
      return true
    }
    while bytes.range(of: end) == nil { guard more() else { return nil } }
    guard let cut = bytes.range(of: end) else { return nil }
    let lines = String(decoding: bytes[..<cut.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    let words = lines[0].split(separator: " ").map(String.init)
    guard words.count == 3 else { return nil }
    let length =
      lines.dropFirst().first { $0.lowercased().hasPrefix("content-length:") }
      .flatMap { Int($0.split(separator: ":")[1].trimmingCharacters(in: .whitespaces)) } ?? 0
    guard (0...Connection.mostBytes).contains(length) else { return nil }
    while bytes.count - cut.upperBound < length { guard more() else { return nil } }
    let body = bytes[cut.upperBound...].prefix(length)
    let json = length == 0 ? [:] : (try? JSONSerialization.jsonObject(with: body)) as? [String: Any]
    return json.map { (words[0], words[1], $0) }
  }

  // MARK: Answering

  private func send(
    _ pieces: AsyncThrowingStream<String, any Error>, streaming: Bool, form: (String, Bool) -> [String: Any]
  ) async {
    var text = ""
    var hasBegun = false
    do {
      for try await piece in pieces {
        text += piece
        guard streaming else { continue }
        if !hasBegun { write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n") }
        hasBegun = true
        // Leaving the loop ends the generation: nobody reads it any more.
        guard write("data: \(json(form(piece, false)))\n\n") else { return }
      }
    } catch {
      return hasBegun
        ? { _ = write("data: \(json(["error": "\(error)"]))\n\n") }()
        : send(status: "400 Bad Request", ["error": "\(error)"])
    }
    guard streaming else { return send(status: "200 OK", form(text, true)) }
    if !hasBegun { write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n") }
    write("data: \(json(form("", true)))\n\ndata: [DONE]\n\n")
  }

  private func send(status: String, _ answer: [String: Any]) {
    let body = json(answer)
    write(
      "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
    )
  }

  private func json(_ value: [String: Any]) -> String {
    let bytes = (try? JSONSerialization.data(withJSONObject: value, options: [.sortedKeys])) ?? Data()
    return String(decoding: bytes, as: UTF8.self)
  }

  /// False where the reader has gone.
  @discardableResult private func write(_ text: String) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) }
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }
}
