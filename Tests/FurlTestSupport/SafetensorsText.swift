/// A small safetensors file, put together by hand: https://github.com/huggingface/safetensors.
package struct SafetensorsText {
  package var tensors: [Tensor]

  package struct Tensor {
    package var name: String
    package var type: String
    package var shape: [Int]
    package var bytes: [UInt8]

    package init(_ name: String, _ type: String, _ shape: [Int], _ bytes: [UInt8]) {
      self.name = name
      self.type = type
      self.shape = shape
      self.bytes = bytes
    }

    package init(_ name: String, _ shape: [Int], _ values: [Float]) {
      self.init(name, "F32", shape, TestData.littleEndian(values))
    }

    /// As the header says it, from a byte of the data on.
    func entry(at start: Int) -> String {
      #""\#(name)":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[\#(start),\#(start + bytes.count)]}"#
    }
  }

  package init(_ tensors: [Tensor]) { self.tensors = tensors }

  /// The header as it should be.
  package var header: String {
    var position = 0
    let entries = tensors.map { tensor in
      defer { position += tensor.bytes.count }
      return tensor.entry(at: position)
    }
    return "{" + (["\"__metadata__\":{\"format\":\"pt\"}"] + entries).joined(separator: ",") + "}"
  }

  /// The whole file.
  package var bytes: [UInt8] { SafetensorsText.file(header: header, data: tensors.flatMap(\.bytes)) }

  /// A file of any header and any data; `length` lies about the header where it is given.
  package static func file(header: String, data: [UInt8], length: UInt64? = nil) -> [UInt8] {
    let length = length ?? UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8) + data
  }
}
