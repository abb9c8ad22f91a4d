// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "complete",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "furl", path: "../..")],
  targets: [
    .executableTarget(
      name: "complete", dependencies: [.product(name: "FurlRuntime", package: "furl")], path: ".",
      sources: ["complete.swift"])
  ]
)
