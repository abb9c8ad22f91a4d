extension Double {
  /// The number with so many decimals, rounded and written as C's `printf` does.
  ///
  /// - Parameter decimals: 0 to 20.
  package func text(decimals: Int) -> String {
    // The largest number has 309 digits before its point.
    let room = 400
    return withVaList([self]) { arguments in
      String(unsafeUninitializedCapacity: room) { buffer in
        buffer.withMemoryRebound(to: CChar.self) { text in
          Int(vsnprintf(text.baseAddress!, room, "%.\(max(0, min(20, decimals)))f", arguments))
        }
      }
    }
  }
}
