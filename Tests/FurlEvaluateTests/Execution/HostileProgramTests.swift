@testable import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

extension ExecutionTests {
  /// Programs that attack, each with what it must come to. The test of all of them expects `f(2) == 3`, so a
  /// program that returns 3 only when its attack failed must pass.
  @Suite struct HostileProgramTests {
    struct Attack: Sendable, CustomTestStringConvertible {
      var name: String
      var outcomes: [Outcome]
      var source: String
      var timeout = 10.0
      var memory = 512
      var testDescription: String { name }

      init(_ name: String, _ outcomes: Outcome..., source: String, timeout: Double = 10) {
        self.name = name
        self.outcomes = outcomes
        self.source = source
        self.timeout = timeout
      }
    }

    /// `f` answers 3 if `attack()` raises an OSError, and "reached" otherwise.
    static func blocked(_ name: String, _ attack: String) -> Attack {
      Attack(
        name, .passed,
        source: """
          def attack():
          \(attack.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
          def f(x):
              try:
                  attack()
              except OSError:
                  return x + 1
              return "reached"
          """)
    }

    static let files: [Attack] = [
      blocked("reads the accounts", "open('/etc/passwd').read()"),
      blocked("lists home folders", "import os; os.listdir('/root'); os.listdir('/home')"),
      blocked("writes into /usr", "open('/usr/furl-hostile', 'w')"),
      blocked("writes into the root", "open('/furl-hostile', 'w')"),
      blocked("writes into /dev", "open('/dev/furl-hostile', 'w')"),
      blocked("writes into /dev/shm", "open('/dev/shm/furl-hostile', 'w')"),
      blocked("writes a kernel setting", "open('/proc/sys/kernel/hostname', 'w').write('x')"),
      blocked("fills the scratch folder", "for i in range(1000): open('/tmp/%d' % i, 'wb').write(bytes(1 << 20))"),
      blocked("writes one large file", "open('/tmp/x', 'wb').write(bytes(100 << 20))"),
      blocked("opens many files", "k = [open('/dev/null') for _ in range(1000)]"),
      Attack(
        "uses the scratch folder", .passed,
        source: """
          def f(x):
              open('/tmp/furl-hostile', 'w').write('1')
              return x + int(open('/tmp/furl-hostile').read())
          """),
      Attack("reads its input", .passed, source: "import sys\ndef f(x): return 3 if sys.stdin.read() == '' else 0"),
      Attack(
        "finds nothing in its environment", .passed,
        source: """
          import os
          def f(x):
              return x + 1 if set(os.environ) <= {'PWD', 'PYTHONHASHSEED', 'LC_CTYPE'} else sorted(os.environ)
          """),
    ]

    static let network: [Attack] = [
      blocked("opens a connection", "import socket; socket.create_connection(('127.0.0.1', 22), timeout=1)"),
      blocked(
        "sends a datagram",
        """
        import socket
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))
        """),
      blocked("looks a name up", "import socket; socket.getaddrinfo('example.org', 80)"),
    ]

    static let processes: [Attack] = [
      Attack("fork bomb", .error, source: "import os\nwhile True:\n    os.fork()\n"),
      blocked("starts a program", "import subprocess; subprocess.run(['/usr/bin/true'])"),
      Attack(
        "thread bomb", .error, .memory,
        source: """
          import threading, time
          def f(x):
              while True:
                  threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
          """),
      Attack(
        "kills everyone", .passed,
        source: """
          import os, signal
          def f(x):
              for victim in (-1, 1, os.getppid()):
                  try:
                      os.kill(victim, signal.SIGKILL)
                  except OSError:
                      pass
              return x + 1
          """),
      Attack(
        "sees nobody else", .passed,
        source: """
          import os
          def f(x):
              return x + 1 if sum(n.isdigit() for n in os.listdir('/proc')) <= 3 else 0
          """),
      Attack(
        "reads another process's memory", .passed,
        source: """
          import ctypes
          def f(x):
              libc = ctypes.CDLL(None, use_errno=True)
              got = [libc.ptrace(16, pid, 0, 0) for pid in range(1, 50)]
              room = ctypes.create_string_buffer(64)
              vector = (ctypes.c_void_p * 2)(ctypes.addressof(room), 64)
              got += [libc.process_vm_readv(pid, vector, 1, vector, 1, 0) for pid in range(1, 50)]
              return x + 1 if set(got) == {-1} else got
          """),
      Attack(
        "makes a namespace", .passed,
        source: """
          import ctypes
          def f(x):
              libc = ctypes.CDLL(None)
              return x + 1 if libc.unshare(0x10000000) == -1 and libc.mount(b'a', b'/tmp', b'tmpfs', 0, 0) == -1 else 0
          """),
    ]

    static let resources: [Attack] = [
      Attack("8 GiB at once", .memory, source: "def f(x):\n    return len(bytearray(8 << 30))"),
      Attack("8 GiB at import", .memory, source: "a = bytearray(8 << 30)\ndef f(x): return 3"),
      Attack(
        "memory piece by piece", .memory,
        source: """
          def f(x):
              kept = []
              while True:
                  kept.append('x' * 1000000 + str(len(kept)))
          """),
      Attack("endless loop at import", .timeout, source: "while True: pass", timeout: 0.5),
      Attack("endless loop in a call", .timeout, source: "def f(x):\n    while True: pass", timeout: 0.5),
      Attack(
        "sleeps past its limit", .timeout, source: "import time\ndef f(x):\n    time.sleep(60)\n    return 3",
        timeout: 0.5),
      Attack(
        "holds every signal off", .timeout,
        source: """
          import signal
          for n in set(range(1, 32)) - {9, 19}:
              signal.signal(n, signal.SIG_IGN)
          def f(x):
              while True: pass
          """, timeout: 0.5),
      Attack(
        "1 GB of output", .passed,
        source: """
          import os, sys
          def f(x):
              line = 'x' * (1 << 20)
              for _ in range(512):
                  print(line)
                  os.write(2, line.encode())
              return x + 1
          """),
      Attack("deep recursion", .error, source: "def f(x): return f(x)"),
      Attack(
        "recursion without a limit", .error, .memory, .exited, .timeout,
        source: """
          import sys
          sys.setrecursionlimit(10 ** 9)
          def f(x): return f(x) + [1].__len__()
          """, timeout: 1),
      Attack("crashes the interpreter", .exited, source: "import ctypes\ndef f(x): ctypes.string_at(0)"),
    ]

    static let exits: [Attack] = [
      Attack("os._exit at import", .exited, source: "import os\nos._exit(0)"),
      Attack("os._exit in a call", .exited, source: "import os\ndef f(x): os._exit(0)"),
      Attack("sys.exit at import", .exited, source: "import sys\nsys.exit(0)"),
      Attack("sys.exit in a call", .exited, source: "import sys\ndef f(x): sys.exit(0)"),
      Attack("kills itself", .exited, source: "import os\ndef f(x): os.kill(os.getpid(), 9)"),
      Attack("interrupts", .error, source: "def f(x): raise KeyboardInterrupt"),
    ]

    @Test(arguments: files + network + processes + resources + exits)
    func comesTo(_ attack: Attack) async throws {
      var program = Fixtures.program(attack.source, timeout: attack.timeout, memory: attack.memory)
      program.test = "def check(candidate):\n    assert candidate(2) == 3, 'got it'\n"
      let result = try await Fixtures.run(program)
      #expect(attack.outcomes.contains(result.outcome), "\(result)")
      for folder in ["", "/usr", "/dev", "/tmp", "/dev/shm"] {
        #expect(!FileManager.default.fileExists(atPath: folder + "/furl-hostile"))
      }
    }

    @Test(arguments: [
      ("os._exit(0)", Outcome.exited), ("bytearray(8 << 30)", .memory), ("return object()", .protocol),
      ("while True: pass", .timeout), ("sys.exit()", .exited), ("spill()", .protocol),
    ])
    func testThatCatchesEverythingDoesNotHelp(statement: String, outcome: Outcome) async throws {
      var program = Fixtures.program(
        """
        import os, sys
        def spill():
            for n in range(3, 64):
                try: os.write(n, b'spilt')
                except OSError: pass
        def f(x):
            \(statement)
        """, timeout: 0.5)
      program.test = """
        def check(candidate):
            for _ in range(3):
                try:
                    candidate(2)
                except BaseException:
                    pass
        """
      let result = try await Fixtures.run(program)
      // What the program raises on the way is the test's business; what ends it is not.
      #expect(result.outcome == outcome, "\(result)")
    }

    static let unfiltered = try? SandboxProbe.run(SandboxTools.find(unsandboxed: false), .bubblewrap)

    /// Where the filter of system calls is missing, the namespaces and limits have to do.
    @Test(arguments: files + network + resources.prefix(2) + [processes[0], processes[3]])
    func comesToTheSameWithoutTheFilter(_ attack: Attack) async throws {
      let runner = ProgramRunner(sandbox: try #require(HostileProgramTests.unfiltered), workers: 1)
      let program = Fixtures.program(attack.source, timeout: attack.timeout, memory: attack.memory)
      let result = try await runner.run(program)
      #expect(attack.outcomes.contains(result.outcome), "\(result)")
    }

    @Test func hostFileIsOutOfReach() async throws {
      try await TestData.withTemporaryFolder { folder in
        let file = folder + "/secret"
        try TestData.write(Array("secret".utf8), to: file)
        let attack = HostileProgramTests.blocked("", "open('\(file)').read()")
        #expect(try await Fixtures.run(Fixtures.program(attack.source)).outcome == .passed)
      }
    }
  }
}
