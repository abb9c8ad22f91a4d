import FurlBase

/// A shape and strides that are safe to read by: every number of the tensor is a number of its own in the storage.
struct TorchLayout {
  let shape: [Int]
  /// Of a dimension without neighbours, what they would be without gaps: the file may say anything there.
  let strides: [Int]
  /// Numbers from the first to the last, both counted; 0 for a tensor without any.
  let reach: Int

  /// - Parameter wrong: makes the error of a problem and a remedy.
  init(shape: [Int], strides: [Int], _ wrong: (String, String?) -> FurlError) throws {
    guard shape.count == strides.count else {
      throw wrong("has \(shape.count) dimensions and \(strides.count) strides", nil)
    }
    guard shape.allSatisfy({ $0 >= 0 }) else { throw wrong("has shape \(shape)", nil) }
    self.shape = shape
    guard !shape.contains(0) else {
      self.strides = [Int](repeating: 1, count: shape.count)
      reach = 0
      return
    }
    let contiguous = "save model.state_dict() with .contiguous() tensors"
    // From the innermost dimension out, a step must be longer than all that lies inside of it.
    var reach = 1
    let order = shape.indices.filter { shape[$0] > 1 }.sorted { strides[$0] < strides[$1] }
    for dimension in order {
      let stride = strides[dimension]
      guard stride != 0 else { throw wrong("is expanded: a stride of 0 repeats its numbers", contiguous) }
      guard stride > 0 else { throw wrong("has strides \(strides), which step backwards", contiguous) }
      guard stride >= reach else { throw wrong("has strides \(strides), which meet numbers twice", contiguous) }
      let (steps, isHuge) = stride.multipliedReportingOverflow(by: shape[dimension] - 1)
      let (end, isTooLong) = reach.addingReportingOverflow(steps)
      guard !isHuge, !isTooLong else { throw wrong("has shape \(shape) and strides \(strides), too large", nil) }
      reach = end
    }
    self.reach = reach
    var inner = 1
    var normal = strides
    for dimension in shape.indices.reversed() {
      if shape[dimension] == 1 { normal[dimension] = inner }
      // No product of extents is larger than the reach.
      inner *= shape[dimension]
    }
    self.strides = normal
  }
}
