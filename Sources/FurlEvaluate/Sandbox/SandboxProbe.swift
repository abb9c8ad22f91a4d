import FurlBase

#if os(Linux)

/// Tries a sandbox and compiles the two sides of the pipe in it.
enum SandboxProbe {
  /// - Throws: ``FurlError`` of kind `unavailable` with the reason and a remedy.
  static func run(_ tools: SandboxTools, _ protection: Sandbox.Protection) throws(FurlError) -> Sandbox {
    do {
      return try attempt(tools, protection)
    } catch let error as FurlError {
      throw error
    } catch {
      throw FurlError(.unavailable, "the sandbox cannot be tried: \(error)")
    }
  }

  private static func attempt(_ tools: SandboxTools, _ protection: Sandbox.Protection) throws -> Sandbox {
    let filtered = protection == .bubblewrapAndFilter
    let output = try Descriptor.file()
    let errors = try Descriptor.file()
    let input = try Descriptor.nowhere()
    let filter = try Descriptor.file(SystemCallFilter.bytes ?? [])
    var child = try ChildProcess(
      tools.command(
        PythonProgram.probe, filter: filtered ? 3 : nil, memory: 1024, processor: 20,
        arguments: [PythonProgram.candidate, PythonProgram.checkTester, PythonProgram.inputsTester]),
      environment: SandboxTools.environment,
      descriptors: [input.raw, output.raw, errors.raw] + (filtered ? [filter.raw] : []))
    guard let status = child.exitStatus(within: 30) else {
      throw FurlError(.unavailable, "the sandbox does not start within 30 seconds")
    }
    guard status == 0 else { throw failure(try errors.contents(limit: 10_000), status, tools) }
    let lines = String(decoding: try output.contents(limit: 1 << 20), as: UTF8.self).split(separator: "\n")
    guard lines.count == 5 else { throw FurlError(.unavailable, "\(tools.python) does not answer as expected") }
    let version = lines[0].split(separator: ".").compactMap { Int($0) }
    guard version.count == 3, (version[0], version[1]) >= (3, 8) else {
      throw FurlError(
        .unavailable, "\(tools.python) is version \(lines[0])", remedy: "Python 3.8 or newer is needed")
    }
    guard !filtered || lines[1] == "filtered" else {
      throw FurlError(.unavailable, "the filter of system calls has no effect")
    }
    return Sandbox(
      protection, python: String(lines[0]), tools: tools, candidate: PythonCode(lines[2]),
      checkTester: PythonCode(lines[3]), inputsTester: PythonCode(lines[4]))
  }

  private static func failure(_ errors: [UInt8], _ status: Int32, _ tools: SandboxTools) -> FurlError {
    let words = String(decoding: errors, as: UTF8.self)
    let line = words.split(separator: "\n").last.map(String.init) ?? "exit status \(status)"
    let remedy =
      if words.contains("nknown option") {
        "bubblewrap 0.8 or newer is needed"
      } else if tools.bwrap != nil {
        "allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0, or "
          + "kernel.unprivileged_userns_clone=1), or --unsandboxed where the machine itself is a sandbox"
      } else {
        "python3 of this system must be able to run"
      }
    return FurlError(.unavailable, "generated programs cannot be executed: \(line)", remedy: remedy)
  }
}
#endif
