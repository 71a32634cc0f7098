# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""SpecAugment with the options and draws of ESPnet2's `SpecAug`. Source: Park et al., arXiv 1904.08779."""

import torch
import torch.nn.functional as F

from .configuration_espnet_asr import SPECAUG_DEFAULTS


def spec_augment(features: torch.Tensor, lengths: list[int], options: dict) -> torch.Tensor:
    """Warp time and mask bands of features (batch, frames, bins).

    Args:
        features: Normalised features.
        lengths: Frames of each clip.
        options: Entries that differ from `SPECAUG_DEFAULTS`. Widths are drawn from `[low, high)`; a single number
            stands for `[0, number)`. Ratios are shares of the batch's frames.
    """
    options = {**SPECAUG_DEFAULTS, **options}
    if options["apply_time_warp"]:
        features = torch.stack(
            [
                _warp(clip, length, options["time_warp_window"], options["time_warp_mode"])
                for clip, length in zip(features, lengths)
            ]
        )
    if options["apply_freq_mask"]:
        features = _mask(features, 2, _range(options["freq_mask_width_range"]), options["num_freq_mask"], options)
    if options["apply_time_mask"]:
        if options["time_mask_width_range"] is not None:
            widths = _range(options["time_mask_width_range"])
        else:
            frames = features.shape[1]
            widths = [min(frames, int(ratio * frames)) for ratio in _range(options["time_mask_width_ratio_range"])]
        features = _mask(features, 1, widths, options["num_time_mask"], options)
    return features


def _range(width) -> tuple:
    return tuple(width) if isinstance(width, (list, tuple)) else (0, width)


def _warp(clip: torch.Tensor, length: int, window: int, mode: str) -> torch.Tensor:
    """Move a random frame by up to `window` frames, and stretch both sides of it."""
    if length <= 2 * window:
        return clip
    center = int(torch.randint(window, length - window, ()))
    moved = int(torch.randint(center - window, center + window, ())) + 1
    picture = clip[None, None, :length]
    left, right = (
        F.interpolate(part, (frames, clip.shape[1]), mode=mode, align_corners=False)[0, 0]
        for part, frames in ((picture[:, :, :center], moved), (picture[:, :, center:], length - moved))
    )
    return torch.cat([left, right, clip[length:]])


def _mask(features: torch.Tensor, axis: int, widths, number: int, options: dict) -> torch.Tensor:
    low, high = widths
    if high <= low:
        return features
    batch, size = features.shape[0], features.shape[axis]
    width = torch.randint(low, high, (batch, number, 1), device=features.device)
    start = torch.randint(0, max(1, size - int(width.max())), (batch, number, 1), device=features.device)
    position = torch.arange(size, device=features.device)
    mask = ((start <= position) & (position < start + width)).any(dim=1)
    mask = mask[:, :, None] if axis == 1 else mask[:, None, :]
    return features.masked_fill(mask, 0.0 if options["replace_with_zero"] else features.mean().item())
