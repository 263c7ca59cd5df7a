"""Several functions in one module: changed one by one, together again under names of their own."""

import numpy as np
import torch
from torch import nn

from breakthrough.deploy import compile, export, functions


def test_functions_are_changed_alone_and_joined_without_mixing_their_loops():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    exported = export.together([export.to_relax(model, torch.rand(size, 4)) for size in (1, 5)])
    assert functions.entries(exported.module) == ["batch_1", "batch_5"]
    seen = []

    def change(alone):
        from tvm import relax

        seen.append(functions.entries(alone))
        return relax.transform.LegalizeOps()(alone)

    joined = functions.apart(exported.module, change)
    assert seen == [["main"], ["main"]]
    assert functions.entries(joined) == ["batch_1", "batch_5"]
    loops = {var.name_hint for var in joined.get_global_vars()} - {"batch_1", "batch_5"}
    assert len(loops) >= 4 and all(name.endswith(("_batch_1", "_batch_5")) for name in loops)

    engine = compile.build(export.Exported(joined, exported.functions, exported.inputs, exported.outputs, "Sequential", "")).engine()
    for count in (1, 5, 6):
        x = torch.rand(count, 4)
        assert np.allclose(engine(x.numpy()), model(x).detach().numpy(), atol=1e-5)


def test_a_text_net_of_any_batch_is_tuned_too():
    from breakthrough.train.language import ByteLM, LanguageConfig

    model = ByteLM(LanguageConfig(d_model=16, n_layers=1, n_heads=2, context=8, ffn=24), torch.Generator().manual_seed(0)).eval()
    tokens = torch.randint(0, 256, (5, 8), generator=torch.Generator().manual_seed(1))
    engine = compile.build(export.to_relax(model, tokens[:2], batch="dynamic"), pipeline="tuned").engine()
    for count in (1, 5):
        assert np.abs(engine(tokens[:count].numpy()) - model(tokens[:count])[0].detach().numpy()).max() < 1e-4
