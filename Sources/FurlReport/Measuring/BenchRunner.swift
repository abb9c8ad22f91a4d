import FurlSpec
import FurlTensor
import Subprocess
import SystemPackage

/// Measures models in processes of their own, in interleaved rounds, so that a busy moment of the machine does not
/// fall on one model alone.
public struct BenchRunner: Sendable {
  /// The `furl` executable, which has the hidden command `measure`.
  public let executable: String
  public let settings: SpeedMeasurement.Settings
  public let rounds: Int

  public init(executable: String, settings: SpeedMeasurement.Settings, rounds: Int) {
    self.executable = executable
    self.settings = settings
    self.rounds = rounds
  }

  /// - Parameters:
  ///   - paths: the models.
  ///   - progress: (measurements done, of how many).
  /// - Returns: one measurement for each path, all rounds together.
  /// - Throws: ``FurlError``: what the measuring process said.
  public func run(_ paths: [String], progress: (Int, Int) -> Void) async throws -> [SpeedMeasurement] {
    var measurements: [[SpeedMeasurement]] = paths.map { _ in [] }
    for round in 0..<rounds {
      for (index, path) in paths.enumerated() {
        progress(round * paths.count + index, rounds * paths.count)
        measurements[index].append(try await measure(path))
      }
    }
    progress(rounds * paths.count, rounds * paths.count)
    return measurements.compactMap(SpeedMeasurement.merging)
  }

  private var arguments: [String] {
    [
      "--threads", "\(settings.threads)", "--prompt-tokens", "\(settings.promptTokens)", "--decode-tokens",
      "\(settings.decodeTokens)", "--repeats", "\(settings.repeats)", "--activations",
      settings.quantizesActivations ? "int8" : "fp32",
    ] + (settings.format.map { ["--kv", $0.rawValue] } ?? [])
  }

  private func measure(_ path: String) async throws -> SpeedMeasurement {
    let outcome = try await Subprocess.run(
      .path(FilePath(executable)), arguments: Arguments(["measure"] + arguments + ["--", path]),
      output: .string(limit: 1 << 20), error: .string(limit: 1 << 16))
    guard case .exited(0) = outcome.terminationStatus else {
      let words = outcome.standardError.split(separator: "\n").last.map(String.init) ?? "without a word"
      let prefix = "furl: "
      throw FurlError(
        .input, file: words.hasPrefix(prefix) ? nil : path,
        words.hasPrefix(prefix) ? String(words.dropFirst(prefix.count)) : "the measuring process ended: \(words)")
    }
    return try SpeedMeasurement(JSON.parse(Array(outcome.standardOutput.utf8), file: nil))
  }
}
