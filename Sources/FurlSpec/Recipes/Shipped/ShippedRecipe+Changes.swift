// Written by a test from recipes/, and held to it: FURL_WRITE_SNAPSHOTS writes it anew.

extension ShippedRecipe {
  static let changes: [ShippedRecipe] = [
    ShippedRecipe(
      name: "budget",
      text: #"""
        furl: 1
        recipe: budget
        description: >-
          4.5 bits a parameter of the whole file, divided among the tensors by what each of them was measured to cost.
        steps:
          - quantize:
              goal: disk
              method: gptq
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0
        budget:
          bits_per_weight: 4.5

        """#),
    ShippedRecipe(
      name: "codegpt-group-lasso-60",
      text: #"""
        furl: 1
        recipe: codegpt-group-lasso-60
        description: >-
          CodeGPT-small-py without 60 % of all parameters, the embeddings counted, as the study of it has them (group-lasso-60 counts
          the blocks' alone): heads and neurons go by group lasso on what their layers put out, and what stays is refitted. No
          training.
        steps:
          - prune:
              method: group-lasso
              sparsity: 0.60
              of: model
              groups: [heads, neurons]
              fit: reconstruct
              multiple: 16
              limit: 0.95         # the embeddings keep all they have, so the blocks lose more
        calibration:
          text: bundled
          samples: 64
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "codegpt-group-lasso-60-int8",
      text: #"""
        furl: 1
        recipe: codegpt-group-lasso-60-int8
        description: >-
          As codegpt-group-lasso-60, and then in 8-bit blocks of 32, embedding and positions too, with codes chosen by what the
          pruned model computes.
        steps:
          - prune:
              method: group-lasso
              sparsity: 0.60
              of: model
              groups: [heads, neurons]
              fit: reconstruct
              multiple: 16
              limit: 0.95         # the embeddings keep all they have, so the blocks lose more
          - quantize:
              weights: int8
              block: 32
              method: gptq
        calibration:
          text: bundled
          samples: 64
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "disk",
      text: #"""
        furl: 1
        recipe: disk
        description: >-
          A small file: 3.5 coded bits a weight in the linear layers and 4.5 in the embeddings, errors fed back. In memory it is
          as large and as fast as 8 bits.
        steps:
          - quantize:
              goal: disk
              bits: 3.5
              embedding_bits: 4.5
              method: gptq
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "drop1",
      text: #"""
        furl: 1
        recipe: drop1
        description: >-
          Without the last block, FP32 and not healed, as in the study of Phi-2's and StarCoder2's energy (arXiv 2411.12758). The
          study saw about 15 % of Phi-2's pass@1 go with each block.
        steps:
          - truncate:
              blocks: 1
              choose: last
              heal: none

        """#),
    ShippedRecipe(
      name: "drop2",
      text: #"""
        furl: 1
        recipe: drop2
        description: >-
          Without the last two blocks, FP32 and not healed, as in the study of Phi-2's and StarCoder2's energy (arXiv 2411.12758).
          The study saw StarCoder2-3B's pass@1 rise slightly.
        steps:
          - truncate:
              blocks: 2
              choose: last
              heal: none

        """#),
    ShippedRecipe(
      name: "drop3",
      text: #"""
        furl: 1
        recipe: drop3
        description: >-
          Without the last three blocks, FP32 and not healed, as in the study of Phi-2's and StarCoder2's energy (arXiv
          2411.12758). The study saw Phi-2 still beat the whole StarCoder2 models, and these repeat themselves with a pass@1 of 0.
        steps:
          - truncate:
              blocks: 3
              choose: last
              heal: none

        """#),
    ShippedRecipe(
      name: "group-lasso-60",
      text: #"""
        furl: 1
        recipe: group-lasso-60
        description: >-
          Any model without 60 % of the blocks' linear weights: heads and neurons go by what they add to the outputs of their
          layers, and what stays is refitted. No training; calibrated on the bundled code.
        steps:
          - prune:
              method: group-lasso
              sparsity: 0.60
              of: blocks
              groups: [heads, neurons]
              fit: reconstruct
              choose: variance
              multiple: 16
        calibration:
          text: bundled
          samples: 64
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "group-lasso-60-int8",
      text: #"""
        furl: 1
        recipe: group-lasso-60-int8
        description: >-
          Any model without 60 % of the blocks' linear weights: heads and neurons go by what they add to the outputs of their
          layers, and what stays is refitted; and then in 8-bit blocks of 32, embedding and positions too. No training.
        steps:
          - prune:
              method: group-lasso
              sparsity: 0.60
              of: blocks
              groups: [heads, neurons]
              fit: reconstruct
              choose: variance
              multiple: 16
          - quantize:
              weights: int8
              block: 32
              method: gptq
        calibration:
          text: bundled
          samples: 64
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "phi-2-fp4",
      text: #"""
        furl: 1
        recipe: phi-2-fp4
        description: As fp4, for a model with a head of its own, as Phi-2 is; that stays in floating point, too.
        steps:
          - quantize:
              weights: fp4
              block: 64
              scales: f16
              method: nearest
              keep: [norm, bias, embedding, head]

        """#),
    ShippedRecipe(
      name: "phi-2-gptq4",
      text: #"""
        furl: 1
        recipe: phi-2-gptq4
        description: As gptq4-minimum, with Phi-2's values in 8 bits; as many bytes as phi-2-int4.
        steps:
          - quantize:
              weights: int4
              zero: minimum
              block: 32
              method: gptq
              embeddings: int8
              overrides:
                - match: attention.value
                  weights: int8
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "phi-2-int4",
      text: #"""
        furl: 1
        recipe: phi-2-int4
        description: >-
          As int4-minimum, with the values in 8 bits: Phi-2 is known to lose more to 4 bits than others of its size (llama.cpp, pull
          request 4739).
        steps:
          - quantize:
              weights: int4
              zero: minimum
              block: 32
              embeddings: int8
              overrides:
                - match: attention.value
                  weights: int8

        """#),
    ShippedRecipe(
      name: "phi-2-nf4",
      text: #"""
        furl: 1
        recipe: phi-2-nf4
        description: As nf4, for a model with a head of its own, as Phi-2 is; that stays in floating point, too.
        steps:
          - quantize:
              weights: nf4
              block: 64
              scales: u8
              method: nearest
              keep: [norm, bias, embedding, head]

        """#),
    ShippedRecipe(
      name: "smollm2-disk",
      text: #"""
        furl: 1
        recipe: smollm2-disk
        description: >-
          As disk, with one bit more in the embedding, 5.5 coded bits: SmolLM2-135M's is its head as well, and a fifth of its
          weights.
        steps:
          - quantize:
              goal: disk
              bits: 3.5
              embedding_bits: 5.5
              method: gptq
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "starcoder2-gptq4",
      text: #"""
        furl: 1
        recipe: starcoder2-gptq4
        description: >-
          As gptq4, with StarCoder2's keys and values in 8 bits; as many bytes as starcoder2-int4.
        steps:
          - quantize:
              weights: int4
              zero: symmetric
              block: 32
              method: gptq
              embeddings: int8
              overrides:
                - match: attention.key
                  weights: int8
                - match: attention.value
                  weights: int8
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "starcoder2-int4",
      text: #"""
        furl: 1
        recipe: starcoder2-int4
        description: >-
          As int4, with StarCoder2's keys and values, which many heads share and which are a fiftieth of the weights, in 8 bits.
        steps:
          - quantize:
              weights: int4
              zero: symmetric
              block: 32
              embeddings: int8
              overrides:
                - match: attention.key
                  weights: int8
                - match: attention.value
                  weights: int8

        """#),
  ]
}
