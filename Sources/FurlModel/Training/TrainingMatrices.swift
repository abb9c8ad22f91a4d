import FurlBase
import FurlNumerics

/// Matrices of a pass by what they hold, each as wide as the widest that is asked for.
struct TrainingMatrices {
  /// What a matrix holds.
  enum MatrixContent: Hashable {
    // What is left for the way back.
    /// What stages read that stand beside each other, by the number of the first of them.
    case input(stage: Int)
    case query, key, value, attended, statistics
    /// What heads' outputs are multiplied with comes from these.
    case attentionGates
    /// What a token input's gate gives before its activation, and what comes of the tokens' embeddings before its norm.
    case inputGate, inputContext
    /// What queries, and keys and values, are made from.
    case queryLatent, latent
    /// Outputs of an MLP's first layers; of experts for each row and each of its experts, those of an expert together.
    case gate, up
    case router, sharedRouter, sharedGate, sharedUp
    /// What a part gives before its norm, by the part's name.
    case given(part: String)

    // What is used for a moment.
    /// What comes out of a stage's norm.
    case normed
    /// What a part gives before it is multiplied or normed.
    case branch
    /// Queries and keys that were normed and turned.
    case turnedQuery, turnedKey
    /// Values that were normed.
    case normedValue
    /// What a token input's gate is multiplied with, and rows of its table.
    case inputTerm, inputRows
    /// What heads give, multiplied with their gates.
    case gated
    /// What comes out of the norm of a latent vector; heads of latent attention in their own sizes, and their gradients.
    case normedLatent, ownQuery, ownKey, ownValue, sharedKey
    /// What an MLP's last layer reads.
    case inner
    /// The rows of an expert, and what it makes of them.
    case expertInput, expertOutput
    /// What comes out of a norm that router, experts or the shared one have of their own.
    case ownNormed

    // What is used for a moment on the way back: gradients.
    case normedGradient, streamGradient, branchGradient
    case queryGradient, keyGradient, valueGradient, attendedGradient, attentionGateGradient
    case narrowGradient, normedLatentGradient
    case innerGradient, upGradient, routerGradient, expertGradient
    case inputTermGradient, inputContextGradient
    case ownGradient, ownNormedGradient, ownStreamGradient
  }

  /// Columns of each.
  typealias Widths = [MatrixContent: Int]

  private let rows: Int
  private let all: [MatrixContent: Matrix]

  /// Zeros.
  ///
  /// - Throws: ``FurlError`` of kind `unavailable` when there is no memory.
  init(_ widths: Widths, rows: Int) throws {
    self.rows = rows
    all = try widths.mapValues { try Matrix(rows: rows, columns: $0) }
  }

  /// The rows of a pass, of some columns.
  subscript(content: MatrixContent, columns: Int) -> Matrix { self[content, columns, rows: rows] }

  /// So many rows of some columns, in as much memory as the rows of a pass have.
  subscript(content: MatrixContent, columns: Int, rows rows: Int) -> Matrix {
    guard let matrix = all[content] else { preconditionFailure("\(content) was not asked for") }
    return matrix.shaped(columns: columns, rows: rows)
  }
}

extension TrainingMatrices.Widths {
  /// The wider of each.
  func union(_ other: Self) -> Self { merging(other, uniquingKeysWith: Swift.max) }
}
