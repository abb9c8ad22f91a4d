@testable import FurlEvaluate

/// Attacks that nobody had reported: ways out of the sandbox by rarer calls, and ways to hold more than is granted. As among
/// ``ExecutionTests/HostileProgramTests``, a program returns 3 only when its attack failed, unless its outcome says so.
enum FurtherAttacks {
  typealias Attack = ExecutionTests.HostileProgramTests.Attack

  /// `f` answers 3 if `reached()` gives an empty list, and else what was reached.
  static func nothing(_ name: String, _ reached: String, outcomes: [Outcome] = [.passed]) -> Attack {
    var attack = Attack(
      name,
      source: """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        def open_ones(paths, flags):
            found = []
            for path in paths:
                try:
                    os.close(os.open(path, flags))
                    found.append(path)
                except OSError:
                    pass
            return found
        def allowed(*calls):
            # The numbers are those of one architecture; elsewhere they would be other calls.
            if os.uname().machine != 'x86_64': return []
            return [call for call in calls if libc.syscall(*call) >= 0]
        def reached():
        \(reached.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
        def f(x):
            return reached() or x + 1
        """)
    attack.outcomes = outcomes
    return attack
  }

  /// Other ways to a call of the system than those a filter looks at first, and calls that lead into the kernel.
  static let calls: [Attack] = [
    nothing(
      "calls by the numbers of another interface",
      "return allowed(*((0x40000000 | n, 2, 1, 0) for n in (41, 57, 58, 101, 165, 272, 319, 435)))"),
    nothing(
      "calls as a 32-bit program",
      """
      if os.uname().machine != 'x86_64': return []
      import mmap
      # push rbx; eax = 359 (socket); ebx = 2; ecx = 1; edx = 0; int 0x80; pop rbx; ret
      code = bytes.fromhex('53b867010000bb02000000b90100000031d2cd805bc3')
      page = mmap.mmap(-1, 4096, 0x22, 7)
      page.write(code)
      made = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
      return [made] if made >= 0 else []
      """, outcomes: [.exited, .passed]),
    nothing(
      "takes descriptors of another process",
      "return allowed(*((434, pid, 0) for pid in range(1, 40)), *((438, n, n, 0) for n in range(64)))"),
    nothing(
      "makes a process by a newer call",
      "return allowed((435, bytes(88), 88), (56, 17, 0, 0, 0, 0), (56, 0x4100, 0, 0, 0, 0), (58,), (57,))"),
    nothing(
      "makes namespaces by flags of clone",
      "return allowed(*((56, 0x10100 | 1 << bit, 0, 0, 0, 0) for bit in (17, 25, 26, 27, 28, 29, 30)))"),
    nothing(
      "loads code into the kernel",
      """
      return allowed(
          (321, 5, bytes(128), 128), (175, b'x', 1, b''), (313, 0, b'', 0), (246, 0, 0, 0, 0), (320, 0, 0, 0, b'', 0),
          (298, bytes(128), 0, -1, -1, 0), (323, 0), (425, 8, bytes(128)), (317, 1, 0, bytes(16)), (157, 22, 2, bytes(16)))
      """),
    nothing(
      "mounts by the newer calls",
      """
      return allowed(
          (430, b'tmpfs', 0), (428, -100, b'/', 1), (429, -100, b'/usr', -100, b'/tmp', 0), (432, 3, 0, 0),
          (442, -100, b'/', 0, bytes(32), 32), (433, -100, b'/', 0), (166, b'/tmp', 2), (155, b'/tmp', b'/tmp'),
          (165, 0, b'/', 0, 0x1020, 0), (467, -100, b'/', 1, bytes(32), 32))
      """),
    nothing(
      "opens files by their handles",
      """
      handle = ctypes.create_string_buffer(b'\\x80' + bytes(200))
      return allowed((303, -100, b'/tmp', handle, ctypes.byref(ctypes.c_int()), 0), (304, 0, handle, 0))
      """),
    nothing(
      "asks for a large table of locks", "return [n for n in range(8, 28) if libc.prctl(78, 1, 1 << n, 0, 0) >= 0]"),
    nothing("watches the machine's files", "return allowed((300, 0, 0), (300, 0x200, 0), (253,), (294, 0))"),
  ]

  /// Ways to a file, an identity or a rank that is none of the program's.
  static let escapes: [Attack] = [
    nothing(
      "enters another namespace",
      """
      found = []
      for base in ('/proc/1/ns/', '/proc/self/ns/'):
          for name in 'cgroup ipc mnt net pid pid_for_children time user uts'.split():
              try:
                  if libc.setns(os.open(base + name, 0), 0) == 0: found.append(base + name)
              except OSError: pass
      return found
      """),
    nothing(
      "climbs above its root",
      """
      found = []
      for base in ('/' + '../' * 50, '/proc/self/root/', '/proc/1/root/', '/proc/1/cwd/../', '/proc/self/cwd/../../'):
          found += [base + n for n in ('root', 'home', 'etc/passwd', 'var/lib', 'boot') if os.path.exists(base + n)]
      try: os.chroot('/tmp')
      except OSError: return found
      return ['chroot']
      """),
    nothing(
      "takes another identity",
      """
      found = []
      for name, *given in (
          ('setuid', 0), ('setgid', 0), ('seteuid', 0), ('setegid', 0), ('setgroups', [0]), ('setresuid', 0, 0, 0),
          ('setresgid', 0, 0, 0), ('setregid', 0, 0)):
          try: getattr(os, name)(*given)
          except OSError: continue
          found.append(name)
      header, state = b'\\x22\\x05\\x08\\x20' + bytes(4), ctypes.create_string_buffer(b'\\xff' * 24, 24)
      if libc.capget(header, state) or any(state.raw): found.append('capabilities')
      found += ['ambient capability %d' % n for n in range(41) if libc.prctl(47, 1, n, 0, 0) > 0]
      if libc.capset(header, b'\\xff' * 24) == 0: found.append('capset')
      return found + ([] if libc.prctl(39, 0, 0, 0, 0) == 1 else ['NoNewPrivs'])
      """),
    nothing(
      "lifts its limits",
      """
      import resource
      found = []
      for name in 'AS CPU CORE FSIZE NOFILE MEMLOCK NPROC SIGPENDING MSGQUEUE'.split():
          kind = getattr(resource, 'RLIMIT_' + name)
          hard = resource.getrlimit(kind)[1]
          if hard == resource.RLIM_INFINITY: found.append(name + ' has none')
          try: resource.setrlimit(kind, (hard + 1, hard + 1))
          except (OSError, ValueError): continue
          found.append(name)
      return found
      """),
    nothing(
      "puts itself before others",
      """
      def score(): os.write(os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-1000')
      found = []
      for attempt in (
          lambda: os.nice(-5), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)), score,
          lambda: os.setpriority(os.PRIO_PROCESS, 0, -1)):
          try: attempt()
          except OSError: continue
          found.append(attempt.__code__.co_firstlineno)
      return found + allowed((251, 1, 0, 1 << 13))
      """),
    nothing(
      "types into a terminal",
      """
      import fcntl
      found = open_ones(('/dev/tty', '/dev/console', '/dev/tty0', '/dev/tty1', '/dev/ttyS0', '/dev/vcs'), os.O_RDWR)
      for n in range(64):
          try: fcntl.ioctl(n, 0x5412, b'x')
          except OSError: continue
          found.append(n)
      return found
      """),
    nothing(
      "opens the kernel's own files",
      """
      read = open_ones(
          ('/dev/mem', '/dev/kmem', '/dev/port', '/dev/kmsg', '/proc/kmsg', '/proc/kcore', '/dev/kvm',
           '/dev/fuse', '/dev/net/tun', '/dev/vsock', '/dev/loop-control', '/dev/vda', '/dev/sda', '/dev/userfaultfd',
           '/sys/kernel', '/dev/vhost-vsock', '/dev/uinput'), os.O_RDONLY)
      written = open_ones(
          ('/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/sys/vm/overcommit_memory',
           '/proc/sys/kernel/modprobe'), os.O_WRONLY)
      for name, text in ('uid_map', b'0 0 1'), ('gid_map', b'0 0 1'), ('setgroups', b'allow'):
          try: os.write(os.open('/proc/self/' + name, os.O_WRONLY), text)
          except OSError: continue
          written.append(name)
      return read + written
      """),
    nothing(
      "writes into the first process, which has no limits",
      """
      bases = ('/proc/1/', '/proc/1/task/1/', '/proc/self/../1/', '/proc/self/root/proc/1/')
      names = 'mem maps environ fd root cwd exe cmdline limits task clear_refs'.split()
      found = open_ones([base + name for base in bases for name in names], os.O_RDONLY)
      return found + open_ones([base + 'mem' for base in bases], os.O_RDWR)
      """),
    nothing(
      "changes Python itself",
      """
      import json, sys
      found = []
      library = os.path.dirname(os.__file__)
      for path in (os.__file__, json.__file__, sys.executable, library, os.path.realpath(sys.executable)):
          for change in (
              lambda: os.close(os.open(path, os.O_WRONLY)), lambda: os.chmod(path, 0o777), lambda: os.unlink(path),
              lambda: os.rename(path, path + 'x'), lambda: os.utime(path), lambda: os.truncate(path, 0),
              lambda: os.symlink('/tmp', path + 'y'), lambda: os.link(path, '/tmp/x'),
              lambda: os.mkdir(library + '/__pycache__/x')):
              try: change()
              except OSError: continue
              found.append((path, change.__code__.co_firstlineno))
      return found
      """),
    nothing(
      "runs a shell",
      """
      import importlib
      importlib.reload(os)
      found = [n for n in (os.system('true'), libc.system(b'true')) if n == 0]
      for attempt in (
          lambda: os.posix_spawn('/bin/sh', ['sh'], {}), lambda: os.execv('/bin/sh', ['sh']),
          lambda: os.popen('true').read(), lambda: os.fork(), lambda: os.forkpty()):
          try: attempt()
          except OSError: continue
          found.append(attempt.__code__.co_firstlineno)
      return found
      """),
  ]

  /// Ways to other machines and to services of this one.
  static let sockets: [Attack] = [
    nothing(
      "makes sockets of every family",
      """
      import socket
      found = []
      for family in range(46):
          for kind in (1, 2, 3, 5):
              for make in (socket.socket, socket.socketpair):
                  try: make(family, kind)
                  except OSError: continue
                  if make is socket.socket or family != socket.AF_UNIX: found.append((family, kind, make.__name__))
      return found
      """),
    nothing(
      "listens",
      """
      import socket
      one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
      found = []
      for attempt in (
          lambda: one.bind('/tmp/s'), lambda: one.bind('\\0s'), lambda: one.listen(1), lambda: one.connect('\\0s'),
          lambda: socket.create_server(('127.0.0.1', 0)), lambda: one.sendmsg([b'x'])):
          try: attempt()
          except OSError: continue
          found.append(attempt.__code__.co_firstlineno)
      return found
      """),
  ]

  /// Ways to hold memory, time or space beyond what is granted.
  static let resources: [Attack] = [
    nothing(
      "a thread that shares no descriptors",
      """
      if os.uname().machine != 'x86_64': return []
      stack = ctypes.create_string_buffer(1 << 16)
      top = ctypes.c_void_p((ctypes.addressof(stack) + (1 << 16)) & ~15)
      pause = ctypes.cast(libc.pause, ctypes.c_void_p)
      return [n for n in (libc.clone(pause, top, 0x10900, None), libc.clone(pause, top, 0x10b00, None)) if n >= 0]
      """),
    nothing(
      "a file with holes",
      """
      found = []
      for change in (
          lambda f: f.truncate(1 << 40), lambda f: os.posix_fallocate(f.fileno(), 0, 1 << 30),
          lambda f: os.pwrite(f.fileno(), b'x', 1 << 30)):
          try:
              with open('/tmp/x', 'wb') as file: change(file)
          except OSError: continue
          found.append(change.__code__.co_firstlineno)
      return found
      """),
    nothing(
      "files without names",
      """
      kept = []
      try:
          for i in range(40):
              kept.append(os.open('/tmp/x', os.O_CREAT | os.O_RDWR))
              os.unlink('/tmp/x')
              os.write(kept[-1], bytes(4 << 20))
              if os.fstat(kept[-1]).st_size < 4 << 20: return []
      except OSError: return []
      return [len(kept)]
      """),
    Attack(
      "stops itself", .timeout, source: "import os\ndef f(x):\n    os.kill(os.getpid(), 19)\n    return 3", timeout: 0.5
    ),
    Attack(
      "goes on after its answer", .passed,
      source: """
        import atexit, threading, time
        def spin():
            while True: pass
        atexit.register(spin)
        class Late:
            def __del__(self): spin()
        late = Late()
        def f(x):
            threading.Thread(target=spin).start()
            return x + 1
        """),
    Attack(
      "throws its answering thread away", .timeout, .exited, .protocol,
      source: """
        import ctypes
        def f(x):
            # Ends this thread alone; the process stays.
            ctypes.CDLL(None).syscall(60, 0)
            return 3
        """, timeout: 0.5),
  ]

  /// Memory of the kernel's.
  static let floods: [Attack] = [
    nothing(
      "a table of descriptors for every thread",
      """
      import socket, threading
      made, done = [], threading.Event()
      def take():
          libc.syscall(436, 1000, 1000, 2)
          try:
              while True:
                  made.append(socket.socketpair())
                  for end in made[-1]:
                      end.setblocking(False)
                      end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
                      try:
                          while True: end.send(b'x')
                      except BlockingIOError: pass
          except OSError: pass
          done.wait()
      try:
          for _ in range(20): threading.Thread(target=take, daemon=True).start()
      except RuntimeError: pass
      count = -1
      while count < len(made):
          count = len(made)
          done.wait(0.5)
      return [count] if count > 32 else []
      """),
    flood("semaphores", "pass", "call(64, 0, 32000, 0o1600)"),
    flood("queues of the older kind", "pass", "call(68, 0, 0o1600)"),
    flood("descriptors of timers", "pass", "call(283, 1, 0)"),
    flood(
      "descriptors that are watched twenty times",
      "import select\npolls = [select.epoll() for _ in range(20)]\nends = [e for _ in range(9) for e in os.pipe()]",
      "os.dup2(ends[i % 18], 45 + i // 18 % 18); polls[i // 324 % 20].register(45 + i // 18 % 18)"),
    flood(
      "messages in pairs with large buffers",
      """
      pairs = [socket.socketpair() for _ in range(25)]
      for s in (s for pair in pairs for s in pair):
          s.setblocking(False)
          s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
      """, "pairs[i % 25][0].send(b'x'); pairs[i % 25][1].send(b'x')"),
    flood(
      "a mapping cut into pieces", cut,
      "if libc.mprotect(ctypes.c_void_p(start + 8192 * i), 4096, 1): raise OSError"),
    flood(
      "a mapping with many names", cut,
      "if libc.prctl(0x53564d41, 0, ctypes.c_void_p(start + 8192 * i), 4096, b'n%070d' % i): raise OSError"),
    flood("rules of landlock", "pass", "call(444, ctypes.byref((ctypes.c_uint64 * 3)(1, 1, 1)), 24, 0)"),
    flood(
      "signals that wait",
      """
      import signal, struct
      signal.pthread_sigmask(signal.SIG_BLOCK, [40])
      told = struct.pack('iii', 40, 0, -1) + bytes(116)
      """, "call(129, os.getpid(), 40, told)"),
    flood(
      "files with a page here and there", "file = None",
      "file = os.open(str(i), os.O_CREAT | os.O_RDWR) if i % 60 == 0 else file; os.pwrite(file, b'x', i % 60 << 18); "
        + "i % 60 == 59 and os.close(file)"),
    flood("leases", "import fcntl\nfile = os.open('a', os.O_CREAT)", "fcntl.fcntl(file, 1024, 0)"),
    flood(
      "locks of open files", "import fcntl, struct\nfile = os.open('a', os.O_CREAT | os.O_RDWR)",
      "fcntl.fcntl(file, 37, struct.pack('hhqqi4x', 1, 0, 2 * i, 1, 0))"),
  ]

  /// A mapping of as many pages as a process may have mappings, twice.
  private static let cut = """
    import mmap
    whole = mmap.mmap(-1, 480 << 20, 0x22, 3)
    start = ctypes.addressof(ctypes.c_char.from_buffer(whole))
    """

  private static func flood(_ name: String, _ setup: String, _ one: String) -> Attack {
    ExecutionTests.KernelMemoryTests.flood(name, setup, one)
  }

  static let all = calls + escapes + sockets + resources
}
