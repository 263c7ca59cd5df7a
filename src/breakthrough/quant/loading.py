"""Where models come from: an artifact of the course, a folder of Hugging Face's, a name on its hub."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from breakthrough import artifacts, optional
from breakthrough.artifacts import Artifact
from breakthrough.errors import ArtifactError, InputError, expected
from breakthrough.quant import perplexity, rebuilding, saving
from breakthrough.train import corpus, handover, inspector
from breakthrough.train.language import ByteLM

KINDS = ("moe_lm", "inspector")
HUB = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
LENGTH = 512  # tokens of a window, unless the model sees fewer
TEXT_BYTES = 400_000  # of the standard library, for a model with a tokenizer of its own


@dataclass(frozen=True, eq=False)
class Source:
    """A model to quantize, and what goes with it.

    Units:  `tokenizer` is Hugging Face's, or None for a model whose tokens are bytes; `artifact` the one it
            came from
    """

    model: nn.Module
    name: str
    tokenizer: Any = None
    artifact: Artifact | None = None

    def windows(self, text: bytes | None = None, count: int = perplexity.WINDOWS) -> Tensor:
        """Windows of tokens to measure perplexity on: of a text, or of the standard library's validation files.

        Shapes: → (W, T + 1)
        Raises: InputError for a model that reads no text, or has neither tokenizer nor 256 tokens; ShapeError for
                a text shorter than a window
        """
        if isinstance(self.model, ByteLM):
            return perplexity.byte_windows(self.model, text, count)
        if not rebuilding.is_transformers(self.model):
            raise InputError(expected("a model of text", type(self.model).__name__))
        text = corpus.load().valid[:TEXT_BYTES].tobytes() if text is None else text
        limit = getattr(self.model.config, "max_position_embeddings", None) or LENGTH
        return perplexity.token_windows(self._ids(text), min(LENGTH, limit), count)

    def _ids(self, text: bytes) -> Tensor:
        if self.tokenizer is not None:
            return torch.tensor(self.tokenizer(text.decode("utf-8", "replace"), verbose=False)["input_ids"])
        config: Any = self.model.config
        if config.vocab_size < corpus.VOCABULARY:
            raise InputError(expected("a tokenizer beside the model", f"none, and {config.vocab_size} tokens, too few for bytes"))
        return torch.frombuffer(bytearray(text), dtype=torch.uint8).long()


def open_model(source: str | Path) -> Source:
    """A model by the name of an artifact's kind ("moe_lm", "inspector": the latest), a folder, or a hub's name.

    Raises: InputError for what is none of these or quantized already; ArtifactError for files that are missing,
            altered, or of another model
    """
    if str(source) in KINDS:
        return _from_artifact(artifacts.latest(str(source)))
    folder = Path(source)
    if (folder / artifacts.MANIFEST).is_file():
        return _from_artifact(artifacts.load(folder))
    if (folder / saving.FACTS).is_file():
        name = saving.read_facts(folder)["scheme"]["name"]
        raise InputError(expected("a model in floating point", f"one in {name!r} in {folder}", "the model that it was made from"))
    if (folder / "config.json").is_file():
        return _from_transformers(source, local=True)
    if folder.exists() or not HUB.fullmatch(str(source)):
        got = f"{folder}, which has no config.json" if folder.exists() else f"no such folder as {source}"
        raise InputError(expected("a model", got, f"{' or '.join(KINDS)}, an artifact's folder, a folder of Hugging Face's, or a name on its hub"))
    return _from_transformers(source, local=False)


def _from_artifact(artifact: Artifact) -> Source:
    name = f"{artifact.kind}/{artifact.id}"
    if saving.FACTS in artifact.files:
        raise InputError(expected("a model in floating point", f"{name}, which is quantized", "the model that it was made from"))
    if handover.CONFIG not in artifact.files:
        raise ArtifactError(expected(f"an artifact with a model ({' or '.join(KINDS)})", name))
    fields = json.loads(artifact.path(handover.CONFIG).read_text(encoding="utf-8"))
    read = handover.load_model if "d_model" in fields else inspector.load_inspector
    return Source(read(artifact), name, artifact=artifact)


def _from_transformers(source: str | Path, local: bool) -> Source:
    package = optional.require("transformers", rebuilding.PURPOSE)
    try:
        settings = package.AutoConfig.from_pretrained(source, local_files_only=local)
        if getattr(settings, "quantization_config", None):
            raise InputError(expected("a model in floating point", f"{source}, quantized by its makers", "the model that it was made from"))
        model, told = package.AutoModelForCausalLM.from_pretrained(
            source, config=settings, dtype="auto", local_files_only=local, use_safetensors=True, output_loading_info=True
        )
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        hint = "a folder that save_pretrained wrote" if local else "a network, or a local folder"
        raise ArtifactError(expected(f"a causal language model of Hugging Face's in {source}", said, hint)) from error
    if missing := sorted(map(str, (*told["missing_keys"], *told["mismatched_keys"]))):
        raise ArtifactError(expected(f"all weights of {type(model).__name__} in {source}", f"{len(missing)} missing or of another shape, {missing[0]} first"))
    return Source(model.eval(), str(source), _tokenizer(package, source, local))


def _tokenizer(package: Any, source: str | Path, local: bool) -> Any:
    """The tokenizer beside a model, or None: a folder with a model only is one whose tokens are bytes."""
    if local and not any(Path(source).glob("*token*")) and not (Path(source) / "vocab.json").is_file():
        return None
    try:
        return package.AutoTokenizer.from_pretrained(source, local_files_only=local)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ArtifactError(expected(f"a tokenizer in {source}", str(error).partition("\n")[0])) from error
