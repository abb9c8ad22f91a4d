import CFurlKernels

/// The version of Furl, as artifacts and reports say it.
package let furlVersion = "0.2.0"

/// The same with what it was built from, as `furl --version` says it: `0.2.0 (commit 0123456789ab, 2026-12-01)`; of any
/// build but a release `0.2.0 (development build)`.
package var furlBuild: String { "\(furlVersion) (\(String(cString: furl_build())))" }
