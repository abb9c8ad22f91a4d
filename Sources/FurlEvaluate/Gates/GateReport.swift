import FurlSpec
import FurlTensor

/// What `verify` found: every bound with its verdict, and the verdict of all.
public struct GateReport: Sendable, Hashable {
  /// What was verified: a base name.
  public var artifact: String
  /// Where the gates came from: `recipe`, or the base name of a gate file.
  public var gatesFrom: String
  public var checks: [GateCheck]
  /// What the verdicts rest on, for those who read them later.
  public var evidence: Evidence

  /// What was held to the gates, and how it was measured.
  public struct Evidence: Sendable, Hashable {
    public var artifactID: Digest?
    /// The digest of the gate file; nil for a recipe's gates.
    public var gatesDigest: Digest?
    /// What was compared with.
    public var baseline: EvaluationReport.Model?
    /// The artifact's report on every suite.
    public var reports: [EvaluationReport]

    public init(
      artifactID: Digest? = nil, gatesDigest: Digest? = nil, baseline: EvaluationReport.Model? = nil,
      reports: [EvaluationReport] = []
    ) {
      self.artifactID = artifactID
      self.gatesDigest = gatesDigest
      self.baseline = baseline
      self.reports = reports
    }
  }

  /// - Throws: ``FurlError`` of kind `usage` when there is nothing to verify, so that an empty list never passes.
  public init(artifact: String, gatesFrom: String, checks: [GateCheck], evidence: Evidence = .init()) throws {
    guard !checks.isEmpty else {
      throw FurlError(
        .usage, file: artifact, "there are no gates, so there is nothing to verify", remedy: "give --gates G.yaml")
    }
    self.artifact = Suite.baseName(artifact)
    self.gatesFrom = Suite.baseName(gatesFrom)
    self.checks = checks
    self.evidence = evidence
  }

  /// The gravest verdict: fail, then inconclusive, then pass.
  public var verdict: Verdict { checks.reduce(.pass) { $0.and($1.verdict) } }

  /// 0 when every gate holds, 1 when one does not, 2 when the data do not tell.
  public func exitStatus(allowingInconclusive allowed: Bool = false) -> Int32 {
    switch verdict {
    case .pass: 0
    case .fail: 1
    case .inconclusive: allowed ? 0 : 2
    }
  }

  /// The document of `verify --json`.
  public var json: JSON {
    [
      "furl": 1, "artifact": .string(artifact), "verdict": .string(verdict.rawValue),
      "artifact_id": .optional(evidence.artifactID?.hex), "gates_from": .string(gatesFrom),
      "gates_sha256": .optional(evidence.gatesDigest?.hex), "gates": .array(checks.map(\.json)),
      "baseline": evidence.baseline.map {
        ["path": .string($0.path), "digest": .optional($0.digest?.hex)]
      } ?? .null,
      "suites": .array(evidence.reports.map(\.summary)),
    ]
  }
}

extension GateCheck.Bound {
  /// `{"min": 0.6}` or `{"max_drop": 0.02, "confidence": 0.95}`.
  public var json: JSON {
    switch self {
    case .min(let value): ["min": .number(value)]
    case .maxDrop(let value, let confidence): ["max_drop": .number(value), "confidence": .number(confidence)]
    }
  }
}

extension GateCheck.Bound: CustomStringConvertible {
  public var description: String {
    switch self {
    case .min(let value): "min \(value)"
    case .maxDrop(let value, let confidence): "max_drop \(value) at confidence \(confidence)"
    }
  }
}

extension GateCheck {
  /// One entry of `gates`. What compares with a baseline is null when there is none.
  public var json: JSON {
    [
      "suite": .string(suite), "metric": .string(metric.rawValue), "bound": bound.json, "value": .number(value),
      "interval_95": .interval(interval95), "baseline": .optional(comparison?.baseline),
      "difference": .optional(comparison?.difference),
      "difference_interval_95": .interval(comparison?.interval95),
      "lower_limit": .optional(comparison?.lowerLimit), "upper_limit": .optional(comparison?.upperLimit),
      "regressions": .optional(comparison?.regressed.count), "fixes": .optional(comparison?.fixed.count),
      "flips": .optional(comparison?.flips), "p_value": .optional(comparison?.p),
      "regressed": .array(comparison?.regressed.map(\.json) ?? []),
      "fixed": .array(comparison?.fixed.map(\.json) ?? []),
      "verdict": .string(verdict.rawValue), "reason": .string(reason),
    ]
  }
}

extension EvaluationReport {
  /// The report without its single results.
  fileprivate var summary: JSON {
    .object((json.members ?? []).filter { $0.key != "results" })
  }
}
