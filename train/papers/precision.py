"""Whether computing in bfloat16 is worth it here."""

from __future__ import annotations

import torch


def fast_bf16() -> bool:
    """Whether networks train faster in bfloat16 than in float32: on a GPU or CPU that computes in it.

    Elsewhere it is emulated: on a CPU without AVX-512's bfloat16 a step of ST-GCN takes many times as long.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())
