import FurlBase
import FurlRuntime
import Synchronization

// The functions of furl.h. They are called from C, so that pointers and their owners are those of the header.

/// `furl_options` of furl.h: the same members in the same order.
private struct COptions {
  var maxTokens: Int32
  var temperature: Double
  var topK: Int32
  var topP: Double
  var seed: UInt64
  var stop: UnsafePointer<CChar>?
}

private typealias CPiece = @convention(c) (UnsafePointer<CChar>, UnsafeMutableRawPointer?) -> Int32

/// What a caller gives along to its callback: only the caller knows what it may be used for.
private struct CCaller: @unchecked Sendable {
  let piece: CPiece
  let context: UnsafeMutableRawPointer?
}

private final class OpenedModel: Sendable {
  let model: Model
  init(_ model: Model) { self.model = model }
}

/// The end of a generation that somebody waits for on a thread of C's.
private final class AwaitedEnd: @unchecked Sendable {
  private let condition = Condition()
  private var result: Result<Void, any Error>?

  func end(_ result: Result<Void, any Error>) {
    condition.withLock {
      self.result = result
      condition.broadcast()
    }
  }

  func wait() -> Result<Void, any Error> {
    condition.withLock {
      while true {
        if let result { return result }
        condition.wait()
      }
    }
  }
}

private func say(_ error: any Error, in place: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
  place?.pointee = strdup("\(error)")
  return (error as? FurlError)?.exitStatus ?? 70
}

@_cdecl("furl_version") public func furlVersionForC() -> UnsafePointer<CChar>? { versionText }

nonisolated(unsafe) private let versionText = UnsafePointer(strdup(furlVersion))

@_cdecl("furl_open") public func furlOpenForC(
  _ path: UnsafePointer<CChar>?, _ threads: Int32, _ error: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> UnsafeMutableRawPointer? {
  error?.pointee = nil
  do {
    guard let path else { throw FurlError(.usage, "no path is given") }
    let model = try Model(contentsOf: String(cString: path), threads: threads > 0 ? Int(threads) : nil)
    return Unmanaged.passRetained(OpenedModel(model)).toOpaque()
  } catch let problem {
    _ = say(problem, in: error)
    return nil
  }
}

@_cdecl("furl_generate") public func furlGenerateForC(
  _ model: UnsafeMutableRawPointer?, _ prompt: UnsafePointer<CChar>?, _ options: UnsafeRawPointer?,
  _ piece: (@convention(c) (UnsafePointer<CChar>, UnsafeMutableRawPointer?) -> Int32)?,
  _ context: UnsafeMutableRawPointer?, _ error: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
  error?.pointee = nil
  guard let model, let prompt, let piece else {
    return say(FurlError(.usage, "a model, a prompt and a callback are needed"), in: error)
  }
  let opened = Unmanaged<OpenedModel>.fromOpaque(model).takeUnretainedValue().model
  let given = options?.assumingMemoryBound(to: COptions.self).pointee
  let sampling = Sampling(
    temperature: given?.temperature ?? 0, topK: given.flatMap { $0.topK > 0 ? Int($0.topK) : nil },
    topP: given.flatMap { $0.topP > 0 ? $0.topP : nil } ?? 1, seed: given?.seed ?? 0)
  let maxTokens = given.flatMap { $0.maxTokens > 0 ? Int($0.maxTokens) : nil } ?? 128
  let stops = given?.stop.map { [String(cString: $0)] } ?? []
  let text = String(cString: prompt)
  let caller = CCaller(piece: piece, context: context)
  let awaited = AwaitedEnd()
  Task {
    do {
      for try await part in opened.generate(text, maxTokens: maxTokens, stops: stops, sampling: sampling) {
        if part.withCString({ caller.piece($0, caller.context) }) != 0 { break }
      }
      awaited.end(.success(()))
    } catch {
      awaited.end(.failure(error))
    }
  }
  switch awaited.wait() {
  case .success: return 0
  case .failure(let problem): return say(problem, in: error)
  }
}

@_cdecl("furl_close") public func furlCloseForC(_ model: UnsafeMutableRawPointer?) {
  if let model { Unmanaged<OpenedModel>.fromOpaque(model).release() }
}

@_cdecl("furl_free") public func furlFreeForC(_ text: UnsafeMutablePointer<CChar>?) { free(text) }
