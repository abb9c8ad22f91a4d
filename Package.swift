// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is compiled with.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// The only test targets to build, where `FURL_TESTS` names some ("FurlBaseTests,FurlSpecTests"): all of them take minutes.
let wanted = Context.environment["FURL_TESTS"]?.split(separator: ",").map(String.init)

/// What a release says of itself beside its version: commit and date, as `make dist` sets it.
let build = Context.environment["FURL_BUILD"]

/// A source target and the test target that goes with it.
///
/// - Parameter resources: files that become bytes of the program (`PackageResources`): nothing is looked up when it runs.
func module(
  _ name: String, uses dependencies: [Target.Dependency], tests extra: [Target.Dependency] = [],
  documents: [String] = [], scripts: [String] = [], resources: [Resource] = []
) -> [Target] {
  [
    .target(
      name: name, dependencies: dependencies, exclude: documents, resources: resources, swiftSettings: settings),
    .testTarget(
      name: name + "Tests", dependencies: [.byName(name: name), "FurlTestSupport"] + dependencies + extra,
      exclude: scripts,
      swiftSettings: settings),
  ]
}

let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let libraries: [Target] =
  module("FurlBase", uses: ["CFurlKernels", "CYaml"])
  + module("FurlTensor", uses: ["FurlBase", "CFurlKernels"], tests: ["COpenBLAS"])
  + module("FurlNumerics", uses: ["FurlTensor", "FurlBase", "CFurlKernels"])
  + module(
    "FurlSpec", uses: ["FurlTensor", "FurlBase"], resources: [.embedInCode("Recipes/Shipped/Text")])
  + module(
    "FurlArtifact", uses: ["FurlSpec", "FurlTensor", "FurlBase", "CZstd"], documents: ["FORMAT.md"],
    scripts: ["read_furl.py"])
  + module(
    "FurlCheckpoint", uses: ["FurlSpec", "FurlTensor", "FurlBase"],
    resources: [.embedInCode("Synthesis/Configurations")])
  + module("FurlTokenizer", uses: ["FurlSpec", "FurlTensor", "FurlBase"])
  + module(
    "FurlModel",
    uses: ["FurlTokenizer", "FurlCheckpoint", "FurlArtifact", "FurlSpec", "FurlNumerics", "FurlTensor", "FurlBase"])
  + module(
    "FurlRuntime",
    uses: ["FurlModel", "FurlTokenizer", "FurlArtifact", "FurlSpec", "FurlTensor", "FurlBase"])
  + module(
    "FurlEvaluate",
    uses: [
      "FurlModel", "FurlTokenizer", "FurlArtifact", "FurlSpec", "FurlTensor", "FurlBase", subprocess, system,
    ], tests: ["FurlCheckpoint"], resources: [.embedInCode("Sandbox/Python")])
  + module(
    "FurlTransform",
    uses: [
      "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact", "FurlSpec", "FurlNumerics", "FurlTensor",
      "FurlBase",
    ], tests: ["FurlEvaluate"])
  + module(
    "FurlReport",
    uses: [
      "FurlTransform", "FurlEvaluate", "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact", "FurlSpec",
      "FurlNumerics", "FurlTensor", "FurlBase", "CFurlKernels", subprocess, system,
    ],
    resources: [.embedInCode("Page/page.css")])
  + module(
    "Furl",
    uses: ["FurlRuntime", "FurlTransform", "FurlCheckpoint", "FurlSpec", "FurlTensor", "FurlBase"], tests: ["FurlC"])

/// Tests/Fuzz: only where `make sanitize` asks for it, because it has no `main` and links with `--sanitize fuzzer` alone.
let fuzzing: [Target] =
  Context.environment["FURL_FUZZ"] == nil
  ? []
  : [
    .executableTarget(
      name: "FurlFuzz",
      dependencies: [
        "FurlReport", "FurlTransform", "FurlEvaluate", "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact",
        "FurlSpec", "FurlNumerics", "FurlTensor", "FurlBase", "FurlTestSupport", "CZstd",
      ], path: "Tests/Fuzz", exclude: ["binary.dict", "run.sh", "uncovered.txt"], swiftSettings: settings)
  ]

let package = Package(
  name: "furl",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "furl", targets: ["FurlCommand"]),
    .library(name: "Furl", targets: ["Furl"]),
    .library(name: "FurlRuntime", targets: ["FurlRuntime"]),
    .library(name: "FurlC", type: .dynamic, targets: ["FurlC"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
  ],
  targets: (libraries + fuzzing + [
    .executableTarget(
      name: "FurlCommand",
      dependencies: [
        "FurlReport", "FurlTransform", "FurlEvaluate", "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact",
        "FurlSpec", "FurlTensor", "FurlBase", arguments,
      ], swiftSettings: settings),
    .testTarget(
      name: "FurlCommandTests",
      dependencies: [
        "FurlReport", "FurlTransform", "FurlEvaluate", "FurlModel", "FurlTokenizer", "FurlCheckpoint", "FurlArtifact",
        "FurlSpec", "FurlNumerics", "FurlTensor", "FurlBase", "FurlCommand", "FurlTestSupport", subprocess, system,
      ],
      exclude: ["Snapshots"],
      swiftSettings: settings),
    .target(
      name: "FurlC", dependencies: ["FurlRuntime", "FurlBase"], exclude: ["furl.h"], swiftSettings: settings),
    .target(
      name: "FurlTestSupport", dependencies: ["FurlSpec", "FurlTensor", "FurlBase"], path: "Tests/FurlTestSupport",
      swiftSettings: settings),
    .target(name: "CFurlKernels", cSettings: build.map { [.define("FURL_BUILD", to: "\"\($0)\"")] }),
    .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"]), .brew(["libyaml"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
  ]).filter { $0.type != .test || wanted?.contains($0.name) ?? true }
)
