import FurlBase
import Synchronization

/// A root folder in memory with copies of what Python needs, made once and shown to every program.
///
/// It lies in a namespace of mounts that a process of its own holds, so that nothing of it is seen on the machine or outlives
/// this process. Copies, because a name that is looked up in vain stays in the kernel's memory for a folder on a disk, and does
/// not for one in memory: a program could fill gigabytes with names.
struct PythonRoot: Sendable, Hashable {
  var nsenter: String
  var unshare: String
  var shell: String
  var mount: String
  /// The process whose namespace it lies in.
  var holder: Int32
  /// Where in that namespace.
  var path: String { "/tmp" }

  /// What leads into the namespace, in front of a command.
  ///
  /// - Parameter scratch: the bytes and the files that fit into a folder of the command's own; nil without one.
  func entering(_ scratch: (bytes: Int, files: Int)?) -> [String] {
    let entering = [nsenter, "--preserve-credentials", "--user", "--mount", "--target", "\(holder)", "--"]
    guard let scratch else { return entering }
    let options = "size=\(scratch.bytes),nr_inodes=\(scratch.files),nosuid,nodev"
    return entering + [
      unshare, "--mount", "--", shell, "-c", "\(mount) -n -t tmpfs -o \(options) tmpfs \(path)/tmp && exec \"$@\"",
      "sh",
    ]
  }
}

#if os(Linux)
extension PythonRoot {
  /// What keeps a root: the namespace goes with the process, which ends when nobody can write to it any more.
  private final class Holder: Sendable {
    let process: ChildProcess
    let line: Pipe
    init(_ process: consuming ChildProcess, _ line: consuming Pipe) {
      self.process = process
      self.line = line
    }
  }

  private struct Made {
    var root: PythonRoot
    var holder: Holder
  }

  /// Roots by what they are made of; nil where that failed.
  private static let made = Mutex<[PythonFiles: Made?]>([:])

  /// The root of this process; nil where the programs for it are missing or what they do is not allowed.
  static func prepared(_ tools: SandboxTools, _ files: PythonFiles) -> PythonRoot? {
    made.withLock { made in
      if let known = made[files] { return known?.root }
      let new = try? make(tools, files)
      made[files] = .some(new)
      return new?.root
    }
  }

  private static func make(_ tools: SandboxTools, _ files: PythonFiles) throws -> Made? {
    guard let nsenter = SandboxTools.path(of: "nsenter"), let unshare = SandboxTools.path(of: "unshare"),
      let shell = SandboxTools.path(of: "sh"), let mount = SandboxTools.path(of: "mount")
    else { return nil }
    var root = PythonRoot(nsenter: nsenter, unshare: unshare, shell: shell, mount: mount, holder: 0)
    let line = try Pipe()
    let answer = try Pipe()
    let nowhere = try Descriptor.nowhere()
    let process = try ChildProcess(
      tools.nobody + [unshare, "--user", "--map-root-user", "--mount", "--", shell, "-c", root.script, "sh"]
        + [tools.python, "-I", "-S", "-B", "-X", "utf8", "-c", PythonProgram.root, root.path] + entries(tools, files),
      environment: SandboxTools.environment, descriptors: [line.read.raw, answer.write.raw, nowhere.raw])
    root.holder = process.id
    guard answer.read.isReadable(within: 30_000), try answer.read.readSome() == Array("made\n".utf8) else { return nil }
    return Made(root: root, holder: Holder(process, line))
  }

  /// Makes it, says so and waits for the end of its input.
  private var script: String {
    let devices = SandboxTools.devices.map { "\(mount) -n --bind /dev/\($0) \(path)/dev/\($0)" }
    return
      (["\(mount) -n -t tmpfs -o size=\(PythonRoot.limit),mode=755,nosuid tmpfs \(path)", "\"$@\""] + devices + [
        "\(mount) -n -o remount,bind,ro \(path)", "echo made", "read end",
      ]).joined(separator: " && ")
  }

  /// Bytes that the copies may take: they are a tenth of it.
  private static let limit = 512 << 20

  /// What `python_root.py` is to make.
  private static func entries(_ tools: SandboxTools, _ files: PythonFiles) -> [String] {
    let copied = files.folders.map { ("folder", $0) } + (files.files + files.libraries).map { ("file", $0) }
    let links = (tools.links + SandboxTools.standardLinks).map { ("link", $0) }
    func empty(_ word: String, _ path: String) -> (String, PythonFiles.Shown) { (word, .init(path: "", shownAs: path)) }
    let folders = ["/proc", "/tmp", "/dev/shm"].map { empty("empty", $0) }
    let rest = folders + SandboxTools.devices.map { empty("place", "/dev/\($0)") }
    return (copied + links + rest).map { "\($0.0)\t\($0.1.path)\t\($0.1.shownAs)" }
  }
}
#endif
