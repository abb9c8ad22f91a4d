import FurlBase
package import FurlTensor
import CFurlKernels
import Synchronization

/// Chooses scales and codes for the weights of a matrix by what they do to the layer's outputs, in the layout of the
/// scheme's nearest codes.
///
/// Rows are independent. They are taken in slices of 64 whatever the number of threads, so the bytes depend on the
/// weights, the scheme and the calibration only.
package struct CalibratedEncoder: Sendable {
  package let scheme: Scheme
  package let scales: ScaleChoice
  package let objective: CodeObjective
  /// What a step is multiplied with in each row; nil: 1.
  package let rowFactors: [Float]?

  /// Whether minimums are whole multiples of scales (``ZeroPoints``); only with minimums that are halves.
  package var hasZeroPoints = false

  /// What the rows' errors count together, so that rows make up for each other's, too; only with
  /// ``CodeObjective/outputs(_:)``. Nil: each for itself.
  package var rowFeedback: OutputFactor?

  /// What weights are multiplied with before they get their codes: [columns] and [rows]; nil: 1.
  package var columnScales: [Float]?
  package var rowScales: [Float]?

  /// - Parameter rowFactors: positive; only where ``scales`` are a step.
  /// - Throws: ``FurlError`` of kind `defect` for a scheme without codes, or an objective of other columns.
  package init(scheme: Scheme, scales: ScaleChoice, objective: CodeObjective, rowFactors: [Float]? = nil) throws {
    if case .none = scheme.coding.levels { throw FurlError(.defect, "\(scheme) has no codes to choose") }
    if case .step(let step) = scales {
      guard scheme.block == .row, case .uniform(let grid) = scheme.coding.levels, grid.low == -grid.high, step > 0,
        step.isFinite
      else {
        throw FurlError(.defect, "\(scheme) cannot have a step of \(step)")
      }
    }
    self.scheme = scheme
    self.scales = scheme.isFixed ? .search : scales
    self.objective = objective
    self.rowFactors = rowFactors
  }

  /// - Throws: ``FurlError`` of kind `input` naming the first weight (in row order) that is not finite, or the rows of
  ///   a block that has no scale; `unavailable` when there is no memory.
  package func encode(_ source: WeightSource, on math: DenseMath) throws -> PackedMatrix {
    let job = try CalibratedJob(self, source, math)
    if let rowFeedback, let factor = job.factor {
      guard scheme.firstPlane == nil else {
        throw FurlError(
          .usage, "two-sided rounding does not choose codes in two planes (\(scheme))", remedy: "use method: gptq")
      }
      try job.encode(with: rowFeedback, factor)
      try job.matrix.keepApart(source)
      return job.matrix
    }
    let failures = FirstFailure()
    let next = Atomic(0)
    math.pool.run { _, _ in
      let memory = CodeSliceMemory()
      while true {
        let slice = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard slice < job.sliceCount, failures.isEmpty || !failures.precedes(slice) else { return }
        do {
          try job.encode(slice: slice, memory)
        } catch {
          failures.add(error, at: slice)
        }
      }
    }
    try failures.rethrow()
    try job.matrix.keepApart(source)
    return job.matrix
  }
}

/// What counts.
package enum CodeObjective: Sendable {
  /// Squared errors of weights, each column's times its weight; nil: all alike.
  case columns(weights: [Float]?)
  /// Squared errors of outputs: errors are fed back.
  case outputs(FeedbackFactor)
}

/// How scales are found.
package enum ScaleChoice: Sendable, Hashable {
  /// From the largest magnitude of a block, as nearest codes have them.
  case extremes
  /// Of several scales the one with the least squared error, columns weighted; then by least squares.
  case search
  /// Rows share this step, so that an entropy coder pays for large weights; only a row whose largest weight would
  /// not have a code has a wider one. For symmetric schemes with one block a row.
  case step(Float)
}
