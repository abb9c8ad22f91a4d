// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "server",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "furl", path: "../..")],
  targets: [
    .executableTarget(
      name: "server", dependencies: [.product(name: "FurlRuntime", package: "furl")], path: ".", exclude: ["try.py"],
      sources: ["Server.swift", "Connection.swift"])
  ]
)
