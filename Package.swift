// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is compiled with.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// One source target and its test target of the same name.
func module(_ name: String, _ dependencies: [Target.Dependency], test extra: [Target.Dependency] = [])
  -> [Target]
{
  [
    .target(name: name, dependencies: dependencies, swiftSettings: settings),
    .testTarget(
      name: name + "Tests",
      dependencies: [.byName(name: name), "FurlTestSupport"] + dependencies + extra,
      swiftSettings: settings),
  ]
}

let package = Package(
  name: "furl",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "furl", targets: ["FurlCommand"]),
    .library(name: "Furl", targets: ["FurlTensor"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .target(name: "CFurlKernels", cSettings: [.define("_GNU_SOURCE", .when(platforms: [.linux]))]),
    .target(
      name: "FurlTensor",
      dependencies: ["CFurlKernels", .product(name: "Crypto", package: "swift-crypto")], swiftSettings: settings),
    .executableTarget(name: "FurlCommand", dependencies: ["FurlTensor", .product(name: "ArgumentParser", package: "swift-argument-parser"), "Yams", .product(name: "Subprocess", package: "swift-subprocess"), .product(name: "SystemPackage", package: "swift-system")], swiftSettings: settings),
  ]
)
