import FurlBase

/// A sweep's folder: results of cells, the journal, what is being made, and the report.
///
/// A cell's file appears when it is whole, so a run that is killed at any moment loses that cell and nothing else.
package struct SweepFolder: Sendable {
  package let path: String

  /// - Throws: ``FurlError`` of kind `cannotCreate`.
  package init(path: String) throws {
    self.path = URL(fileURLWithPath: path).standardizedFileURL.path
    for part in ["cells", "work", "checkpoints"] {
      do {
        try FileManager.default.createDirectory(
          atPath: self.path + "/" + part, withIntermediateDirectories: true)
      } catch {
        throw FurlError.creating(path, systemCode(of: error) ?? EIO)
      }
    }
  }

  var report: String { path + "/sweep.json" }
  private var journal: String { path + "/journal.jsonl" }

  /// Where a checkpoint of the sweep lies.
  func checkpoint(_ subject: SweepPlan.Subject) -> String {
    switch subject.source {
    case .path(let path): path
    case .synthetic(let model, let blocks): path + "/checkpoints/\(model)\(blocks.map { "-\($0)-blocks" } ?? "")"
    }
  }

  /// Where a cell's artifact lies; its name is one that a reader knows, its folder tells it from others of that name.
  func artifact(_ cell: SweepCell) -> String {
    path + "/work/\(cell.artifactKey.hex.prefix(16))/\(cell.subject.name)-\(cell.step.name).furl"
  }

  func samples(_ cell: SweepCell, suite: String) -> String { path + "/cells/\(cell.id).\(suite).jsonl" }

  // MARK: Results

  private func file(_ cell: SweepCell) -> String { path + "/cells/\(cell.id).json" }

  /// What a cell gave: nil when it has not ended, its file is damaged or another cell's, or the samples that it kept are
  /// no longer what they were: it is then run again.
  func result(_ cell: SweepCell) -> JSON? {
    guard let bytes = try? MappedFile(path: file(cell)).readAll(limit: 256 << 20),
      let json = try? JSON.parse(bytes, file: file(cell)), json["key"]?.string == cell.key.hex,
      ["done", "failed"].contains(json["state"]?.string), let members = json.members,
      json["sha256"]?.string == SweepFolder.digest(members.filter { $0.key != "sha256" })
    else { return nil }
    guard json["state"]?.string == "done" else { return json }
    guard let samples = json["samples"]?.members else { return nil }
    for member in samples {
      guard let file = try? MappedFile(path: self.samples(cell, suite: member.key)),
        member.value.string == Digest(of: file).hex
      else { return nil }
    }
    return json
  }

  func save(_ cell: SweepCell, _ members: [JSON.Member]) throws {
    let all = [.init("furl", 1), .init("key", .string(cell.key.hex)), .init("name", .string(cell.name))] + members
    let json = JSON.object(all + [.init("sha256", .string(SweepFolder.digest(all)))])
    try write(json.compactText + "\n", to: file(cell))
  }

  private static func digest(_ members: [JSON.Member]) -> String {
    Digest(of: JSON.object(members).canonicalText.utf8).hex
  }

  /// Lets a failed cell be tried again.
  func forget(_ cell: SweepCell) { unlink(file(cell)) }

  /// Writes a file that appears when it is whole, and survives a power cut once this returns.
  func write(_ text: String, to path: String) throws {
    let temporary = "\(path).tmp\(getpid())"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw FurlError.writing(path)
    }
    Unfinished.add(temporary)
    defer { Unfinished.forget(temporary) }
    let isWritten = writeAll(Array(text.utf8), to: descriptor) && fsync(descriptor) == 0
    guard close(descriptor) == 0, isWritten, rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw FurlError.writing(path, code)
    }
  }

  // MARK: The journal

  /// Adds a line to the journal; a line that was cut off by a crash is ended first.
  func note(_ event: String, _ cell: SweepCell? = nil, _ more: [JSON.Member] = []) {
    var members: [JSON.Member] = [
      .init("at", .integer(Int(Date().timeIntervalSince1970))), .init("event", .string(event)),
    ]
    if let cell { members += [.init("cell", .string(cell.name)), .init("id", .string(cell.id))] }
    let descriptor = open(journal, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return }
    var last = UInt8(ascii: "\n")
    let end = lseek(descriptor, 0, SEEK_END)
    if end > 0 { _ = pread(descriptor, &last, 1, end - 1) }
    let line = (last == UInt8(ascii: "\n") ? "" : "\n") + JSON.object(members + more).compactText + "\n"
    _ = writeAll(Array(line.utf8), to: descriptor)
    fsync(descriptor)
    close(descriptor)
  }

  // MARK: One at a time

  /// Keeps other runs out of the folder until the process ends, and clears away what a killed one left.
  ///
  /// - Throws: ``FurlError`` of kind `usage` when a run is in it.
  func lock() throws {
    let descriptor = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw FurlError.creating(path + "/lock")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw FurlError(
        .usage, file: path, "another run of the sweep is in this folder",
        remedy: "wait for it, or give another --output")
    }
  }

  /// Removes temporary files of runs that were killed.
  func clean() {
    for name in (FileNames.entries(below: path + "/work") ?? []).map(\.path)
    where name.contains("/") && !name.hasSuffix(".furl") {
      try? FileManager.default.removeItem(atPath: "\(path)/work/\(name)")
    }
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path + "/cells")) ?? []
    where !name.hasSuffix(".json") && !name.hasSuffix(".jsonl") {
      try? FileManager.default.removeItem(atPath: "\(path)/cells/\(name)")
    }
  }

  /// Removes all artifacts.
  func removeArtifacts() { try? FileManager.default.removeItem(atPath: path + "/work") }
}
