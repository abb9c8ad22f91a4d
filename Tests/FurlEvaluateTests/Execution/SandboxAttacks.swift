import Foundation
import FurlEvaluate
import FurlTestSupport
import Testing

/// Every attack that these tests make on the sandbox, counted once.
enum SandboxAttacks {
  enum Kind: String, CaseIterable, Sendable {
    case files, network, processes, resources, exits
    case systemCalls, escapes, sockets, holding
    case kernelMemory, furtherKernelMemory, names
    case looks
    case values, spies, forgers, furtherCheats
  }

  /// The names of each kind; a suite takes its cases from the same lists.
  static func names(_ kind: Kind) -> [String] {
    typealias Hostile = ExecutionTests.HostileProgramTests
    typealias Cheating = ExecutionTests.CheatingProgramTests
    typealias Kernel = ExecutionTests.KernelMemoryTests
    switch kind {
    case .files: return Hostile.files.map(\.name)
    case .network: return Hostile.network.map(\.name)
    case .processes: return Hostile.processes.map(\.name)
    case .resources: return Hostile.resources.map(\.name)
    case .exits: return Hostile.exits.map(\.name)
    case .systemCalls: return FurtherAttacks.calls.map(\.name)
    case .escapes: return FurtherAttacks.escapes.map(\.name)
    case .sockets: return FurtherAttacks.sockets.map(\.name)
    case .holding: return FurtherAttacks.resources.map(\.name)
    case .kernelMemory: return Kernel.floods.map(\.name)
    case .furtherKernelMemory: return FurtherAttacks.floods.map(\.name)
    case .names: return KernelMemoryAttacks.all.map(\.name)
    case .looks: return Kernel.looks
    case .values: return Cheating.values.map(\.name)
    case .spies: return Cheating.spies.map(\.name)
    case .forgers: return Cheating.forgers.map(\.name)
    case .furtherCheats: return Cheating.further.map(\.name)
    }
  }

  /// How many there are to be: an attack that is taken out is taken out here too.
  static let counts: [Kind: Int] = [
    .files: 13, .network: 3, .processes: 7, .resources: 11, .exits: 6, .systemCalls: 10, .escapes: 10, .sockets: 2,
    .holding: 6, .kernelMemory: 25, .furtherKernelMemory: 13, .names: 16, .looks: 18, .values: 15, .spies: 3,
    .forgers: 8,
    .furtherCheats: 5,
  ]

  /// Those that nobody reported before they were tried here.
  static let own: [Kind] = [
    .systemCalls, .escapes, .sockets, .holding, .furtherKernelMemory, .names, .furtherCheats,
  ]

  /// What was reported of other harnesses, and which attacks here are the same.
  static let reported: KeyValuePairs<String, [String]> = [
    "a program reads the suite that it is judged by, below /usr": ["os.listdir('/usr/local')"],
    "60,000 files with long names": ["empty files"],
    "an object that equals everything": ["object that equals everything"],
    "the expected value in the frame above": ["reads the frames above"],
    "files written by io.open, pathlib, os.open": [
      "writes into /usr", "writes into the root", "writes into /dev", "changes Python itself",
    ],
    "os.system after reload; os.posix_spawn; system() of the C library; subprocess": [
      "runs a shell", "starts a program",
    ],
    "a socket that listens": ["listens"],
    "the environment": ["finds nothing in its environment"],
    "os._exit(0) at import": ["os._exit at import"],
    "an endless loop at import": ["endless loop at import"],
    "8 GiB of memory": ["8 GiB at once", "8 GiB at import"],
    "500 processes in spite of a limit": ["fork bomb"],
    "namespaces within namespaces, and mounts": ["makes a namespace", "mounts by the newer calls"],
  ]
}

/// What needs no sandbox.
@Suite struct SandboxAttackListTests {
  @Test func noneIsMissing() {
    let all = SandboxAttacks.Kind.allCases.flatMap(SandboxAttacks.names)
    for kind in SandboxAttacks.Kind.allCases {
      #expect(SandboxAttacks.names(kind).count == SandboxAttacks.counts[kind], "\(kind)")
    }
    #expect(Set(all).count == all.count)
    #expect(all.count == 171)
    #expect(SandboxAttacks.own.flatMap(SandboxAttacks.names).count == 62)
    for (report, names) in SandboxAttacks.reported {
      #expect(!names.isEmpty && Set(names).isSubset(of: all), "\(report)")
    }
  }
}

extension ExecutionTests {
  @Suite struct FurtherAttackTests {
    @Test(arguments: FurtherAttacks.all) func comesTo(_ attack: HostileProgramTests.Attack) async throws {
      let result = try await Fixtures.run(
        Fixtures.program(attack.source, timeout: attack.timeout, memory: attack.memory))
      #expect(attack.outcomes.contains(result.outcome), "\(result)")
      // Whatever goes on after an answer is ended with it.
      #expect(result.seconds < 30)
    }

    /// A service that this machine's programs reach by a name, in the kernel's own space of names and among files.
    @Test func servicesAreOutOfReach() async throws {
      try await TestData.withTemporaryFolder { folder in
        let names = ["\0furl-attacked-\(getpid())", folder + "/service"]
        let services = try names.map(Service.init)
        let attack = FurtherAttacks.nothing(
          "",
          """
          import socket
          found = []
          for name in ('\\0furl-attacked-\(getpid())', '\(folder)/service'):
              for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                  one, other = socket.socketpair(socket.AF_UNIX, kind)
                  for attempt in (
                      lambda: one.connect(name), lambda: one.sendto(b'x', name), lambda: one.sendmsg([b'x'], [], 0, name)):
                      try: attempt()
                      except OSError: continue
                      found.append((name, kind))
          return found
          """)
        let result = try await Fixtures.run(Fixtures.program(attack.source))
        #expect(result.outcome == .passed, "\(result)")
        for service in services { #expect(!service.hasHeard) }
      }
    }

    /// A socket that hears what is sent to its name.
    private final class Service {
      private let descriptor: Int32

      init(_ name: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(name.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let count = MemoryLayout<sa_family_t>.size + bytes.count + (bytes.first == 0 ? 0 : 1)
        let code = withUnsafePointer(to: address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(count)) }
        }
        try #require(code == 0)
      }

      deinit { close(descriptor) }

      var hasHeard: Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) >= 0
      }
    }
  }
}
