package import FurlBase
package import FurlModel
package import FurlSpec

/// What `verify` found: every bound with its verdict, and the verdict of all.
package struct GateReport: Sendable, Hashable {
  /// What was verified: a base name.
  package var artifact: String
  /// Where the gates came from: `recipe`, or the base name of a gate file.
  package var gatesFrom: String
  package var checks: [GateCheck]
  /// What the verdicts rest on, for those who read them later.
  package var evidence: Evidence
  /// What did not have to be done for them.
  package var savings: Savings

  /// Work that stopping early and keeping results saved.
  package struct Savings: Sendable, Hashable {
    /// Problems of the artifact's suites: those that verdicts rest on, those that were begun, and all.
    package var put = 0
    package var begun = 0
    package var total = 0
    /// Suites whose baseline was not measured again, and the seconds that it once took.
    package var cachedBaselines: [String] = []
    package var cachedSeconds = 0.0
    /// Tokens of drafts that were checked, and those of them that did not have to be generated.
    package var drafted = SpeculationCount()

    package init() {}

    /// The share of the problems that were not begun.
    package var share: Double { total > 0 ? 1 - Double(begun) / Double(total) : 0 }
  }

  /// What was held to the gates, and how it was measured.
  package struct Evidence: Sendable, Hashable {
    package var artifactID: Digest?
    /// The digest of the gate file; nil for a recipe's gates.
    package var gatesDigest: Digest?
    /// What was compared with.
    package var baseline: EvaluationReport.EvaluatedModel?
    /// The artifact's report on every suite.
    package var reports: [EvaluationReport]
    /// What a person should know of the measurements: that the machine was busy, that most programs are no Python.
    package var notes: [String]

    /// Takes in a suite's report, what it was compared with, and what is to be known of both.
    package mutating func add(_ report: EvaluationReport, baseline: EvaluationReport?) {
      reports.append(report)
      self.baseline = baseline?.model ?? self.baseline
      notes += report.notes.map { "\(report.suite.name): \($0)" }
      notes += (baseline?.notes ?? []).map { "\(report.suite.name) of the baseline: \($0)" }
    }

    package init(
      artifactID: Digest? = nil, gatesDigest: Digest? = nil, baseline: EvaluationReport.EvaluatedModel? = nil,
      reports: [EvaluationReport] = [], notes: [String] = []
    ) {
      self.notes = notes
      self.artifactID = artifactID
      self.gatesDigest = gatesDigest
      self.baseline = baseline
      self.reports = reports
    }
  }

  /// - Throws: ``FurlError`` of kind `usage` when there is nothing to verify, so that an empty list never passes.
  package init(
    artifact: String, gatesFrom: String, checks: [GateCheck], evidence: Evidence = .init(), savings: Savings = .init()
  ) throws {
    guard !checks.isEmpty else {
      throw FurlError(
        .usage, file: artifact, "there are no gates, so there is nothing to verify", remedy: "give --gates G.yaml")
    }
    self.artifact = artifact.lastName
    self.gatesFrom = gatesFrom.lastName
    self.checks = checks
    self.evidence = evidence
    self.savings = savings
  }

  /// The gravest verdict: fail, then inconclusive, then not put, then pass.
  package var verdict: Verdict { checks.reduce(.pass) { $0.and($1.verdict) } }

  /// 0 when every gate holds, 1 when one does not, 2 when the data do not tell.
  package func exitStatus(allowingInconclusive allowed: Bool = false) -> Int32 {
    switch verdict {
    case .pass: 0
    case .fail: 1
    case .inconclusive: allowed ? 0 : 2
    // What was not measured is no reason to let anything through.
    case .notPut: 2
    }
  }

  /// The document of `verify --json`.
  package var json: JSON {
    [
      "furl": 1, "artifact": .string(artifact), "verdict": .string(verdict.rawValue),
      "artifact_id": .optional(evidence.artifactID?.hex), "gates_from": .string(gatesFrom),
      "gates_sha256": .optional(evidence.gatesDigest?.hex), "gates": .array(checks.map(\.json)),
      "baseline": evidence.baseline.map {
        ["path": .string($0.path), "digest": .optional($0.digest?.hex)]
      } ?? .null,
      "suites": .array(evidence.reports.map(\.summary)), "notes": .array(evidence.notes.map(JSON.string)),
      "saved": [
        "problems_put": .integer(savings.put), "problems_begun": .integer(savings.begun),
        "problems": .integer(savings.total), "share": .number(savings.share),
        "baselines_from_cache": .array(savings.cachedBaselines.map(JSON.string)),
        "baseline_seconds": .number(savings.cachedSeconds),
        "draft_tokens": .integer(savings.drafted.guessed),
        "draft_tokens_accepted": .integer(savings.drafted.accepted),
      ],
    ]
  }
}

extension GateCheck.Bound {
  /// `{"min": 0.6}` or `{"max_drop": 0.02, "confidence": 0.95}`.
  package var json: JSON {
    switch self {
    case .min(let value): ["min": .number(value)]
    case .maxDrop(let value, let confidence): ["max_drop": .number(value), "confidence": .number(confidence)]
    case .max(let value, nil): ["max": .number(value)]
    case .max(let value, let confidence?): ["max": .number(value), "confidence": .number(confidence)]
    case .maxRise(let value, let confidence): ["max_rise": .number(value), "confidence": .number(confidence)]
    }
  }
}

extension GateCheck.Bound: CustomStringConvertible {
  package var description: String {
    switch self {
    case .min(let value): "min \(value)"
    case .maxDrop(let value, let confidence): "max_drop \(value) at confidence \(confidence)"
    case .max(let value, let confidence): "max \(value)" + (confidence.map { " at confidence \($0)" } ?? "")
    case .maxRise(let value, let confidence): "max_rise \(value) at confidence \(confidence)"
    }
  }
}

extension GateCheck {
  /// One entry of `gates`. What compares with a baseline is null when there is none, what counts problems is null for
  /// a text.
  package var json: JSON {
    return [
      "suite": suite.isEmpty ? .null : .string(suite), "metric": .string(metric.rawValue), "bound": bound.json,
      "value": value.isFinite ? .number(value) : .null,
      "interval_95": .interval(interval95), "baseline": .optional(comparison?.baseline),
      "difference": .optional(comparison?.difference),
      "difference_interval_95": .interval(comparison?.interval95),
      "newcombe_interval_95": .interval(comparison?.newcombe95),
      "lower_limit": .optional(comparison?.lowerLimit), "upper_limit": .optional(comparison?.upperLimit),
      "regressions": .optional(paired?.regressed.count), "fixes": .optional(paired?.fixed.count),
      "flips": .optional(paired?.flips), "p_value": .optional(comparison?.p),
      "p_broken": .optional(comparison?.pBroken), "p_holds": .optional(comparison?.pHolds),
      "p_holds_holm": .optional(comparison?.pHoldsCorrected), "shown_margin": .optional(comparison?.shownMargin),
      "problems_needed": .optional(comparison?.problemsNeeded),
      "regressed": .array(paired?.regressed.map(\.json) ?? []), "fixed": .array(paired?.fixed.map(\.json) ?? []),
      "partial": partial.map {
        ["put": .integer($0.put), "of": .integer($0.count), "value_range": .interval($0.range)]
      } ?? .null,
      "verdict": .string(verdict.rawValue), "reason": .string(reason), "loose": .bool(isLoose),
    ]
  }
}

extension EvaluationReport {
  /// The report without its single results. What a part of a suite gave that is no random draw from it is no figure.
  fileprivate var summary: JSON {
    let figures = suite.kind.type.figures.map(\.key) + ["interval_95"]
    return .object(
      (json.members ?? []).filter { $0.key != "results" }.map { member in
        isCurtailed && figures.contains(member.key) ? JSON.Member(member.key, .null) : member
      })
  }
}
