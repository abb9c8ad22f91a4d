@testable import FurlEvaluate

/// What makes the kernel hold memory that it would give back some day, or that no limit on a process counts: names that were
/// looked up, what stands behind mappings, tables of pages, and what is made and thrown away faster than it is freed. A program
/// is not stopped by an error here; it goes on until it has done all, and must not have held much meanwhile.
enum KernelMemoryAttacks {
  typealias Attack = ExecutionTests.HostileProgramTests.Attack

  /// `f` answers 3 once it has tried `one` so many times, whatever came of it.
  private static func tries(_ name: String, _ count: Int, _ one: String, _ setup: String = "pass") -> Attack {
    Attack(
      name, .passed,
      source: """
        import ctypes, os, threading, time
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
        libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        def mapped(at, size, protection, flags, file):
            start = libc.mmap(at, size, protection, flags, file, 0)
            if start in (None, 2 ** 64 - 1): raise OSError('no mapping')
            return start
        def f(x):
            os.chdir('/tmp')
            made = []
        \(setup.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
            for i in range(\(count)):
                try:
        \(one.split(separator: "\n").map { "            " + $0 }.joined(separator: "\n"))
                except (OSError, ValueError, RuntimeError): pass
            return x + 1
        """, timeout: 20)
  }

  /// A name that was never looked up before, as long as it can be.
  private static let absent = "'n' * 200 + str(i)"

  static let all: [Attack] = [
    tries(
      "absent names in Python's folders", 300_000, "os.stat(places[i % len(places)] + \(absent))",
      """
      library = os.path.dirname(os.__file__) + '/'
      places = [library + name for name in ('', 'json/', 'encodings/', 'lib-dynload/')]
      """),
    tries(
      "absent names where libraries lie", 300_000, "os.stat(place + \(absent))",
      "import sys\nplace = '/usr/lib/%s/' % sys.implementation._multiarch"),
    tries(
      "absent names everywhere else", 300_000, "os.stat(places[i % len(places)] + \(absent))",
      "places = ['/', '/usr/', '/usr/bin/', '/usr/lib/', '/dev/', '/dev/shm/', '/tmp/', '/proc/', '/proc/self/', '/proc/self/fd/', '/proc/sys/']"
    ),
    tries(
      "absent names by open, link and rename", 200_000,
      """
      name = library + \(absent)
      for attempt in (lambda: os.open(name, 0), lambda: os.link(name, '/tmp/x'), lambda: os.rename(name, '/tmp/x')):
          try: attempt()
          except OSError: pass
      """, "library = os.path.dirname(os.__file__) + '/encodings/'"),
    tries(
      "modules that are not there", 20_000,
      """
      try: importlib.import_module('n' * 200 + str(i))
      except ImportError: pass
      """, "import importlib"),
    tries(
      "the files behind mappings, by their names", 60_000,
      """
      start = mapped(None, 4096, 1 + 2 * (i % 2), 2, file)
      os.lstat('/proc/self/map_files/%x-%x' % (start, start + 4096))
      """, file),
    tries(
      "the files behind mappings, once for every thread", 80_000,
      """
      if i < 8000: made.append(mapped(None, 4096, 1 + 2 * (i % 2), 2, file))
      start, number = made[i % 8000], numbers[i // 8000]
      os.lstat('/proc/%d/map_files/%x-%x' % (number, start, start + 4096))
      """,
      file + """

        done, numbers = threading.Event(), []
        def wait():
            numbers.append(threading.get_native_id())
            done.wait()
        for _ in range(10): threading.Thread(target=wait, daemon=True).start()
        while len(numbers) < 10: time.sleep(0.01)
        """),
    tries(
      "all that the system tells of threads", 28,
      """
      threading.Thread(target=done.wait, daemon=True).start()
      number = threading.enumerate()[-1].native_id
      for base in ('/proc/%d' % number, '/proc/self/task/%d' % number):
          for folder, folders, files in os.walk(base):
              for name in folders + files: os.path.lexists(folder + '/' + name)
      """, "done = threading.Event()"),
    tries(
      "files that mappings keep open", 60_000,
      """
      file = os.open('a', os.O_RDWR)
      try: ctypes.memset(mapped(None, 4096, 3, 2, file), 1, 1)
      finally: os.close(file)
      """, "open('a', 'wb').write(bytes(4096))"),
    tries(
      "tables of pages, by mappings far from each other", 60_000,
      "ctypes.memset(mapped((i + 64) << 30, 4096, 3, 0x22 | 0x100000, -1), 1, 1)"),
    tries(
      "tables of pages, by what is left of large mappings", 120,
      """
      start = mapped(None, 800 << 20, 3, 0x4022, -1)
      for at in range(start, start + (800 << 20), 2 << 20):
          ctypes.memset(at, 1, 1)
          libc.munmap(at + 4096, (2 << 20) - 4096)
      """),
    tries("threads that come and go", 8000, "one = threading.Thread(target=int); one.start(); one.join()"),
    tries(
      "names that come and go", 100_000,
      "name = 'n' * 240 + str(i); os.close(os.open(name, os.O_CREAT)); os.rename(name, name + 'x'); os.unlink(name + 'x')"
    ),
    tries("mappings that come and go", 200_000, "libc.munmap(mapped(None, 4096, 3, 0x22, -1), 4096)"),
    tries(
      "descriptors that come and go", 60_000,
      """
      for one in (*socket.socketpair(), select.epoll()): one.close()
      for one in os.pipe(): os.close(one)
      """, "import select, socket"),
    tries(
      "files that tell whom to signal, kept by mappings", 60_000,
      """
      file = os.open('a', os.O_RDWR)
      try:
          fcntl.fcntl(file, fcntl.F_SETOWN, os.getpid())
          mapped(None, 4096, 3, 2, file)
      finally: os.close(file)
      """, "import fcntl\nopen('a', 'wb').write(bytes(4096))"),
  ]

  private static let file = "open('a', 'wb').write(bytes(4096))\nfile = os.open('a', os.O_RDWR)"
}
