package import FurlBase
import FurlEvaluate
import FurlTensor

/// What `furl doctor` says of a machine: what it has, what is missing, and what that keeps one from.
package struct MachineCheck: Sendable {
  /// How something stands.
  package enum Standing: String, Sendable {
    /// It is there.
    case good = "ok"
    /// It is not, and something cannot be done without it.
    case missing
    /// Worth knowing, and no hindrance.
    case note
  }

  /// One thing that was looked at.
  package struct Finding: Sendable {
    package let name: String
    package let standing: Standing
    package let text: String
    package let remedy: String?
    /// The same for programs.
    package let facts: JSON

    init(_ name: String, _ standing: Standing, _ text: String, remedy: String? = nil, facts: JSON) {
      self.name = name
      self.standing = standing
      self.text = text
      self.remedy = remedy
      self.facts = facts
    }
  }

  package let findings: [Finding]

  /// Looks at this machine; takes about a second, most of it for the memory's rate.
  package init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    let kernels = Self.kernels
    let sandbox = Self.sandbox
    findings = [
      Self.program, kernels, Self.threads, Self.memory, sandbox.sandbox, sandbox.python, Self.blas, Self.energy,
      Self.cache(environment), Self.locale(environment),
    ]
  }

  /// Whether nothing is missing.
  package var isComplete: Bool { findings.allSatisfy { $0.standing != .missing } }

  package var json: JSON {
    [
      "complete": .bool(isComplete),
      "findings": .object(
        findings.map { finding in
          .init(
            finding.name,
            [
              "standing": .string(finding.standing.rawValue), "text": .string(finding.text),
              "remedy": .optional(finding.remedy), "facts": finding.facts,
            ])
        }),
    ]
  }

  // MARK: One by one

  private static var program: Finding {
    Finding("furl", .good, furlBuild, facts: ["version": .string(furlVersion), "build": .string(furlBuild)])
  }

  private static var kernels: Finding {
    let known = Kernels.supported
    let facts = { (chosen: String?) -> JSON in
      ["chosen": .optional(chosen), "supported": .array(known.map(JSON.string))]
    }
    do {
      let chosen = try Kernels.fromEnvironment().name
      let others = known.filter { $0 != chosen }
      // Plain C is right and slow.
      let isSlow = ["portable", "scalar"].contains(chosen)
      return Finding(
        "kernels", isSlow ? .note : .good, chosen + (others.isEmpty ? "" : "; also \(others.joined(separator: ", "))"),
        remedy: isSlow ? "models run several times as fast with AVX2" : nil, facts: facts(chosen))
    } catch {
      let error = error as? FurlError
      return Finding(
        "kernels", .missing, error?.problem ?? "none can be chosen", remedy: error?.remedy, facts: facts(nil))
    }
  }

  private static var threads: Finding {
    let cores = WorkerPool.availableCores
    return Finding("threads", .good, "\(cores), one for each core", facts: ["cores": .integer(cores)])
  }

  private static var memory: Finding {
    let (total, free) = MachineMemory.bytes()
    let rate = MachineMemory.readRate()
    let words = [
      total.map { Figures.bytes($0) }, free.map { "\(Figures.bytes($0)) free" },
      rate.map { "read at \(Figures.bytes(Int($0)))/s" },
    ]
    return Finding(
      "memory", .good, words.compactMap { $0 }.joined(separator: ", "),
      facts: [
        "bytes": .optional(total), "free_bytes": .optional(free),
        "read_bytes_per_second": .optional(rate.map { $0.rounded() }),
      ])
  }

  /// What executes generated programs, and what keeps them in.
  private static var sandbox: (sandbox: Finding, python: Finding) {
    do {
      let found = try Sandbox.detect()
      let isWhole = found.protection == .bubblewrapAndFilter && !found.name.hasSuffix("read-only")
      return (
        Finding(
          "sandbox", isWhole ? .good : .note, found.name,
          remedy: isWhole ? nil : "programs are kept in, but not as well as they could be: docs/ci.md",
          facts: ["protection": .string(found.name)]),
        Finding("python", .good, found.python, facts: ["version": .string(found.python)])
      )
    } catch {
      let error = error as? FurlError ?? FurlError(.defect, "\(error)")
      let text = [error.file, error.problem].compactMap { $0 }.joined(separator: " ")
      // Where there is no sandbox, Python may be there all the same.
      let python = (try? Sandbox.detect(unsandboxed: true))?.python
      return (
        Finding(
          "sandbox", .missing, text, remedy: (error.remedy.map { $0 + "; " } ?? "") + "pass@1 needs it, nothing else",
          facts: ["protection": .null]),
        Finding(
          "python", python == nil ? .missing : .good, python ?? "none that can execute programs",
          remedy: python == nil ? "apt-get install python3; pass@1 needs it, nothing else" : nil,
          facts: ["version": .optional(python)])
      )
    }
  }

  private static var blas: Finding {
    Finding(
      "blas", .good, "Furl's own: OpenBLAS is neither needed nor looked for", facts: ["implementation": "furl"])
  }

  private static var energy: Finding {
    let source = EnergySource.detect()
    let facts: JSON = ["method": .string(source.method.rawValue), "reason": .optional(source.reason)]
    guard source.method == .none else {
      return Finding("energy", .good, "\(source.method.rawValue), counters of the whole machine", facts: facts)
    }
    return Finding("energy", .note, source.reason ?? "no counters", remedy: "reports give none", facts: facts)
  }

  private static func cache(_ environment: [String: String]) -> Finding {
    guard let contents = CacheContents(environment) else {
      return Finding("cache", .note, "off", facts: ["path": .null, "bytes": 0])
    }
    return Finding(
      "cache", .good, "\(contents.path), \(Figures.bytes(contents.bytes)) in \(contents.files) files",
      facts: ["path": .string(contents.path), "bytes": .integer(contents.bytes), "files": .integer(contents.files)])
  }

  private static func locale(_ environment: [String: String]) -> Finding {
    // The first that says anything counts (POSIX, Environment Variables).
    let name = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? "C"
    let isUTF8 = ["utf8", "utf-8"].contains { name.lowercased().hasSuffix($0) }
    return Finding(
      "locale", isUTF8 ? .good : .note, name,
      remedy: isUTF8 ? nil : "Furl writes UTF-8; a terminal that is set otherwise shows some signs wrongly",
      facts: ["name": .string(name), "utf8": .bool(isUTF8)])
  }
}
