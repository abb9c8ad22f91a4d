import FurlBase
package import CFurlKernels

/// The tier of kernels that this process computes with.
package struct Kernels: @unchecked Sendable {
  package let table: furl_kernels
  /// `amx`, `avx512-vnni`, `avx-vnni`, `avx2`, `neon`, `portable` or `scalar`.
  package let name: String

  /// The tiers, best first.
  private static let tiers: [(name: String, isa: furl_isa)] = [
    ("amx", FURL_ISA_AMX), ("avx512-vnni", FURL_ISA_AVX512_VNNI), ("avx-vnni", FURL_ISA_AVX_VNNI),
    ("avx2", FURL_ISA_AVX2), ("neon", FURL_ISA_NEON),
    ("portable", FURL_ISA_PORTABLE), ("scalar", FURL_ISA_SCALAR),
  ]

  private init(_ table: furl_kernels, name: String) {
    self.table = table
    self.name = name
  }

  /// What weights are encoded with: every tier gives the same bits, so this is no choice that a result depends on.
  package static let forEncoding: Kernels = {
    if let chosen = try? fromEnvironment() { return chosen }
    for tier in tiers {
      if let table = furl_kernels_for(tier.isa) { return Kernels(table.pointee, name: tier.name) }
    }
    preconditionFailure("the scalar tier is always there")
  }()

  /// What calibration, pruning and training compute with: the tier that runs a model, save that the scalar one, whose
  /// sums are in double precision, gives way to the portable one. These tiers give the same bits, so that an artifact does
  /// not depend on the CPU that it was made on.
  ///
  /// - Throws: ``FurlError``, as ``fromEnvironment()``.
  package static func forTransforms() throws -> Kernels {
    let chosen = try fromEnvironment()
    return chosen.name == "scalar" ? try Kernels(named: "portable") : chosen
  }

  /// The tiers that this CPU has.
  package static var supported: [String] { tiers.filter { furl_isa_supported($0.isa) }.map(\.name) }

  /// - Parameter name: a tier, or nil for the best that the CPU has.
  /// - Throws: ``FurlError`` of kind `unavailable` when the CPU does not have the tier, `usage` when there is none
  ///   of that name.
  package init(named name: String? = nil) throws {
    for tier in Kernels.tiers where name == nil || name == tier.name {
      if furl_isa_supported(tier.isa), let table = furl_kernels_for(tier.isa) {
        self.table = table.pointee
        self.name = tier.name
        return
      }
    }
    let known = Kernels.supported.joined(separator: ", ")
    if let name, Kernels.tiers.contains(where: { $0.name == name }) {
      // Linux may keep AMX's tiles from a process that the CPU would give them to.
      let owner = name == "amx" ? "this process" : "this CPU"
      throw FurlError(.unavailable, file: "FURL_ISA", "\(owner) has no \(name)", remedy: "it has: \(known)")
    }
    throw FurlError(.usage, file: "FURL_ISA", "there are no kernels named \(name ?? "")", remedy: "there are: \(known)")
  }

  /// The kernels that the environment variable `FURL_ISA` names, or the best.
  package static func fromEnvironment() throws -> Kernels {
    try Kernels(named: getenv("FURL_ISA").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 })
  }
}
