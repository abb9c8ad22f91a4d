import Foundation

/// What libFuzzer calls once, before everything else.
///
/// `FUZZ_TARGET` names the target; without it the names of all targets are printed, one a line. With `FUZZ_SEEDS` the
/// target's seeds are written to that folder, and nothing else is done.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _: UnsafeMutablePointer<CInt>, _: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>>>
) -> CInt {
  guard let name = FuzzRun.environment("FUZZ_TARGET") else {
    for target in FuzzTarget.all { print(target.name) }
    exit(0)
  }
  guard FuzzTarget.all.contains(where: { $0.name == name }) else { fatalError("there is no fuzz target \(name)") }
  if let folder = FuzzRun.environment("FUZZ_SEEDS") {
    do {
      for (index, seed) in try FuzzRun.target.seeds().enumerated() {
        try Workspace(folder: folder).write(seed, to: "\(name)-\(index)")
      }
    } catch {
      fatalError("no seeds: \(error)")
    }
    exit(0)
  }
  return 0
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  FuzzRun.test(Array(UnsafeBufferPointer(start: start, count: count)))
  return 0
}
