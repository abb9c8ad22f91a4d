/// Where a path to be written to leads: an output that is a symbolic link is written where the link points, as a shell's
/// redirection does, and the link stays.
///
/// - Returns: the path itself where it is no link.
/// - Throws: ``FurlError`` of kind `cannotCreate` for links in a circle, and for those to what a process has open.
package func linkTarget(_ path: String) throws -> String {
  var status = stat()
  // Links to what has no name, as /dev/stdout, lead nowhere else.
  if stat(path, &status) == 0, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) { return path }
  var place = path
  for _ in 0..<40 {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { bytes in
      readlink(place, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
    }
    guard count > 0 else { return place }
    let target = String(decoding: buffer[..<count], as: UTF8.self)
    // What a process has open: the file there may be a shell's, which goes on in it behind this one.
    if place.hasPrefix("/proc/") || place.hasPrefix("/dev/fd/") || target.hasPrefix("/proc/") {
      throw FurlError(
        .cannotCreate, file: path, "stands for what this program has open, and a file cannot be put in its place",
        remedy: "give the name of a file")
    }
    guard Array(target.utf8) == Array(buffer[..<count]) else {
      throw FurlError(.cannotCreate, file: path, "is a link to a name that is not UTF-8", remedy: "give another name")
    }
    if target.hasPrefix("/") {
      place = target
    } else {
      let folder = place.lastIndex(of: "/").map { String(place[...$0]) } ?? ""
      place = folder + target
    }
  }
  throw FurlError(.cannotCreate, file: path, "is a symbolic link that leads back to itself", remedy: "remove it")
}
