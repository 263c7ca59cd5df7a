"""`breakthrough quantize`: a model in fewer bits, with its bytes and its answers before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quantize(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="moe_lm or inspector (the latest artifact), a folder, or a name on Hugging Face's hub.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder, or a quantized model to replace.")],
    scheme: Annotated[str, typer.Option("--scheme", metavar="NAME", help="One of those above.")] = "nf4",
    text: Annotated[Path | None, typer.Option("--text", metavar="FILE", help="Measure perplexity on this text; the standard library's validation files unless given.")] = None,
    pictures: Annotated[Path | None, typer.Option("--pictures", metavar="SCENES", help="Measure an inspector on this artifact of scenes; the latest unless given.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes CUDA when there is one.")] = "auto",
) -> None:
    """Put a model in 8 or 4 bits: bytes, answers before and after.

    \b
    MODEL is moe_lm or inspector (the latest artifact of that kind), an artifact's folder, a folder that
    Hugging Face's save_pretrained wrote, or a name on its hub.

    \b
    In 8 bits   int8 (a scale a channel), int8_tensor, int8_block (bitsandbytes' dynamic code),
                llm_int8 (activations too, outlier columns kept aside)
    In 4 bits   nf4 (quantiles of a normal, scales in 8 bits), nf4_single, fp4, int4
    Calibrated  nf4_gptq, nf4_awq, int4_gptq: codes chosen with the inputs that each weight sees
    In floats   fp32, bf16, fp16
    Controls    int8_random, nf4_random: every weight goes up or down by a coin

    \b
    Norms, biases, embedding, head and router stay in floating point: few bytes, much harm. The table
    counts them. DIR gets quantized.safetensors and quantized.json, written aside, then renamed.
      breakthrough quantize moe_lm --scheme nf4 --out build/moe-nf4
      breakthrough quantize inspector --scheme int8 --out build/inspector-int8
      breakthrough quantize models/my-llama --scheme nf4_gptq --out build/llama-nf4 --text book.txt
    """
    from breakthrough import devices
    from breakthrough.quant import conversion

    done = conversion.convert(model, scheme, out, text=text, pictures=pictures, device=devices.choose(device))
    for line in done.lines():
        print(line)
