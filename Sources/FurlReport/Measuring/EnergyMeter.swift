import Foundation
import FurlSpec

/// The energy that the CPU packages took, by the counters of RAPL (Linux powercap). Only what is measured is
/// reported; where nothing can be measured the report says why.
///
/// Interface: Documentation/power/powercap/powercap.rst of the Linux kernel.
public struct EnergyMeter: Sendable {
  /// A counter of one package.
  struct Domain: Sendable {
    let path: String
    let start: Double
    let range: Double?
  }

  let domains: [Domain]
  /// Why nothing can be measured; nil when something can.
  public let reason: String?

  /// Reads the counters' start.
  ///
  /// - Parameter root: the powercap folder; tests have one of their own.
  public init(root: String = "/sys/class/powercap") {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    // A package contains its cores, so only whole packages are added up; mmio mirrors the same counters.
    let packages = names.sorted().filter { name in
      name.hasPrefix("intel-rapl:") && name.split(separator: ":").count == 2
        && EnergyMeter.text(root + "/" + name + "/name")?.hasPrefix("package") == true
    }
    guard !packages.isEmpty else {
      domains = []
      reason = "this machine has no RAPL counters (\(root))"
      return
    }
    domains = packages.compactMap { name in
      let path = root + "/" + name
      guard let start = EnergyMeter.number(path + "/energy_uj") else { return nil }
      return Domain(path: path, start: start, range: EnergyMeter.number(path + "/max_energy_range_uj"))
    }
    reason = domains.count == packages.count ? nil : "the RAPL counters are not readable by this user"
  }

  /// Joules since the start; nil when a counter cannot be read, or went back and its range is not known.
  public func joules() -> Double? {
    guard reason == nil else { return nil }
    var sum = 0.0
    for domain in domains {
      guard let now = EnergyMeter.number(domain.path + "/energy_uj") else { return nil }
      if now >= domain.start {
        sum += now - domain.start
      } else {
        guard let range = domain.range else { return nil }
        sum += now + range - domain.start
      }
    }
    return sum / 1e6
  }

  private static func text(_ path: String) -> String? {
    (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Counters are whole microjoules.
  private static func number(_ path: String) -> Double? { text(path).flatMap { UInt64($0) }.map { Double($0) } }
}

/// The energy of a row of `bench`.
public struct EnergyReading: Sendable {
  /// Joules over the measured decoding, and the tokens that it made.
  public let joules: Double?
  public let tokens: Int
  public let reason: String?

  public var joulesPerToken: Double? { joules.map { $0 / Double(max(1, tokens)) } }

  var json: JSON {
    guard let joules, let joulesPerToken else { return ["method": "none", "reason": .optional(reason)] }
    return [
      "method": "rapl-powercap", "scope": "whole machine", "joules": .number(joules), "tokens": .integer(tokens),
      "joules_per_token": .number(joulesPerToken),
    ]
  }
}
