/// Pieces of a pickle, put together by hand (`pickletools.py` of CPython describes the operations).
enum ForgedPickle {
  static let (mark, stop, reduce, tuple): ([UInt8], [UInt8], [UInt8], [UInt8]) = ([0x28], [0x2E], [0x52], [0x74])
  static let (emptyDict, setItem, setItems): ([UInt8], [UInt8], [UInt8]) = ([0x7D], [0x73], [0x75])
  static let (emptyTuple, persistent, build): ([UInt8], [UInt8], [UInt8]) = ([0x29], [0x51], [0x62])
  static let begin: [UInt8] = [0x80, 2]

  static func text(_ text: String) -> [UInt8] { [0x58] + ForgedZip.little(UInt32(text.utf8.count)) + Array(text.utf8) }

  static func global(_ module: String, _ name: String) -> [UInt8] { [0x63] + Array("\(module)\n\(name)\n".utf8) }

  static func integer(_ value: Int) -> [UInt8] { [0x8A, 8] + ForgedZip.little(value) }

  static func tuple(_ parts: [UInt8]...) -> [UInt8] { mark + parts.flatMap { $0 } + tuple }

  static func integers(_ values: [Int]) -> [UInt8] { mark + values.flatMap { integer($0) } + tuple }

  static func storage(_ type: String = "FloatStorage", key: String = "0", count: Int) -> [UInt8] {
    tuple(text("storage"), global("torch", type), text(key), text("cpu"), integer(count)) + persistent
  }

  static func tensor(_ storage: [UInt8], offset: Int = 0, shape: [Int], strides: [Int]) -> [UInt8] {
    let arguments = tuple(storage, integer(offset), integers(shape), integers(strides), [0x89], emptyDict)
    return global("torch._utils", "_rebuild_tensor_v2") + arguments + reduce
  }

  /// A whole pickle of a mapping of names to what other pieces make.
  static func dictionary(_ items: [(name: String, value: [UInt8])]) -> [UInt8] {
    begin + emptyDict + mark + items.flatMap { text($0.name) + $0.value } + setItems + stop
  }

  /// A whole pickle of one tensor "w" in one storage "0".
  static func one(
    count: Int = 6, type: String = "FloatStorage", offset: Int = 0, shape: [Int] = [2, 3], strides: [Int] = [3, 1]
  ) -> [UInt8] {
    dictionary([("w", tensor(storage(type, count: count), offset: offset, shape: shape, strides: strides))])
  }
}
