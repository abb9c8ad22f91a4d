import Foundation
import FurlBase
import FurlEvaluate
import FurlTestSupport
import Synchronization
import Testing

@Suite struct ReportCommandTests {
  /// The whole way: bench on a made powercap tree that moves, then the page.
  @Test func energyIsMeasuredAndDrawn() async throws {
    try await TestData.withTemporaryFolder { folder in
      let zone = folder + "/powercap/intel-rapl:0"
      try FileManager.default.createDirectory(atPath: zone, withIntermediateDirectories: true)
      try TestData.write(Array("package-0\n".utf8), to: zone + "/name")
      try TestData.write(Array("262143328850\n".utf8), to: zone + "/max_energy_range_uj")
      try TestData.write(Array("262143000000\n".utf8), to: zone + "/energy_uj")
      // About a hundred watts, which wrap around once on their way.
      let isDone = Mutex(false)
      // A thread of its own: other tests may keep those that tasks share from it for longer than a measurement takes.
      Thread.detachNewThread {
        var total = 262_143_000_000
        while !isDone.withLock({ $0 }) {
          total = (total + 1_000_000) % 262_143_328_850
          // A reader must never see a file that is being written.
          guard (try? TestData.write(Array("\(total)\n".utf8), to: zone + "/next")) != nil else { return }
          rename(zone + "/next", zone + "/energy_uj")
          usleep(10_000)
        }
      }
      let environment = ["FURL_POWERCAP": folder + "/powercap"]
      let bench = try await Tool.run(
        [
          "bench", TestData.minipy, "--rounds", "1", "--repeats", "2", "--prompt-tokens", "8", "--decode-tokens", "8",
          "--json",
          "--idle", "0.3", "--tdp", "100", "--carbon", "268:2023", "--threads", "1",
        ], environment: environment)
      isDone.withLock { $0 = true }
      let energy = try #require(try bench.json["results"]?[0]?["energy"])
      #expect(energy["method"]?.string == "rapl-powercap" && energy["samples"]?.array?.count == 2)
      #expect((energy["joules_per_token"]?.number ?? 0) > 0 && (energy["idle"]?["watts"]?.number ?? 0) > 0)
      #expect(energy["carbon"]?["year"]?.integer == 2023 && energy["modelled"]?["method"]?.string == "tdp-model")
      #expect(energy["domains"]?[0]?["name"]?.string == "package-0")
      try TestData.write(Array(bench.output.utf8), to: folder + "/bench.json")
      let page = folder + "/page.html"
      let report = try await Tool.run("report", folder + "/bench.json", "--html", page)
      #expect(report.status == 0 && report.output.hasPrefix("# Furl report"), "\(report.errors)")
      #expect(String(decoding: try TestData.bytes(page), as: UTF8.self).contains("Energy of a decoded token"))
    }
  }

  @Test func whatIsNoReport() async throws {
    try await TestData.withTemporaryFolder { folder in
      let path = folder + "/x.json"
      try TestData.write(Array("{}".utf8), to: path)
      expectOneLine(try await Tool.run("report", path), status: 65, containing: path, "no report")
      try TestData.write(Array("{\"results\": []}".utf8), to: path)
      expectOneLine(
        try await Tool.run("report", path, "--samples", "a"), status: 64, containing: "--samples", "MODEL=FILE")
      expectOneLine(
        try await Tool.run("report", path, "--baseline", "b"), status: 64, containing: "--baseline", "\"b\"")
      #expect(try await Tool.run("report", path, "--html", folder + "/no/where.html").status == 73)
      #expect(try await Tool.run("report").status == 64)
    }
  }
}
