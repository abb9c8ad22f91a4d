#if os(Linux)
import FurlBase
import SystemPackage

// Processes are started with posix_spawn and not with a package for it: each needs up to five descriptors, the
// pages of a large model must not be copied by a fork while a model generates on other threads, and no
// descriptor of one program may reach another. posix_spawn takes C strings, hence the pointers here.

/// A started process. It is killed with its group, and reaped, when its owner goes.
struct ChildProcess: ~Copyable {
  let id: pid_t
  private var status: Int32?

  /// Starts a program in a process group of its own.
  ///
  /// - Parameters:
  ///   - command: the program's full path and its arguments.
  ///   - environment: `NAME=value` each; nothing is inherited.
  ///   - descriptors: become 0, 1, 2 and so on in the child.
  init(_ command: [String], environment: [String], descriptors: [Int32]) throws {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    for (number, descriptor) in descriptors.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
    }
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

    // Arrays of C strings that end with a null pointer.
    let arguments = command.map { strdup($0) } + [nil]
    let variables = environment.map { strdup($0) } + [nil]
    defer { (arguments + variables).forEach { free($0) } }
    var started: pid_t = 0
    let code = posix_spawn(&started, command[0], &actions, &attributes, arguments, variables)
    guard code == 0 else { throw systemFailure("\(command[0]) cannot be started", Errno(rawValue: code)) }
    id = started
  }

  /// Has the system end this process, and what it starts, before any other should memory run out.
  func goesFirst() {
    guard
      let score = try? FileDescriptor.open(
        FilePath("/proc/\(id)/oom_score_adj"), .writeOnly, options: .closeOnExec)
    else { return }
    _ = try? score.closeAfter { try score.writeAll(Array("1000".utf8)) }
  }

  deinit { if status == nil { ChildProcess.end(id) } }

  private static func end(_ id: pid_t) {
    kill(-id, SIGKILL)
    kill(id, SIGKILL)
    var ignored: Int32 = 0
    while waitpid(id, &ignored, 0) < 0, errno == EINTR {}
  }

  /// The exit status if the process ends within a time, as a shell has it: 128 and the signal's number when a
  /// signal ended it.
  mutating func exitStatus(within seconds: Double) -> Int32? {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while status == nil {
      var raw: Int32 = 0
      if waitpid(id, &raw, WNOHANG) == id {
        // The macros of <sys/wait.h>, which Swift does not import.
        status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + raw & 0x7F
        // Whatever it left in its group goes too.
        kill(-id, SIGKILL)
        break
      }
      if ContinuousClock.now >= deadline { break }
      usleep(500)
    }
    return status
  }
}
#endif
