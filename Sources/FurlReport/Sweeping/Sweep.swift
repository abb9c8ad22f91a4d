package import FurlBase
import FurlCheckpoint
import FurlTensor
import Subprocess
import SystemPackage

/// Runs a plan in a folder, cell by cell in processes of their own, and goes on where an earlier run was ended.
package struct Sweep: Sendable {
  package let plan: SweepPlan
  package let folder: SweepFolder
  let chains: [SweepChain]
  /// The `furl` executable and what it is called with to run a part of this sweep.
  package let executable: String
  package let arguments: [String]

  /// Makes synthetic checkpoints that are not there yet, and lists the cells.
  ///
  /// - Parameter arguments: the command that starts this sweep, without the executable and without `--executor`.
  package init(
    _ plan: SweepPlan, in folder: SweepFolder, executable: String, arguments: [String],
    progress: (String) -> Void = { _ in }
  ) throws {
    self.plan = plan
    self.folder = folder
    self.executable = executable
    self.arguments = arguments
    for subject in plan.subjects {
      guard case .synthetic(let name, let blocks) = subject.source else { continue }
      let path = folder.checkpoint(subject)
      guard !FileManager.default.fileExists(atPath: path + "/config.json"), let model = PublishedModel(name: name)
      else {
        continue
      }
      progress("making \(subject.name)")
      try SyntheticCheckpoint(model, blocks: blocks).write(
        to: path, pool: WorkerPool(threads: plan.threads ?? WorkerPool.availableCores))
    }
    chains = try plan.chains(in: folder)
  }

  /// How far a run is.
  package struct SweepProgress: Sendable {
    package let cell: String
    /// Cells that have ended, and how many there are.
    package let done: Int
    package let total: Int
    /// `begins`, `done`, `failed`, `skipped`.
    package let event: String
    package let reason: String?
  }

  // MARK: Running here

  /// Runs what has no result yet; cells that failed are tried again.
  package func run(progress: @Sendable (SweepProgress) -> Void) async throws {
    try folder.lock()
    folder.clean()
    unlink(folder.report)
    for chain in chains {
      for cell in chain.cells where folder.result(cell)?["state"]?.string == "failed" { folder.forget(cell) }
    }
    for index in chains.indices { try await run(chain: index, progress: progress) }
  }

  /// Runs the cells of one chain that have no result.
  package func run(chain index: Int, progress: @Sendable (SweepProgress) -> Void) async throws {
    guard chains.indices.contains(index) else { throw FurlError(.usage, "the sweep has no chain \(index)") }
    let total = chains.reduce(0) { $0 + $1.cells.count }
    let before = chains[..<index].reduce(0) { $0 + $1.cells.count }
    let chain = chains[index]
    for (place, cell) in chain.cells.enumerated() {
      let turn = turns(cell)
      if let reason = stop(chain, before: place) {
        progress(SweepProgress(cell: turn, done: before + place + 1, total: total, event: "skipped", reason: reason))
        continue
      }
      if folder.result(cell) != nil { continue }
      progress(SweepProgress(cell: turn, done: before + place, total: total, event: "begins", reason: nil))
      folder.note("begins", cell)
      let reason = try await start(cell)
      folder.note(reason == nil ? "done" : "failed", cell, reason.map { [.init("reason", .string($0))] } ?? [])
      progress(
        SweepProgress(
          cell: turn, done: before + place + 1, total: total, event: reason == nil ? "done" : "failed", reason: reason))
    }
  }

  private func turns(_ cell: SweepCell) -> String {
    plan.repeats > 1 ? "\(cell.name) (\(cell.turn + 1) of \(plan.repeats))" : cell.name
  }

  /// Why a chain ends before one of its cells: it takes all blocks, or the figure of an earlier one has fallen to the
  /// bound.
  private func stop(_ chain: SweepChain, before place: Int) -> String? {
    if let excuse = chain.cells[place].excuse { return excuse }
    guard let until = chain.until else { return nil }
    for cell in chain.cells[..<place] {
      let reports = folder.result(cell)?["result"]?["quality"]?.array ?? []
      let asked = reports.filter { until.suite == nil || $0["suite"]?["name"]?.string == until.suite }
      guard let value = asked.compactMap({ $0[until.metric]?.number }).max(), value <= until.atMost else { continue }
      let suites = until.suite.map { " of \($0)" } ?? ""
      return "\(until.metric)\(suites) fell to \(Figures.percent(value)) with \(cell.step.name)"
    }
    return nil
  }

  /// Runs a cell in a process of its own.
  ///
  /// - Returns: why it failed; nil when it did not.
  private func start(_ cell: SweepCell) async throws -> String? {
    let outcome = try await Subprocess.run(
      .path(FilePath(executable)),
      arguments: Arguments(arguments + ["--cell", cell.id, "--parent", "\(getpid())"]), output: .discarded,
      error: .string(limit: 1 << 20))
    if let result = folder.result(cell) {
      return result["state"]?.string == "failed" ? result["reason"]?.string ?? "" : nil
    }
    // A process that ended without a word: for want of memory, by a signal.
    let line = outcome.standardError.split(separator: "\n").last.map(String.init)
    let reason =
      switch outcome.terminationStatus {
      case .exited(let code): line ?? "its process ended with status \(code)"
      case .signaled(let signal): "its process was killed by signal \(signal)"
      }
    try fail(cell, reason, status: FurlError(.defect, "").exitStatus)
    return reason
  }

  private func fail(_ cell: SweepCell, _ reason: String, status: Int32) throws {
    try folder.save(
      cell,
      [.init("state", "failed"), .init("reason", .string(reason)), .init("status", .integer(Int(status)))])
  }

  /// Runs one cell in this process and keeps its result, or why it failed.
  package func run(cell id: String) async throws {
    guard let cell = chains.flatMap(\.cells).first(where: { $0.id == id }) else {
      throw FurlError(.usage, "the sweep has no cell \(id)")
    }
    do {
      try folder.save(cell, try await CellRunner(plan: plan, folder: folder, executable: executable).run(cell))
    } catch let error as FurlError {
      try fail(cell, withoutFolder("\(error)"), status: error.exitStatus)
    }
  }

  /// A report is the same wherever the sweep's folder lies.
  private func withoutFolder(_ text: String) -> String { text.replacing(folder.path + "/", with: "") }

  // MARK: The report

  /// Cells without a result and without a reason for that.
  var unfinishedChains: [Int] {
    chains.indices.filter { index in
      chains[index].cells.indices.contains {
        folder.result(chains[index].cells[$0]) == nil && stop(chains[index], before: $0) == nil
      }
    }
  }

  /// Puts all results into one document.
  package func gather() -> JSON {
    var machines: [JSON] = []
    let cells = chains.flatMap { chain in
      chain.cells.enumerated().map { place, cell -> JSON in
        var members: [JSON.Member] = [
          .init("name", .string(cell.name)), .init("checkpoint", .string(cell.subject.name)),
          .init("recipe", .string(cell.step.name)), .init("seed", .integer(cell.seed)),
          .init("turn", .integer(cell.turn)),
        ]
        if let reason = stop(chain, before: place) {
          members += [.init("state", "skipped"), .init("reason", .string(reason))]
        } else if let result = folder.result(cell) {
          members += ["state", "reason", "status", "result"].compactMap { key in result[key].map { .init(key, $0) } }
          if let machine = result["machine"], !machines.contains(machine) { machines.append(machine) }
        } else {
          members += [.init("state", "failed"), .init("reason", "it was not run")]
        }
        return .object(members)
      }
    }
    return [
      "furl": 1, "sweep": .string(plan.name), "version": .string(furlVersion), "plan": plan.json,
      "protocol": plan.measuring, "machine": machines.count > 1 ? .array(machines) : machines.first ?? .null,
      "cells": .array(cells),
    ]
  }

  /// Draws the report and writes it beside the results: `sweep.json`, `report.md`, `report.html`. Artifacts go, unless
  /// the plan keeps them.
  ///
  /// - Returns: the document, what is drawn of it, and the exit status of the first cell that failed, 0 if none did.
  @discardableResult
  package func finish() throws -> (json: JSON, document: ReportDocument, status: Int32) {
    let json = gather()
    var document = ReportDocument()
    try document.add(json, file: folder.report)
    for cell in chains.flatMap(\.cells) where cell.turn == 0 {
      for row in document.rows where row.name == cell.name {
        for entry in row.quality {
          let path = folder.samples(cell, suite: entry.suite)
          guard FileManager.default.fileExists(atPath: path) else { continue }
          try document.addSamples(path: path, model: cell.name)
        }
      }
    }
    try folder.write(MarkdownReport.text(document) + "\n", to: folder.path + "/report.md")
    try folder.write(HTMLReport.text(document), to: folder.path + "/report.html")
    // Last, because it says that all is done.
    try folder.write(json.prettyText + "\n", to: folder.report)
    folder.note("reported")
    if !plan.keepsArtifacts { folder.removeArtifacts() }
    let status = json["cells"]?.array?.lazy.filter { $0["state"]?.string == "failed" }
      .map { Int32(clamping: $0["status"]?.integer ?? 70) }.first
    return (json, document, status ?? 0)
  }
}
