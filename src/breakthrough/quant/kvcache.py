"""Keys and values of the tokens so far in int8: attention over them without a copy in floats.

Shape legend: B sequences, H heads of keys and values, Q heads of queries (a multiple of H), D numbers in a head,
t new tokens, L tokens so far, C tokens at most
"""

from __future__ import annotations

import torch
from torch import Tensor

from breakthrough.errors import ConfigError, InputError, ShapeError, expected
from breakthrough.quant.affine import Affine
from breakthrough.quant.quantized import check_numbers

GRID = Affine(bits=8, axis=0)


class KeyValueCache:
    """The keys and values of up to C tokens in int8, with one scale a token and head.

    Shapes: codes (2, B, H, C, D) int8 and scales (2, B, H, C) float32; first the keys', then the values'
    Raises: ConfigError when a size is below 1
    """

    def __init__(self, sequences: int, heads: int, head_size: int, capacity: int, device: torch.device | str = "cpu") -> None:
        sizes = {"sequences": sequences, "heads": heads, "head_size": head_size, "capacity": capacity}
        if small := {name: size for name, size in sizes.items() if size < 1}:
            raise ConfigError(expected("sizes of 1 or more", small))
        self.codes = torch.zeros(2, sequences, heads, capacity, head_size, dtype=torch.int8, device=device)
        self.scales = torch.zeros(2, sequences, heads, capacity, device=device)
        self.length = 0

    @property
    def nbytes(self) -> int:
        """The bytes held, for all C tokens."""
        return self.codes.nbytes + self.scales.nbytes

    @property
    def bytes_per_token(self) -> float:
        """The bytes that a token takes in each sequence, scales included."""
        return self.nbytes / (self.codes.shape[1] * self.codes.shape[3])

    def append(self, keys: Tensor, values: Tensor) -> None:
        """Store the keys and values of t new tokens.

        Shapes: keys, values (B, H, t, D)
        Raises: ShapeError when they do not fit; InputError for NaN and infinities, and when the cache is full; nothing
                is stored then
        """
        new = self._checked(keys, values)
        rows = new.reshape(-1, new.shape[-1])  # (2 B H t, D): a scale each
        scales = GRID.scales(rows)
        end = self.length + new.shape[3]
        self.codes[:, :, :, self.length : end] = GRID.encode(rows, scales).view(new.shape)
        self.scales[:, :, :, self.length : end] = scales["scale"].view(new.shape[:-1])
        self.length = end

    def keys_values(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """What is stored, as floats. Shapes: → keys, values (B, H, L, D)."""
        codes, scales = self._filled()
        keys, values = (codes * scales[..., None]).to(dtype)
        return keys, values

    def attend(self, queries: Tensor) -> Tensor:
        """Causal attention of the last t tokens over all so far.

        A scale belongs to a whole key or value: it multiplies a score or a probability, and the products run over codes.

        Shapes: queries (B, Q, t, D) → (B, Q, t, D) of their dtype
        Raises: ShapeError when they do not fit, InputError when fewer tokens are stored than there are queries
        """
        self._check_queries(queries)
        codes, scales = self._filled()
        keys, values = codes.to(queries.dtype).unsqueeze(3)  # (B, H, 1, L, D): exact, codes have 7 bits
        key_scale, value_scale = scales[:, :, :, None, None]  # (B, H, 1, 1, L)
        grouped = queries.unflatten(1, (keys.shape[1], -1))  # (B, H, Q / H, t, D)
        scores = (grouped @ keys.mT).float() * key_scale * queries.shape[-1] ** -0.5  # (B, H, Q / H, t, L)
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(scores.shape[-1] - scores.shape[-2] + 1)
        weights = scores.masked_fill(later, -torch.inf).softmax(-1) * value_scale
        return (weights.to(queries.dtype) @ values).flatten(1, 2)

    def _filled(self) -> tuple[Tensor, Tensor]:
        return self.codes[..., : self.length, :], self.scales[..., : self.length]

    def _checked(self, keys: Tensor, values: Tensor) -> Tensor:
        _, sequences, heads, capacity, size = self.codes.shape
        fits = keys.dim() == 4 and keys.shape == values.shape and (*keys.shape[:2], keys.shape[3]) == (sequences, heads, size)
        if not fits:
            raise ShapeError(expected(f"keys and values ({sequences}, {heads}, t, {size})", f"{tuple(keys.shape)} and {tuple(values.shape)}"))
        if self.length + keys.shape[2] > capacity:
            raise InputError(expected(f"at most {capacity} tokens", self.length + keys.shape[2], "a cache of a larger capacity"))
        return check_numbers(torch.stack([keys.detach(), values.detach()]))

    def _check_queries(self, queries: Tensor) -> None:
        _, sequences, heads, _, size = self.codes.shape
        if queries.dim() != 4 or len(queries) != sequences or queries.shape[1] % heads or queries.shape[3] != size:
            raise ShapeError(expected(f"queries ({sequences}, a multiple of {heads}, t, {size})", tuple(queries.shape)))
        if not 1 <= queries.shape[2] <= self.length:
            raise InputError(expected(f"queries of 1 to {self.length} tokens, those stored last", queries.shape[2], "append(keys, values) first"))
