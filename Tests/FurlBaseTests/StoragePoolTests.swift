@testable import FurlBase
import Testing

/// Memory that is used again and again.
@Suite struct StoragePoolTests {
  /// What one large matrix has taken serves small ones, and is whole again when they are gone.
  @Test func memoryIsCutToSize() throws {
    let pool = StoragePool()
    var large: ByteStorage? = try ByteStorage(1 << 20, from: pool)
    #expect(pool.capacity == 1 << 20)
    large = nil
    var small = try (1...8).map { try ByteStorage($0 * 20_000, from: pool) }
    #expect(pool.capacity == 1 << 20)
    for (index, storage) in small.enumerated() {
      storage.withMutableBytes(0..<storage.count) { _ = $0.initializeMemory(as: UInt8.self, repeating: UInt8(index)) }
    }
    #expect(small.enumerated().allSatisfy { index, storage in storage.bytes.allSatisfy { $0 == index } })
    // In another order than they came.
    for index in [3, 0, 4, 2, 0, 1, 1, 0] { small.remove(at: index) }
    large = try ByteStorage(1 << 20, from: pool)
    #expect(large?.count == 1 << 20 && pool.capacity == 1 << 20)
    let another = try ByteStorage(1, from: pool)
    #expect(pool.capacity > 1 << 20 && another.count == 1)
  }
}
