import FurlBase
import FurlModel
import FurlSpec
import FurlTensor
import FurlTokenizer

/// Completions that a model generates, several at once.
struct ModelCompletions: CompletionSource {
  let subject: LoadedModel
  /// Of a text, the model that the KL divergence is measured from.
  let baseline: LoadedModel?

  func model() throws -> EvaluationReport.EvaluatedModel {
    let tokenizer = subject.tokenizer
    return EvaluationReport.EvaluatedModel(
      path: subject.file.name, digest: try subject.file.digest(),
      texts: .init(begin: tokenizer.addsBOS ? tokenizer.bosID : nil, ends: tokenizer.endIDs))
  }

  var files: [String] { [subject.file.path] + (baseline.map { [$0.file.path] } ?? []) }
  var isGiven: Bool { false }
  var models: (subject: LoadedModel, baseline: LoadedModel?)? { (subject, baseline) }

  func adapting(_ settings: SuiteProtocol) -> SuiteProtocol { settings }

  func checkUnchanged() throws {
    try subject.file.checkUnchanged(pool: subject.context.pool)
    try baseline?.file.checkUnchanged(pool: subject.context.pool)
  }

  /// - Throws: ``FurlError`` of kind `usage`.
  func check(_ settings: SuiteProtocol) throws {
    let longest = subject.model.spec.contextLength
    if let context = settings.context, context > longest {
      throw FurlError(
        .usage, file: subject.file.path, "a context of \(context) is longer than the model's \(longest)",
        remedy: "lower context in the suite card or with --context")
    }
    if settings.bos == .always, subject.tokenizer.bosID == nil {
      throw FurlError(
        .usage, file: subject.file.path, "its tokenizer has no begin-of-text token", remedy: "set bos: auto")
    }
  }

  func complete(
    _ prompts: [CompletionPrompt], _ run: SuiteRun, onCompletion: (Int, Completion) throws -> Void
  ) throws -> Written {
    let settings = run.settings
    let contextLength = settings.context ?? subject.model.spec.contextLength
    guard settings.maxTokens < contextLength else {
      throw FurlError(
        .usage, "max_tokens \(settings.maxTokens) leaves no room for a prompt in a context of \(contextLength)",
        remedy: "lower max_tokens")
    }
    let requests = try prompts.enumerated().map {
      try request($1, settings, contextLength: contextLength, sampling: settings.sampling($0))
    }
    if let empty = requests.firstIndex(where: { $0.ids.isEmpty }) {
      throw FurlError.input(nil, prompts[empty].id.description, "the prompt is empty", remedy: "set bos: always")
    }
    let session = try subject.session(
      slots: min(run.options.slots, max(1, prompts.count)),
      contextLength: min(contextLength, requests.map { $0.ids.count + $0.maxTokens }.max() ?? contextLength))
    var completions = [Completion?](repeating: nil, count: prompts.count)
    var done = 0
    // Long prompts first: the batch stays full to the end. Results do not depend on the order.
    let curtailment = run.curtailment
    let rank = prompts.map { curtailment?.first.contains($0.id) ?? true ? 0 : 1 }
    let order = requests.indices.sorted {
      (rank[$0], -requests[$0].ids.count, $0) < (rank[$1], -requests[$1].ids.count, $1)
    }
    let generator = Generator(session: session, tokenizer: subject.tokenizer)
    func end(_ place: Int, _ generation: Generation) throws {
      let index = order[place]
      let completion = completion(prompts[index].id, generation, settings)
      completions[index] = completion
      try Task.checkCancellation()
      curtailment?.ended(completion.id)
      try onCompletion(index, completion)
      done += 1
      run.progress(done, prompts.count)
      if try curtailment?.isSettled() == true { throw Curtailment.Settled() }
    }
    do {
      try generator.run(order.map { requests[$0] }, onCompletion: end)
      guard done == prompts.count else { throw FurlError(.defect, "a problem was not completed") }
    } catch is Curtailment.Settled {
      curtailment?.stopped(begun: min(prompts.count, done + session.slots - 1))
    }
    return Written(completions: completions, speculation: generator.speculation)
  }

  private func request(
    _ prompt: CompletionPrompt, _ settings: SuiteProtocol, contextLength: Int, sampling: Sampling
  ) throws -> GenerationRequest {
    let text = settings.prompt(prompt.text)
    let ids = try subject.encode(text, bos: settings.bos.policy)
    var request = GenerationRequest(
      ids: ids, maxTokens: settings.maxTokens, stops: settings.stop, sampling: sampling
    ).cut(toContext: contextLength)
    request.endsAtEndOfText = settings.eos != .pass
    if let draft = prompt.draft, settings.temperature == 0 {
      // Tokens of a text that goes on may be others than those of its parts.
      let whole = subject.tokenizer.encode(text + draft, bos: settings.bos.policy)
      let rest =
        whole.starts(with: ids) ? Array(whole.dropFirst(ids.count)) : subject.tokenizer.encode(draft, bos: .never)
      // What has no row cannot come.
      request.draft = Array(rest.prefix { $0 < subject.model.spec.vocabularySize })
    }
    return request
  }

  private func completion(_ id: ProblemID, _ generation: Generation, _ settings: SuiteProtocol) -> Completion {
    var text = generation.text
    if settings.eos == .keep, let end = generation.endID {
      text += subject.tokenizer.decode([end], skippingSpecial: false)
    }
    return Completion(
      id: id, text: text, tokens: generation.tokenCount, stopReason: generation.stopReason.rawValue)
  }
}

extension SuiteProtocol {
  /// How the tokens of the completion at a place are chosen: each has draws of its own, whatever else is generated.
  fileprivate func sampling(_ index: Int) -> Sampling {
    guard temperature > 0 else { return .greedy }
    var seeds = SplitMix64(seed: UInt64(seed), skipping: UInt64(index))
    return Sampling(temperature: temperature, topP: topP, seed: seeds.next())
  }
}

extension SuiteProtocol.BeginToken {
  /// What the tokenizer is asked for.
  var policy: Tokenizer.BOS {
    switch self {
    case .auto: .auto
    case .always: .always
    case .never: .never
    }
  }
}
