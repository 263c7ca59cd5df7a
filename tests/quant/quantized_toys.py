"""Small models with random weights for the tests of whole quantized models."""

import torch

from breakthrough.moe import MoEConfig
from breakthrough.seeds import torch_generator
from breakthrough.train.inspector import Inspector, InspectorConfig
from breakthrough.train.language import ByteLM, LanguageConfig

DENSE = LanguageConfig(d_model=32, n_layers=2, n_heads=2, context=24, ffn=70)
SPARSE = LanguageConfig(d_model=32, n_layers=2, n_heads=2, context=24, ffn=MoEConfig(32, 43, 4, 2, n_shared=1), tied=False)
VISION = InspectorConfig(widths=(16, 32), blocks=(1, 1), experts=4, top_k=2, hidden=16)


def dense():
    return ByteLM(DENSE, torch_generator(0, "dense"))


def sparse():
    return ByteLM(SPARSE, torch_generator(0, "sparse"))


def vision():
    return Inspector(VISION, torch_generator(0, "vision"))


MODELS = {"dense": dense, "sparse": sparse, "vision": vision}


def tokens(rows=2, length=24, seed=0):
    return torch.randint(256, (rows, length), generator=torch_generator(seed, "tokens"))


def given(model, seed=0):
    """An input of a model."""
    if isinstance(model, Inspector):
        return torch.rand(3, 3, 64, 64, generator=torch_generator(seed, "pictures"))
    return tokens(seed=seed)


def answer(model, x):
    with torch.no_grad():
        y = model(x)
    return y[0] if isinstance(y, tuple) else getattr(y, "logits", y)


def transformers_models():
    """A Llama, a GPT-2 and a Mixtral, small and random."""
    import transformers as hf

    shape = dict(vocab_size=256, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "llama": hf.LlamaForCausalLM(hf.LlamaConfig(**shape, tie_word_embeddings=True)).eval(),
            "gpt2": hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=256, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=1)).eval(),
            "mixtral": hf.MixtralForCausalLM(hf.MixtralConfig(**shape, num_local_experts=4, num_experts_per_tok=2)).eval(),
        }
