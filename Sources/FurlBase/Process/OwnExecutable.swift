/// The file that this process runs; nil where the system does not say, or where it is gone: another one may be in its place.
package var ownExecutable: String? {
  #if canImport(Darwin)
  var room = UInt32(0)
  _NSGetExecutablePath(nil, &room)
  var path = [CChar](repeating: 0, count: Int(room))
  return _NSGetExecutablePath(&path, &room) == 0 ? FileNames.real(String(cString: path)) : nil
  #else
  return FileNames.real("/proc/self/exe")
  #endif
}
