import FurlBase
import FurlTensor
import CFurlKernels

/// Losses of logits and their gradients, a few rows of logits at a time: the matrix of all of them, which is the largest
/// one of training, never exists.
package struct HeadLoss: Sendable {
  let math: DenseMath
  let vocabulary: Int
  /// [pieces of rows][vocabulary]
  let logits: Matrix
  private let taught: Matrix?

  /// - Parameters:
  ///   - rows: the most that there will be.
  ///   - hasTeacher: whether there will be one.
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  package init(rows: Int, vocabulary: Int, hasTeacher: Bool, math: DenseMath) throws {
    self.math = math
    self.vocabulary = vocabulary
    // 64 MiB, whatever the number of threads.
    let piece = min(rows, max(16, min(512, (1 << 24) / vocabulary / 16 * 16)))
    logits = try Matrix(rows: piece, columns: vocabulary)
    taught = hasTeacher ? try Matrix(rows: piece, columns: vocabulary) : nil
  }

  /// What a row gave.
  private struct RowLoss {
    var entropy: Float = 0
    var divergence: Float = 0
  }

  /// Computes losses, and their gradients where those are asked for.
  ///
  /// - Parameters:
  ///   - hidden: [rows][hidden], behind the last norm.
  ///   - targets: the next token of each row; -1 where there is none, which counts for the divergence alone.
  ///   - weights: what the parts count for each row.
  package func callAsFunction(
    hidden: Matrix, head: HeadWeights, targets: [Int], teacher: TaughtHead?, weights: LossShares,
    gradients: HeadGradients?
  ) -> LossSums {
    precondition(targets.count == hidden.rows && head.weight.rows == vocabulary)
    precondition(targets.allSatisfy { $0 < vocabulary } && (teacher == nil || taught != nil))
    var sums = LossSums()
    for start in stride(from: 0, to: hidden.rows, by: logits.rows) {
      let range = start..<min(start + logits.rows, hidden.rows)
      let piece = hidden.rows(range)
      let scores = logits.rows(0..<range.count)
      math.linear(piece, head.weight, bias: head.bias, into: scores)
      var taughtScores: Matrix?
      if let teacher, let taught {
        let matrix = taught.rows(0..<range.count)
        math.linear(teacher.hidden.rows(range), teacher.head.weight, bias: teacher.head.bias, into: matrix)
        taughtScores = matrix
      }
      let caps = (head.softCap, teacher?.head.softCap)
      for loss in rowLosses(scores, taughtScores, targets: Array(targets[range]), caps: caps, weights) {
        sums.entropy += Double(loss.entropy)
        sums.divergence += Double(loss.divergence)
      }
      guard let gradients else { continue }
      math.linearBack(scores, head.weight, into: gradients.hidden.rows(range))
      math.addWeightGradient(scores, piece, to: gradients.head.weight, bias: gradients.head.bias)
    }
    sums.targets = targets.count { $0 >= 0 }
    return sums
  }

  /// Losses of some rows; gradients take the place of the logits.
  ///
  /// - Parameter caps: of the logits, and of the teacher's; nil: none.
  private func rowLosses(
    _ scores: Matrix, _ taught: Matrix?, targets: [Int], caps: (own: Float?, taught: Float?), _ weights: LossShares
  ) -> [RowLoss] {
    var losses = [RowLoss](repeating: RowLoss(), count: targets.count)
    losses.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      math.forEachPiece(targets.count, of: 8) { rows in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: caps.own == nil ? 0 : vocabulary) { slopes in
          for row in rows {
            let logits = scores.row(row)
            if let cap = caps.own { saturate(logits, at: cap, slopes: slopes.baseAddress) }
            if let cap = caps.taught, let taught { saturate(taught.row(row), at: cap, slopes: nil) }
            losses[row] = rowLoss(logits, taught: taught?.row(row), target: targets[row], weights)
            if caps.own != nil { for index in 0..<vocabulary { logits[index] *= slopes[index] } }
          }
        }
      }
    }
    return losses
  }

  /// Makes cap * tanh(x / cap) of a row of logits.
  ///
  /// - Parameter slopes: is set to the derivatives: [vocabulary].
  func saturate(
    _ logits: UnsafeMutablePointer<Float>, at cap: Float, slopes: UnsafeMutablePointer<Float>?
  ) {
    for index in 0..<vocabulary { logits[index] /= cap }
    math.table.activate(FURL_TANH, logits, nil, vocabulary)
    for index in 0..<vocabulary {
      let share = logits[index]
      slopes?[index] = 1 - share * share
      logits[index] = cap * share
    }
  }

  /// The losses of a row; its gradient takes the place of the logits.
  private func rowLoss(
    _ logits: UnsafeMutablePointer<Float>, taught: UnsafeMutablePointer<Float>?, target: Int, _ weights: LossShares
  ) -> RowLoss {
    let table = math.table
    var loss = RowLoss()
    let wanted = target >= 0 ? logits[target] : 0
    let entropyWeight = target >= 0 ? weights.entropy : 0
    let total: Float
    if let taught {
      let d = table.distill(
        logits, taught, vocabulary, 1, weights.divergence + entropyWeight, weights.divergence)
      loss.divergence = d.difference - Elementary.log(d.teacher_sum) + Elementary.log(d.student_sum)
      total = LogSoftmax.offset(largest: d.student_largest, sum: d.student_sum)
    } else {
      var largest: Float = 0
      let sum = table.softmax(logits, vocabulary, 1, &largest)
      total = LogSoftmax.offset(largest: largest, sum: sum)
      for index in 0..<vocabulary { logits[index] *= entropyWeight }
    }
    guard target >= 0 else { return loss }
    loss.entropy = total - wanted
    logits[target] -= entropyWeight
    return loss
  }
}

/// What turns hidden states into logits.
package struct HeadWeights: Sendable {
  /// [vocabulary][hidden]
  package let weight: Matrix
  /// [1][vocabulary]
  package let bias: Matrix?
  /// Logits become softCap * tanh(logit / softCap); nil: they stay.
  package let softCap: Float?

  package init(weight: Matrix, bias: Matrix?, softCap: Float? = nil) {
    self.weight = weight
    self.bias = bias
    self.softCap = softCap
  }
}

/// The model that is imitated: its own hidden states and head.
package struct TaughtHead: Sendable {
  package let hidden: Matrix
  package let head: HeadWeights

  package init(hidden: Matrix, head: HeadWeights) {
    self.hidden = hidden
    self.head = head
  }
}

/// Where gradients go: of hidden states, set; of the head, added.
package struct HeadGradients {
  let hidden: Matrix
  let head: HeadWeights

  package init(hidden: Matrix, head: HeadWeights) {
    self.hidden = hidden
    self.head = head
  }
}

/// Sums over all rows that count.
package struct LossSums: Sendable {
  /// Cross entropy of the next tokens, nats.
  package var entropy = 0.0
  /// Kullback-Leibler divergence from the teacher, nats.
  package var divergence = 0.0
  /// Rows with a next token.
  package var targets = 0
}

/// How much each part counts.
package struct LossShares: Sendable, Hashable {
  /// Of a row's cross entropy.
  package var entropy: Float
  /// Of a row's divergence.
  package var divergence: Float

  package init(entropy: Float, divergence: Float) {
    self.entropy = entropy
    self.divergence = divergence
  }
}
