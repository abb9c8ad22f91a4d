import FurlBase
import FurlTensor
import Subprocess
import SystemPackage

/// Measures models in processes of their own, in interleaved rounds, so that a busy moment of the machine does not
/// fall on one model alone.
package struct BenchRunner: Sendable {
  /// The `furl` executable, which has the hidden command `measure`.
  package let executable: String
  package let settings: SpeedMeasurement.SpeedSettings
  package let rounds: Int
  /// Seconds for which the idle machine's power is measured before and after; only where it can be.
  package var idleSeconds = 0.0

  package init(executable: String, settings: SpeedMeasurement.SpeedSettings, rounds: Int) {
    self.executable = executable
    self.settings = settings
    self.rounds = rounds
  }

  /// - Parameters:
  ///   - paths: the models.
  ///   - progress: (measurements done, of how many).
  /// - Returns: one measurement for each path, all rounds together.
  /// - Throws: ``FurlError``: what the measuring process said.
  package func run(_ paths: [String], progress: (Int, Int) -> Void) async throws -> [SpeedMeasurement] {
    var measurements: [[SpeedMeasurement]] = paths.map { _ in [] }
    var idle = IdlePower(seconds: idleSeconds)
    idle.wattsBefore = try await IdlePower.measure(seconds: idleSeconds)
    for round in 0..<rounds {
      for (index, path) in paths.enumerated() {
        progress(round * paths.count + index, rounds * paths.count)
        measurements[index].append(try await measure(path))
      }
    }
    progress(rounds * paths.count, rounds * paths.count)
    idle.wattsAfter = try await IdlePower.measure(seconds: idleSeconds)
    return measurements.compactMap(SpeedMeasurement.merging).map { measurement in
      var measurement = measurement
      if idle.watts != nil { measurement.energy.idle = idle }
      return measurement
    }
  }

  private var arguments: [String] {
    [
      "--threads", "\(settings.threads)", "--prompt-tokens", "\(settings.promptTokens)", "--decode-tokens",
      "\(settings.decodeTokens)", "--repeats", "\(settings.repeats)", "--activations",
      settings.activations.rawValue,
    ] + (settings.format.map { ["--kv", $0.rawValue] } ?? [])
      + ["--decode-context", "\(settings.decodeContext)"]
      + (settings.batch.map { ["--sequences", "\($0.sequences)", "--slots", "\($0.slots)"] } ?? [])
  }

  private func measure(_ path: String) async throws -> SpeedMeasurement {
    let outcome = try await Subprocess.run(
      .path(FilePath(executable)), arguments: Arguments(["measure"] + arguments + ["--", path]),
      output: .string(limit: 1 << 20), error: .string(limit: 1 << 16))
    guard case .exited(0) = outcome.terminationStatus else {
      throw BenchRunner.error(path, outcome.terminationStatus, outcome.standardError)
    }
    return try SpeedMeasurement(JSON.parse(Array(outcome.standardOutput.utf8), file: nil))
  }

  /// What the measuring process said, as an error of the kind that it ended with.
  private static func error(_ path: String, _ status: TerminationStatus, _ words: String) -> FurlError {
    let line = words.split(separator: "\n").first.map(String.init) ?? ""
    let prefix = "furl: "
    guard case .exited(let code) = status, line.hasPrefix(prefix) else {
      return FurlError(.defect, file: path, "the process that measures it ended unexpectedly (\(status))")
    }
    let kinds: [FurlError.Kind] = [.usage, .input, .unavailable, .cannotCreate, .cannotWrite]
    let kind = kinds.first { FurlError($0, "").exitStatus == code } ?? .defect
    return FurlError(kind, String(line.dropFirst(prefix.count)))
  }
}
