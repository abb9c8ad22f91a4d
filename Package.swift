// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is compiled with.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// A source target and the test target that goes with it.
func module(
  _ name: String, uses dependencies: [Target.Dependency], tests extra: [Target.Dependency] = [],
  documents: [String] = [], scripts: [String] = []
) -> [Target] {
  [
    .target(name: name, dependencies: dependencies, exclude: documents, swiftSettings: settings),
    .testTarget(
      name: name + "Tests", dependencies: [.byName(name: name), "FurlTestSupport"] + dependencies + extra,
      exclude: scripts,
      swiftSettings: settings),
  ]
}

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let libraries: [Target] =
  module("FurlTensor", uses: ["CFurlKernels", crypto], tests: ["COpenBLAS"])
  + module("FurlSpec", uses: ["FurlTensor", yams])
  + module(
    "FurlArtifact", uses: ["FurlSpec", "FurlTensor", "CZstd"], documents: ["FORMAT.md"], scripts: ["read_furl.py"])
  + module("FurlCheckpoint", uses: ["FurlArtifact", "FurlSpec", "FurlTensor"])
  + module("FurlTokenizer", uses: ["FurlCheckpoint", "FurlArtifact", "FurlSpec", "FurlTensor"])
  + module("FurlModel", uses: ["FurlTokenizer", "FurlCheckpoint", "FurlArtifact", "FurlSpec", "FurlTensor"])
  + module(
    "FurlEvaluate",
    uses: ["FurlModel", "FurlTokenizer", "FurlArtifact", "FurlSpec", "FurlTensor", crypto, subprocess, system])
  + module(
    "FurlTransform",
    uses: ["FurlEvaluate", "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact", "FurlSpec", "FurlTensor"])
  + module(
    "FurlReport",
    uses: [
      "FurlTransform", "FurlEvaluate", "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact", "FurlSpec",
      "FurlTensor", subprocess, system,
    ])

/// Tests/Fuzz: only where `make sanitize` asks for it, because it has no `main` and links with `--sanitize fuzzer` alone.
let fuzzing: [Target] =
  Context.environment["FURL_FUZZ"] == nil
  ? []
  : [
    .executableTarget(
      name: "FurlFuzz",
      dependencies: [
        "FurlReport", "FurlTransform", "FurlEvaluate", "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact",
        "FurlSpec", "FurlTensor", "FurlTestSupport", "CZstd",
      ], path: "Tests/Fuzz", exclude: ["binary.dict", "run.sh", "uncovered.txt"], swiftSettings: settings)
  ]

let package = Package(
  name: "furl",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "furl", targets: ["FurlCommand"]),
    .library(name: "Furl", targets: ["Furl"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
  ],
  targets: libraries + fuzzing + [
    .target(
      name: "Furl",
      dependencies: [
        "FurlReport", "FurlTransform", "FurlEvaluate", "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact",
        "FurlSpec", "FurlTensor",
      ], swiftSettings: settings),
    .executableTarget(name: "FurlCommand", dependencies: ["Furl", arguments], swiftSettings: settings),
    .testTarget(
      name: "FurlCommandTests", dependencies: ["Furl", "FurlCommand", "FurlTestSupport", subprocess, system],
      exclude: ["Snapshots"],
      swiftSettings: settings),
    .target(
      name: "FurlTestSupport", dependencies: ["FurlSpec", "FurlTensor"], path: "Tests/FurlTestSupport",
      swiftSettings: settings),
    .target(name: "CFurlKernels"),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
  ]
)
