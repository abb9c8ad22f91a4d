/// The bytes of blocks as a file has them.
typealias Bytes = UnsafePointer<UInt8>
/// Where the weights of blocks go.
typealias Floats = UnsafeMutablePointer<Float>
