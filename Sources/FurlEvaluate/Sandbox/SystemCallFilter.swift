/// A seccomp filter in classic BPF: what a program that only computes has no use for fails with EPERM.
///
/// The namespaces already keep the program in. The filter shrinks the part of the kernel that it can reach, and makes new
/// processes and memory outside of the limits impossible: segments, memory files, queues, watches, locks, attributes.
/// Pairs of sockets stay, which `asyncio` needs.
struct SystemCallFilter {
  /// The filter as the bytes that bubblewrap reads, or nil on a processor that it is not written for.
  static let bytes: [UInt8]? = {
    #if arch(x86_64)
    return SystemCallFilter(
      architecture: 0xC000_003E,
      denied: [
        57, 58,  // fork, vfork
        101, 310, 311, 312,  // ptrace, process_vm_readv, process_vm_writev, kcmp
        424, 434, 438,  // pidfd_send_signal, pidfd_open, pidfd_getfd
        248, 249, 250,  // add_key, request_key, keyctl
        298, 321, 323, 425, 426, 427,  // perf_event_open, bpf, userfaultfd, io_uring
        155, 161, 165, 166, 272, 308, 428, 429, 430, 431, 432, 433, 442,  // mounts, chroot, unshare, setns
        29, 64, 68, 319, 447,  // shmget, semget, msgget, memfd_create, memfd_secret
        135, 163, 167, 168, 169, 172, 173, 179,  // personality, acct, swap, reboot, iopl, ioperm, quotactl
        175, 176, 246, 313, 320, 303, 304,  // kernel modules, kexec, file handles
        // What would hold memory of the kernel's that no limit counts.
        41, 42, 46, 49, 50, 307,  // socket, connect, sendmsg, bind, listen, sendmmsg: queues, and descriptors in flight
        54,  // setsockopt: buffers of megabytes for every pair
        253, 254, 294, 300, 301,  // inotify, fanotify
        206, 222, 240, 73,  // io_setup, timer_create, mq_open, flock
        188, 189, 190, 463,  // setxattr
        317, 444, 445, 446,  // seccomp, landlock
        275, 276, 278,  // splice, tee, vmsplice
        103, 154, 212, 216, 237, 238, 443, 450,  // syslog, modify_ldt, lookup_dcookie, memory policies, quotactl
      ], clone: 56, fcntl: 72, prctl: 157, mmap: 9, hasX32: true
    ).encoded
    #elseif arch(arm64)
    return SystemCallFilter(
      architecture: 0xC000_00B7,
      denied: [
        117, 270, 271, 272,  // ptrace, process_vm_readv, process_vm_writev, kcmp
        424, 434, 438,  // pidfd_send_signal, pidfd_open, pidfd_getfd
        217, 218, 219,  // add_key, request_key, keyctl
        241, 280, 282, 425, 426, 427,  // perf_event_open, bpf, userfaultfd, io_uring
        39, 40, 41, 51, 97, 268, 428, 429, 430, 431, 432, 433, 442,  // mounts, chroot, unshare, setns
        194, 190, 186, 279, 447,  // shmget, semget, msgget, memfd_create, memfd_secret
        92, 89, 224, 225, 142, 60,  // personality, acct, swap, reboot, quotactl
        105, 106, 104, 273, 294, 264, 265,  // kernel modules, kexec, file handles
        198, 203, 211, 200, 201, 269, 208,  // socket, connect, sendmsg, bind, listen, sendmmsg, setsockopt
        26, 27, 262, 263,  // inotify, fanotify
        0, 107, 180, 32,  // io_setup, timer_create, mq_open, flock
        5, 6, 7, 463,  // setxattr
        277, 444, 445, 446,  // seccomp, landlock
        75, 76, 77,  // vmsplice, splice, tee
        116, 18, 234, 235, 237, 443, 450,  // syslog, lookup_dcookie, memory policies, quotactl
      ], clone: 220, fcntl: 25, prctl: 167, mmap: 222, hasX32: false
    ).encoded
    #else
    return nil
    #endif
  }()

  var architecture: UInt32
  var denied: [UInt32]
  var clone: UInt32
  var fcntl: UInt32
  var prctl: UInt32
  var mmap: UInt32
  var hasX32: Bool

  /// One instruction: 16 bits of code, two jumps of 8 bits, a 32-bit constant.
  private struct Instruction {
    var code: UInt16
    var yes: UInt8 = 0
    var no: UInt8 = 0
    var constant: UInt32

    static func load(_ offset: UInt32) -> Self { .init(code: 0x20, constant: offset) }
    static func isEqual(_ value: UInt32, yes: UInt8, no: UInt8) -> Self {
      .init(code: 0x15, yes: yes, no: no, constant: value)
    }
    static func isAtLeast(_ value: UInt32, yes: UInt8, no: UInt8) -> Self {
      .init(code: 0x35, yes: yes, no: no, constant: value)
    }
    static func hasAny(_ bits: UInt32, yes: UInt8, no: UInt8) -> Self {
      .init(code: 0x45, yes: yes, no: no, constant: bits)
    }
    static func result(_ value: UInt32) -> Self { .init(code: 0x06, constant: value) }

    var bytes: [UInt8] {
      withLittleEndian(code) + [yes, no] + withLittleEndian(constant)
    }

    private func withLittleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
      (0..<MemoryLayout<Value>.size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
  }

  /// Where the fields of `struct seccomp_data` lie; of an argument, its low half.
  private enum CallField {
    static let number: UInt32 = 0
    static let architecture: UInt32 = 4
    static let firstArgument: UInt32 = 16
    static let secondArgument: UInt32 = 24
    static let thirdArgument: UInt32 = 32
    static let fourthArgument: UInt32 = 40
  }

  /// Refuses a system call with some values of an argument. Where it is another call, the number is still loaded afterwards.
  private func refusing(
    _ call: UInt32, at field: UInt32, _ values: [UInt32], _ refusal: Instruction, _ allow: Instruction
  ) -> [Instruction] {
    let checks = values.flatMap { [Instruction.isEqual($0, yes: 0, no: 1), refusal] }
    return [.isEqual(call, yes: 0, no: UInt8(checks.count + 2)), .load(field)] + checks + [allow]
  }

  private var encoded: [UInt8] {
    let kill = Instruction.result(0x8000_0000)
    let allow = Instruction.result(0x7FFF_0000)
    let notPermitted = Instruction.result(0x0005_0000 | 1)
    let notThere = Instruction.result(0x0005_0000 | 38)
    let threadFlag: UInt32 = 0x0001_0000
    let descriptorsFlag: UInt32 = 0x400
    let namespaceFlags: UInt32 = 0x7E02_0000

    var program: [Instruction] = [
      .load(CallField.architecture), .isEqual(architecture, yes: 1, no: 0), kill, .load(CallField.number),
    ]
    if hasX32 { program += [.isAtLeast(0x4000_0000, yes: 0, no: 1), notThere] }
    for number in denied { program += [.isEqual(number, yes: 0, no: 1), notPermitted] }
    // The flags of clone3 lie in memory, where a filter cannot look; without it the C library takes clone.
    program += [.isEqual(435, yes: 0, no: 1), notThere]
    // Threads are allowed, processes are not. A thread has the descriptors of all: what is limited is a table of them.
    program += [
      .isEqual(clone, yes: 0, no: 6), .load(CallField.firstArgument), .hasAny(namespaceFlags, yes: 2, no: 0),
      .hasAny(threadFlag, yes: 0, no: 1), .hasAny(descriptorsFlag, yes: 1, no: 0), notPermitted, allow,
    ]
    // close_range gives a thread a table of its own, too, alone or with the closing left to exec.
    program += refusing(436, at: CallField.thirdArgument, [2, 6], notPermitted, allow)
    // Record locks, leases, notices and larger pipes.
    let commands: [UInt32] = [6, 7, 37, 38, 1024, 1026, 1031]
    program += refusing(fcntl, at: CallField.secondArgument, commands, notPermitted, allow)
    // Filters of a program's own; a table of locks, which may be as large as the machine's memory.
    program += refusing(prctl, at: CallField.firstArgument, [22, 78], notPermitted, allow)
    // A shared mapping has a file of the kernel's own, and no other process to share it with.
    program += [
      .isEqual(mmap, yes: 0, no: 4), .load(CallField.fourthArgument), .hasAny(1, yes: 0, no: 1), notPermitted, allow,
    ]
    program.append(allow)
    return program.flatMap(\.bytes)
  }
}
