import FurlBase
@testable import FurlEvaluate
import FurlTestSupport
import Foundation
import Testing

extension ExecutionTests {
  /// Programs that want memory of the kernel's, which no limit on their own memory counts, and programs that look for what is
  /// none of theirs. Each answers 3, which is right, only after its attack.
  @Suite struct KernelMemoryTests {
    /// `f` makes as many as it can and is stopped by an OSError well below `count`, or by its limits.
    static func flood(_ name: String, _ setup: String, _ one: String, count: Int = 60_000) -> HostileProgramTests.Attack
    {
      HostileProgramTests.Attack(
        name, .passed,
        source: """
          import ctypes, os, socket, sys
          libc = ctypes.CDLL(None, use_errno=True)
          def call(*given):
              result = libc.syscall(*given)
              if result < 0: raise OSError(ctypes.get_errno(), 'refused')
              return result
          def f(x):
              os.chdir('/tmp')
              made = []
              try:
          \(setup.split(separator: "\n").map { "        " + $0 }.joined(separator: "\n"))
                  for i in range(\(count)):
                      \(one)
              except (OSError, MemoryError, ValueError):
                  return x + 1
              return 'made all'
          """, timeout: 20)
    }

    static let floods: [HostileProgramTests.Attack] = [
      flood("empty files", "name = 'n' * 240", "os.close(os.open(name + str(i), os.O_CREAT | os.O_WRONLY))"),
      flood("folders in each other", "pass", "os.mkdir('d'); os.chdir('d')"),
      flood("long symbolic links", "name = 'x' * 4000", "os.symlink(name, str(i))"),
      flood("hard links", "open('a', 'w').close()", "os.link('a', str(i))"),
      flood("named pipes", "pass", "os.mkfifo(str(i))"),
      flood("pipes", "pass", "made.append(os.pipe())"),
      flood("large pipes", "r, w = os.pipe()\nimport fcntl", "fcntl.fcntl(w, 1031, 1 << 20)", count: 4),
      flood(
        "waiting connections", "s = socket.socket(socket.AF_UNIX)\ns.bind('\\0a')\ns.listen(4096)",
        "c = socket.socket(socket.AF_UNIX); c.connect('\\0a'); c.close()"),
      flood("descriptors in flight", "a, b = socket.socketpair()", "socket.send_fds(a, [b'x'], [0] * 200)"),
      flood("record locks", "import fcntl\nt = open('a', 'w')", "fcntl.lockf(t, fcntl.LOCK_EX, 1, 2 * i)"),
      flood(
        "watches", "fd = libc.inotify_init()\nif fd < 0: raise OSError",
        "os.mkdir(str(i)); libc.inotify_add_watch(fd, str(i).encode(), 1)"),
      flood("queues of messages", "pass", "call(240, b'q%d' % i, 0o102, 0o600, 0)"),
      flood("timers", "t = ctypes.c_int()", "call(222, 1, None, ctypes.byref(t))"),
      flood("keys", "pass", "call(248, b'user', b'k%d' % i, b'x' * 100, 100, -2)"),
      flood("segments", "pass", "call(29, 0, 4096, 0o1600)"),
      flood("memory files", "pass", "made.append(os.memfd_create('a'))"),
      flood("attributes", "open('a', 'w').close()", "os.setxattr('a', 'user.%d' % i, b'x' * 1000)"),
      flood("filters", "libc.prctl(38, 1, 0, 0, 0)", "call(317, 1, 0, b'\\1\\0' + b'\\0' * 14)", count: 2),
      flood("asynchronous rings", "p = ctypes.c_ulong()", "p.value = 0; call(206, 128, ctypes.byref(p))"),
      flood("terminals", "pass", "made.append(os.openpty())"),
      flood("event descriptors", "pass", "made.append(os.eventfd(0))"),
      flood(
        "messages in pairs",
        "import fcntl\npairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(25)]\n[a.setblocking(False) for p in pairs for a in p]",
        "pairs[i % 25][0].send(b'x' * (i % 7))"),
      flood("shared mappings", "import mmap", "made.append(mmap.mmap(-1, 4096, prot=1 + 2 * (i % 2)))"),
      flood(
        "mappings of zeros", "import mmap\nz = os.open('/dev/zero', os.O_RDWR)",
        "made.append(mmap.mmap(z, 4096, prot=1 + 2 * (i % 2)))"),
      flood(
        "private mappings", "import mmap",
        "m = mmap.mmap(-1, 4096, 34, 1 + 2 * (i % 2)); made.append(m); i % 2 and m.write(b'1')", count: 80_000),
    ]

    /// Bytes of the kernel's own memory: of small things (those that it would give back among them), of tables of pages and of
    /// threads' stacks.
    private static func held() -> Int {
      let text = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
      return text.split(separator: "\n").reduce(0) { sum, line in
        let words = line.split(separator: " ")
        guard words.count > 1, ["Slab:", "PageTables:", "KernelStack:"].contains(words[0]) else { return sum }
        return sum + (Int(words[1]) ?? 0) << 10
      }
    }

    @Test(arguments: floods + FurtherAttacks.floods + KernelMemoryAttacks.all)
    func isStopped(_ attack: HostileProgramTests.Attack) async throws {
      var program = Fixtures.program(attack.source, timeout: attack.timeout, memory: 1024)
      program.test = "def check(candidate):\n    assert candidate(2) == 3, 'made all'\n"
      let before = KernelMemoryTests.held()
      let flag = StopFlag()
      // The most while it runs: what a process holds goes with it.
      let watching = Task.detached {
        var most = 0
        while !flag.isStopped {
          most = max(most, KernelMemoryTests.held())
          try? await Task.sleep(for: .milliseconds(5))
        }
        return most
      }
      let result = try await Fixtures.run(program)
      flag.stop()
      let grown = await watching.value - before
      // Where a limit of memory or time ends it, that is as good.
      #expect([.passed, .memory, .timeout].contains(result.outcome), "\(result)")
      #expect(grown < 64 << 20, "\(attack.name): \(grown >> 20) MiB")
    }

    @Test func aFewThousandFilesAreFine() async throws {
      let result = try await Fixtures.run(
        Fixtures.program(
          """
          import os, tempfile
          def f(x):
              for i in range(3000): open('/tmp/%d' % i, 'w').close()
              with tempfile.TemporaryDirectory() as folder: open(folder + '/a', 'w').write('a')
              return x + 1 if len(os.listdir('/tmp')) == 3000 else 0
          """))
      #expect(result.outcome == .passed, "\(result)")
    }

    /// At what is none of Python's files.
    static let looks = [
      "os.listdir('/etc')", "os.listdir('/usr/share')", "os.listdir('/usr/src')", "os.listdir('/usr/local')",
      "os.listdir('/usr/lib/python3')",
      "os.listdir('/var')", "open('/usr/bin/bwrap')", "open('/bin/sh')", "os.listdir('/sys')", "os.listdir('/home')",
      "os.listdir('/root')",
      "open('/proc/1/root/etc/passwd')", "os.stat('/usr/lib/python3/dist-packages')", "open('/proc/kmsg')",
      "open('/dev/mem')",
      "open(os.path.dirname(os.__file__) + '/x', 'w')", "os.mkdir(os.path.dirname(os.__file__) + '/dist-packages/x')",
      "os.listdir('/usr/include')",
    ]

    /// What is shown of the machine's files.
    @Test(arguments: looks)
    func onlyPythonIsShown(_ attempt: String) async throws {
      let attack = HostileProgramTests.blocked("", "import os\n\(attempt)")
      let result = try await Fixtures.run(Fixtures.program(attack.source))
      #expect(result.outcome == .passed, "\(result)")
    }

    @Test func theStandardLibraryIsThere() async throws {
      let modules =
        "asyncio bz2 ctypes csv curses dataclasses dbm decimal hashlib html http.client json lzma math multiprocessing numbers random re sqlite3 ssl statistics subprocess tempfile threading typing unittest uuid xml.etree.ElementTree zipfile zlib zoneinfo"
      let result = try await Fixtures.run(
        Fixtures.program(
          """
          import importlib, asyncio, sqlite3
          for name in '\(modules)'.split():
              try: importlib.import_module(name)
              except ModuleNotFoundError as error:
                  # Some systems leave these out.
                  if name not in ('curses', 'dbm', 'sqlite3', 'bz2', 'lzma', 'ssl'): raise
          async def one(x):
              await asyncio.sleep(0.01)
              return x + 1
          def f(x):
              sqlite3.connect(':memory:').execute('create table t (a)')
              return asyncio.run(one(x))
          """))
      #expect(result.outcome == .passed, "\(result)")
    }

    /// Where the system refuses the mounts that the copies lie in.
    @Test func withoutCopiesNothingCanBeWritten() async throws {
      var tools = try SandboxTools.find(unsandboxed: false)
      tools.root = nil
      let sandbox = try SandboxProbe.run(tools, .bubblewrap)
      #expect(sandbox.name == "bwrap, read-only")
      let program = Fixtures.program(
        """
        import os, json, random, sqlite3
        def f(x):
            found = os.listdir('/proc')
            for folder in ('/', '/tmp', '/dev', '/dev/shm', '/proc', '/usr', os.path.dirname(os.__file__)):
                try: os.close(os.open(folder + '/furl-hostile', os.O_CREAT | os.O_WRONLY))
                except OSError: continue
                found.append(folder)
            for name in ('/dev/null', '/dev/stdout', '/dev/stderr'): open(name, 'w').write('x')
            return found or x + len(open('/dev/urandom', 'rb').read(1)) + len(open('/dev/stdin').read())
        """)
      let result = try await ProgramRunner(sandbox: sandbox, workers: 1).run(program)
      #expect(result.outcome == .passed, "\(result)")
    }

    /// A root is made once, shown to every program alike, and holds nothing that anybody can change.
    @Test func copiesAreMadeOnce() async throws {
      let root = try #require(try Sandbox.detect().tools.root, "this system refuses the mounts")
      #expect(try SandboxTools.find(unsandboxed: false).root == root)
      let attack = FurtherAttacks.nothing(
        "",
        """
        found = []
        for folder, folders, files in os.walk('/'):
            if folder.startswith('/tmp'): continue
            for change in (
                lambda: os.close(os.open(folder + '/x', os.O_CREAT | os.O_WRONLY)), lambda: os.chmod(folder, 0o700),
                *(lambda name=name: os.truncate(folder + '/' + name, 0) for name in files if folder != '/dev')):
                try: change()
                except OSError: continue
                found.append(folder)
        return found
        """)
      #expect(try await Fixtures.run(Fixtures.program(attack.source)).outcome == .passed)
    }

    @Test func filesThatWouldBeSeenAreRefused() throws {
      let sandbox = try Sandbox.detect()
      let folders = try #require(sandbox.tools.files?.folders.map(\.path))
      let library = try #require(folders.first { FileManager.default.fileExists(atPath: $0 + "/os.py") })
      for path in [
        library + "/os.py", library, library + "/new.jsonl",
        library + "/../" + (library as NSString).lastPathComponent + "/json",
      ] {
        let error = #expect(throws: FurlError.self) { try sandbox.check(areHidden: ["/tmp", path]) }
        #expect(error?.kind == .input && error?.description.contains(path) == true, "\(path)")
      }
      try TestData.withTemporaryFolder { folder in
        try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: library + "/os.py")
        #expect(throws: FurlError.self) { try sandbox.check(areHidden: [folder + "/link"]) }
        try sandbox.check(areHidden: [folder, "/usr/local/share", "/absent"])
      }
    }
  }
}
