// Written by a test from recipes/, and held to it: FURL_WRITE_SNAPSHOTS writes it anew.

extension ShippedRecipe {
  static let formats: [ShippedRecipe] = [
    ShippedRecipe(
      name: "bf16",
      text: #"""
        furl: 1
        recipe: bf16
        description: >-
          The model as it is, for archives and as a baseline: BF16 weights bit for bit, in two thirds of their bytes on disk and in half
          of FP32's in memory. What a checkpoint has in FP32 is rounded to BF16; weights fp32 keeps it, too.
        steps:
          - quantize:
              weights: bf16

        """#),
    ShippedRecipe(
      name: "fp4",
      text: #"""
        furl: 1
        recipe: fp4
        description: >-
          As the 4-bit mode of bitsandbytes has it by default: FP4 in blocks of 64 with an absolute maximum each, not quantized a
          second time; the embedding stays in floating point. For models whose head is their embedding, as StarCoder2's is.
        steps:
          - quantize:
              weights: fp4
              block: 64
              scales: f16
              method: nearest
              keep: [norm, bias, embedding]

        """#),
    ShippedRecipe(
      name: "gguf-iq4_xs",
      text: #"""
        furl: 1
        recipe: gguf-iq4_xs
        description: >-
          llama.cpp's IQ4_XS with errors fed back: 4-bit codes of a table in super-blocks, 4.25 bits a weight, a 6-bit embedding.
        steps:
          - quantize:
              mix: iq4_xs
              method: gptq
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "gguf-q3_k_m",
      text: #"""
        furl: 1
        recipe: gguf-q3_k_m
        description: >-
          llama.cpp's Q3_K_M with errors fed back: 3-bit super-blocks, 4 and 5 bits for values, outputs and down projections.
        steps:
          - quantize:
              mix: q3_k_m
              method: gptq
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "gguf-q4_k_m",
      text: #"""
        furl: 1
        recipe: gguf-q4_k_m
        description: >-
          llama.cpp's Q4_K_M with errors fed back: 4-bit super-blocks, 6 bits for values, down projections and the embedding where
          llama.cpp has them; `furl export --format gguf` takes the blocks over bit for bit.
        steps:
          - quantize:
              mix: q4_k_m
              method: gptq
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "gguf-q4_k_s",
      text: #"""
        furl: 1
        recipe: gguf-q4_k_s
        description: >-
          llama.cpp's Q4_K_S with errors fed back: 4-bit super-blocks, 5 bits for values of the first blocks, a 6-bit embedding.
        steps:
          - quantize:
              mix: q4_k_s
              method: gptq
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "gguf-q6_k",
      text: #"""
        furl: 1
        recipe: gguf-q6_k
        description: >-
          llama.cpp's Q6_K with errors fed back: 6-bit super-blocks everywhere.
        steps:
          - quantize:
              mix: q6_k
              method: gptq
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "gptq4",
      text: #"""
        furl: 1
        recipe: gptq4
        description: 4-bit blocks of 32 in the linear layers, errors fed back; as many bytes as int4.
        steps:
          - quantize:
              weights: int4
              zero: symmetric
              block: 32
              method: gptq
              embeddings: int8
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "gptq4-minimum",
      text: #"""
        furl: 1
        recipe: gptq4-minimum
        description: 4-bit blocks of 32 with a minimum in the linear layers, errors fed back; as many bytes as int4-minimum.
        steps:
          - quantize:
              weights: int4
              zero: minimum
              block: 32
              method: gptq
              embeddings: int8
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "int4",
      text: #"""
        furl: 1
        recipe: int4
        description: 4-bit blocks of 32 in the linear layers, 8-bit embeddings.
        steps:
          - quantize:
              weights: int4
              zero: symmetric
              block: 32
              embeddings: int8

        """#),
    ShippedRecipe(
      name: "int4-minimum",
      text: #"""
        furl: 1
        recipe: int4-minimum
        description: >-
          4-bit blocks of 32 with a minimum, 8-bit embeddings: a small model such as CodeGPT or SmolLM2 loses more to 4 bits than a
          large one, and the minimum is cheap.
        steps:
          - quantize:
              weights: int4
              zero: minimum
              block: 32
              embeddings: int8

        """#),
    ShippedRecipe(
      name: "int8",
      text: #"""
        furl: 1
        recipe: int8
        description: >-
          8-bit blocks of 32 everywhere, embedding, positions and head too; quality as FP32 at a quarter of the size.
        steps:
          - quantize:
              weights: int8
              block: 32

        """#),
    ShippedRecipe(
      name: "int8-rows",
      text: #"""
        furl: 1
        recipe: int8-rows
        description: One scale a row, for any model; 4 % smaller than blocks of 32 and a little less exact.
        steps:
          - quantize:
              weights: int8
              block: row

        """#),
    ShippedRecipe(
      name: "llm-int8",
      text: #"""
        furl: 1
        recipe: llm-int8
        description: >-
          As LLM.int8() has it: 8 bits with a scale a row, and the columns whose inputs reach a magnitude of 6 in floating point;
          the embedding stays in floating point.
        steps:
          - quantize:
              weights: int8
              block: row
              method: nearest
              outliers:
                threshold: 6.0
              keep: [norm, bias, embedding]
        calibration:
          text: bundled
          samples: 128
          length: 128
          seed: 0

        """#),
    ShippedRecipe(
      name: "nf4",
      text: #"""
        furl: 1
        recipe: nf4
        description: >-
          As in QLoRA: NF4 in blocks of 64 whose scales are quantized to 8 bits; the embedding stays in floating point. For models
          whose head is their embedding, as StarCoder2's is.
        steps:
          - quantize:
              weights: nf4
              block: 64
              scales: u8
              method: nearest
              keep: [norm, bias, embedding]

        """#),
    ShippedRecipe(
      name: "small4",
      text: #"""
        furl: 1
        recipe: small4
        description: >-
          Every matrix, embeddings too, in 4-bit blocks of 64 with 8-bit scales, errors fed back: 4.13 bits a weight.
        steps:
          - quantize:
              weights: int4
              zero: symmetric
              block: 64
              scales: u8
              method: gptq
              embeddings: int4
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
    ShippedRecipe(
      name: "small4-minimum",
      text: #"""
        furl: 1
        recipe: small4-minimum
        description: >-
          As small4, with a minimum: 4.25 bits a weight. SmolLM2-135M then diverges half as much, and less than in Q4_0.
        steps:
          - quantize:
              weights: int4
              zero: minimum
              block: 64
              scales: u8
              method: gptq
              embeddings: int4
        calibration:
          text: bundled
          samples: 128
          length: 256
          seed: 0

        """#),
  ]
}
