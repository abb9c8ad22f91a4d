import FurlBase
import Subprocess
import SystemPackage

/// Runs a sweep on a cluster: chains of cells become a job array with a throttle, and a job that depends on it gathers
/// the results, submitting again what was lost with its node.
///
/// Interface: sbatch(1) and squeue(1) of Slurm. The sweep's folder, the checkpoints and `furl` must lie where all nodes
/// see them.
package struct SlurmExecutor: Sendable {
  let sweep: Sweep

  package init(_ sweep: Sweep) { self.sweep = sweep }

  private var folder: String { sweep.folder.path + "/slurm" }
  /// What the jobs are called.
  var jobName: String { "furl-" + sweep.plan.name }

  /// What was submitted.
  package struct Submission: Sendable {
    package let array: String
    package let gather: String
    package let chains: [Int]
  }

  /// Submits every chain that has no result, and the job that gathers.
  ///
  /// - Parameter attempt: from 1; the gathering job counts.
  /// - Returns: nil when nothing is left to be run.
  /// - Throws: ``FurlError`` of kind `unavailable` when Slurm is not there or refuses.
  package func submit(attempt: Int = 1) async throws -> Submission? {
    if attempt == 1 {
      try sweep.folder.lock()
      sweep.folder.clean()
      unlink(sweep.folder.report)
      for cell in sweep.chains.flatMap(\.cells) where sweep.folder.result(cell)?["state"]?.string == "failed" {
        sweep.folder.forget(cell)
      }
    }
    let chains = sweep.unfinishedChains
    guard !chains.isEmpty else { return nil }
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw FurlError.creating(folder, systemCode(of: error) ?? EIO)
    }
    let arrayScript = folder + "/array.sh"
    let gatherScript = folder + "/gather.sh"
    try sweep.folder.write(script(["--chain", "$SLURM_ARRAY_TASK_ID"]), to: arrayScript)
    try sweep.folder.write(script(["--gather", "\(attempt)"]), to: gatherScript)
    let array = try await sbatch(
      arrayOptions(chains) + ["--output", folder + "/%A_%a.log", arrayScript])
    // Whatever becomes of the array, somebody has to look at what it left.
    let gather = try await sbatch(
      partition + ["--dependency", "afterany:\(array)", "--output", folder + "/%j.log", "--ntasks", "1", gatherScript])
    sweep.folder.note(
      "submitted", nil,
      [
        .init("attempt", .integer(attempt)), .init("array", .string(array)), .init("gather", .string(gather)),
        .init("chains", .array(chains.map(JSON.integer))),
      ])
    return Submission(array: array, gather: gather, chains: chains)
  }

  private var partition: [String] {
    let slurm = sweep.plan.slurm
    return (slurm.partition.map { ["--partition", $0] } ?? []) + (slurm.account.map { ["--account", $0] } ?? [])
  }

  /// Options of the array.
  func arrayOptions(_ chains: [Int]) -> [String] {
    let slurm = sweep.plan.slurm
    let throttle = slurm.throttle.map { "%\($0)" } ?? ""
    var options = ["--array", SlurmExecutor.ranges(chains) + throttle, "--ntasks", "1", "--requeue"] + partition
    if let cpus = slurm.cpus ?? sweep.plan.threads { options += ["--cpus-per-task", "\(cpus)"] }
    if let memory = slurm.memory { options += ["--mem", memory] }
    if let time = slurm.time { options += ["--time", time] }
    return options
  }

  /// `0-3,7`: the shortest list of ascending numbers.
  static func ranges(_ numbers: [Int]) -> String {
    var parts: [(Int, Int)] = []
    for number in numbers {
      if let last = parts.last, last.1 + 1 == number {
        parts[parts.count - 1].1 = number
      } else {
        parts.append((number, number))
      }
    }
    return parts.map { $0.0 == $0.1 ? "\($0.0)" : "\($0.0)-\($0.1)" }.joined(separator: ",")
  }

  /// A script that runs a part of the sweep as it was started here.
  func script(_ part: [String]) -> String {
    let words = ([sweep.executable] + sweep.arguments).map(SlurmExecutor.quoted).joined(separator: " ")
    let place = SlurmExecutor.quoted(FileManager.default.currentDirectoryPath)
    return """
      #!/bin/bash
      # Written by furl sweep.
      set -eu
      cd \(place)
      exec \(words) \(part.map { $0.hasPrefix("$") ? "\"\($0)\"" : $0 }.joined(separator: " "))

      """
  }

  /// One word of a shell, whatever is in it.
  static func quoted(_ word: String) -> String { "'" + word.replacing("'", with: "'\\''") + "'" }

  private func sbatch(_ options: [String]) async throws -> String {
    let text = try await SlurmExecutor.command("sbatch", ["--parsable", "--job-name", jobName] + options)
    // `--parsable` gives the job's number, and behind a semicolon the cluster's name.
    return String(text.prefix { $0.isNumber })
  }

  private static func command(_ name: String, _ arguments: [String]) async throws -> String {
    let outcome: (status: TerminationStatus, output: String, error: String)
    do {
      let result = try await Subprocess.run(
        .name(name), arguments: Arguments(arguments), output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
      outcome = (result.terminationStatus, result.standardOutput, result.standardError)
    } catch {
      throw FurlError(
        .unavailable, file: name, "cannot be run",
        remedy: "--executor slurm needs Slurm's commands; leave it out to run here")
    }
    guard case .exited(0) = outcome.status else {
      let words = outcome.error.split(separator: "\n").first.map(String.init) ?? "no reason was given"
      throw FurlError(.unavailable, file: name, words)
    }
    return outcome.output
  }

  // MARK: Gathering

  /// What the gathering job does: submits lost chains again, or writes the report.
  ///
  /// - Returns: the new submission; nil when the report is written.
  package func gather(attempt: Int) async throws -> Submission? {
    if !sweep.unfinishedChains.isEmpty, attempt < sweep.plan.slurm.attempts {
      return try await submit(attempt: attempt + 1)
    }
    try sweep.finish()
    return nil
  }

  /// Waits for the report.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when no job is left and there is none.
  package func wait(progress: (Int) -> Void) async throws {
    var silent = 0
    while !FileManager.default.fileExists(atPath: sweep.folder.report) {
      try await Task.sleep(for: .milliseconds(500))
      let jobs = try await SlurmExecutor.command("squeue", ["--noheader", "--name", jobName, "--format", "%i"])
      progress(jobs.split(separator: "\n").count)
      silent = jobs.isEmpty ? silent + 1 : 0
      // A gathering job ends when its report is there, or after it has submitted another.
      guard silent < 10 else {
        throw FurlError(
          .unavailable, file: folder, "the jobs have ended without a report", remedy: "see the logs there")
      }
    }
  }
}
