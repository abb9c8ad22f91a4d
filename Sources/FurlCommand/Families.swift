import ArgumentParser
import FurlBase
import FurlCheckpoint
import FurlReport

struct Families: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the model families that are taken, and what is refused and why.",
    discussion: """
      furl families
      furl families --json

      A family is told by model_type in config.json, or by general.architecture in a GGUF file. Of models that take \
      images or sounds beside text (text_config) the text part is taken.
      """)

  @Flag(help: "Print one JSON document.")
  var json = false

  func run() throws {
    if json {
      return Terminal.print([
        "families": .array(
          FamilyList.taken.map { ["model_type": .string($0.modelType), "models": .string($0.models)] }),
        "refused": .array(
          FamilyList.refused.map { ["model_types": .string($0.modelTypes), "reason": .string($0.reason)] }),
      ])
    }
    var taken = TextTable(["model_type", "models"], leftAligned: [0, 1])
    for family in FamilyList.taken { taken.add([family.modelType, family.models]) }
    var refused = TextTable(["refused", "because of"], leftAligned: [0, 1])
    for kind in FamilyList.refused { refused.add([kind.modelTypes, kind.reason]) }
    Terminal.print(taken)
    Terminal.print("")
    Terminal.print(refused)
  }
}
