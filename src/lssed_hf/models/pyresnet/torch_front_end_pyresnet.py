# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""PyResNet's front end in PyTorch: a batch at once, on the waveforms' device, with gradients to them."""

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional as F

from . import front_end_pyresnet
from .front_end_pyresnet import PyResNetFrontEnd


def extract(front_end: PyResNetFrontEnd, clips: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Turn clips into normalised features, as `PyResNetFrontEnd.extract` and `normalize` do.

    Args:
        front_end: Settings.
        clips: Waveforms, float32 of shape (samples,) each, on one device.

    Returns:
        Features of each clip, float32 of shape (frames, num_mel_bins).
    """
    lengths = torch.tensor([len(clip) for clip in clips], device=clips[0].device)
    waveforms = torch.nn.utils.rnn.pad_sequence(list(clips), batch_first=True)
    if front_end.do_denoise and front_end.resynthesize:
        waveforms = _denoise(front_end, waveforms, lengths)
    padded = F.pad(waveforms, (front_end.n_fft // 2, front_end.n_fft // 2))
    spectrum = torch.fft.rfft(
        padded.unfold(-1, front_end.n_fft, front_end.hop_length) * _like(front_end.window, padded)
    )
    power = spectrum.real.square() + spectrum.imag.square()
    counts = 1 + (lengths + front_end.n_fft // 2 * 2 - front_end.n_fft) // front_end.hop_length
    if front_end.do_denoise and not front_end.resynthesize:
        inside = torch.arange(power.shape[1], device=counts.device) < counts[:, None]
        power = power * _gains(front_end, spectrum.abs() * inside[..., None]).square()
    features = power @ _like(front_end.mel_filters, power) * front_end.gain**2
    return [_level(front_end, clip[:count]) for clip, count in zip(features, counts.tolist(), strict=True)]


def mono(clip, index: int) -> torch.Tensor:
    """Check one clip as the numpy front end does, and return it as float32 (samples,) on its device."""
    if not isinstance(clip, torch.Tensor):
        return torch.from_numpy(front_end_pyresnet.mono(clip, index))
    values = clip.detach().cpu()
    checked = front_end_pyresnet.mono(values.float() if clip.is_floating_point() else values, index)
    return clip.float() if clip.is_floating_point() else torch.from_numpy(checked).to(clip.device)


def is_batch(features) -> bool:
    """Return whether features are a list of tensors."""
    return isinstance(features, (list, tuple)) and len(features) > 0 and isinstance(features[0], torch.Tensor)


def pad(
    front_end: PyResNetFrontEnd,
    batch: Mapping[str, Sequence[torch.Tensor]],
    padding: bool | str = True,
    max_length: int | None = None,
    truncation: bool = False,
    pad_to_multiple_of: int | None = None,
    return_attention_mask: bool | None = None,
    return_tensors: str | None = None,
) -> dict:
    """Pad the features of clips to tensors on their device; see `SequenceFeatureExtractor.pad`."""
    padding = {True: "longest", False: "do_not_pad"}.get(padding, getattr(padding, "value", padding))
    if padding not in ("longest", "max_length", "do_not_pad"):
        raise ValueError(f"padding={padding!r} is not one of longest, max_length, do_not_pad")
    if max_length is None and (padding == "max_length" or truncation):
        raise ValueError("padding='max_length' and truncation need max_length, a number of frames")
    multiple = pad_to_multiple_of or 1
    if max_length is not None:
        max_length += -max_length % multiple
    features = [clip[:max_length] if truncation else clip for clip in batch["input_features"]]
    counts = [len(clip) for clip in features]
    frames = max([*counts, max_length] if padding == "max_length" else counts)
    frames += -frames % multiple
    if padding == "do_not_pad":
        padded, masks = features, [torch.ones(count, dtype=torch.int32) for count in counts]
    else:
        value = front_end.padding_value
        padded = torch.stack([F.pad(clip, (0, 0, 0, frames - len(clip)), value=value) for clip in features])
        masks = (torch.arange(frames) < torch.tensor(counts)[:, None]).int().to(padded.device)
    if return_tensors == "np":
        padded, masks = (
            [one.detach().cpu().numpy() for one in part] if isinstance(part, list) else part.detach().cpu().numpy()
            for part in (padded, masks)
        )
    wanted = front_end.return_attention_mask if return_attention_mask is None else return_attention_mask
    return {"input_features": padded, **({"attention_mask": masks} if wanted else {})}


def _denoise(front_end: PyResNetFrontEnd, waveforms: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Do as `PyResNetFrontEnd.denoise` for waveforms (batch, samples), which are 0 behind their lengths."""
    length, hop = front_end.denoise_win_length, front_end.denoise_win_length // 2
    samples = waveforms.shape[1]
    frames = F.pad(waveforms, (hop, hop + -samples % hop)).unfold(-1, length, hop)
    spectrum = torch.fft.rfft(frames * _like(front_end.denoise_window, waveforms))
    clean = torch.fft.irfft(spectrum * _gains(front_end, spectrum.abs()), n=length)
    restored = F.pad(clean[..., :hop], (0, 0, 0, 1)) + F.pad(clean[..., hop:], (0, 0, 1, 0))
    restored = restored.flatten(1)[:, hop : hop + samples]
    return restored.where(torch.arange(samples, device=lengths.device) < lengths[:, None], 0)


def _gains(front_end: PyResNetFrontEnd, magnitude: torch.Tensor) -> torch.Tensor:
    """Return the factors of spectral subtraction on magnitudes (batch, frames, bins). Frames of zeros are no noise."""
    energy = magnitude.square().sum(-1)
    audible = energy > 0
    counts = (front_end.noise_fraction * audible.sum(1, dtype=torch.float64)).round().clamp(min=1)
    rank = energy.masked_fill(~audible, torch.inf).argsort(1).argsort(1)
    quietest = audible & (rank < counts[:, None])
    noise = (magnitude * quietest[..., None]).sum(1) / quietest.sum(1, keepdim=True).clamp(min=1)
    # The smallest divisor keeps the gradient finite where it is 0.
    reduced = 1 - front_end.over_subtraction * noise[:, None] / magnitude.clamp(min=1e-12)
    return reduced.clamp(min=front_end.spectral_floor)


def _level(front_end: PyResNetFrontEnd, features: torch.Tensor) -> torch.Tensor:
    """Turn mel power (frames, num_mel_bins) of one clip into normalised features."""
    if front_end.log_mel:
        features = 10 * features.clamp(min=1e-10).log10()
        if front_end.top_db is not None:
            features = features.maximum(features.max() - front_end.top_db)
        if front_end.speech_range is not None:
            levels = features.mean(1)
            speech = levels >= levels.double().quantile(0.95) - front_end.speech_range
            first, last = speech.nonzero().flatten()[[0, -1]].tolist()
            features = features[max(0, first - 1) : last + 2] - levels[speech].mean()
    if front_end.normalization == "utterance":
        return (features - features.mean()) / features.std(correction=0).clamp(min=1e-5)
    if front_end.normalization == "none" or front_end.mean is None:
        return front_end.normalize(features)  # as they are, with its warning
    mean, std = (torch.tensor(values, device=features.device) for values in (front_end.mean, front_end.std))
    return (features - mean) / std


def _like(array, tensor: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(array, device=tensor.device)


__all__ = ["extract", "is_batch", "mono", "pad"]
