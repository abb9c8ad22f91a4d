import FurlBase
package import FurlSpec

extension Recipe {
  /// The files of texts that running the recipe reads: for calibration, training and measuring. The text that comes with
  /// the program is none, and what does not exist is left out.
  ///
  /// - Parameter checkpointFolder: the folder of the checkpoint that it is run on.
  package func textFiles(checkpointFolder: String) -> [String] {
    var texts: [(CalibrationSettings.Text, String?)] = calibration.map { [($0.text, $0.location.folder)] } ?? []
    for step in steps {
      let training: TrainSettings? =
        switch step {
        case .heal(let step): step.train
        case .tune(let step): step.train
        case .prune(let step): step.finetune?.train
        case .truncate, .quantize: nil
        }
      guard let training else { continue }
      texts += (training.sources.map(\.text) + [training.heldOut].compactMap { $0 }).map {
        ($0, training.location.folder)
      }
    }
    return texts.flatMap { SourceText.files(of: $0.0, folder: $0.1, checkpointFolder: checkpointFolder) }
  }
}
