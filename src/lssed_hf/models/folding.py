"""Networks rewritten for inference: batch norms folded into convolutions, and small groups of channels merged."""

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from transformers import PreTrainedModel


# Exactly these: a subclass may use its weights in another way, as the scaled kernels of MTS do.
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norm(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor] | None = None) -> PreTrainedModel:
    """Return a copy of an audio classifier, in `eval` mode, with batch norms folded into the convolutions before them.

    A batch norm is folded where its input is the output of a convolution, or of several that are concatenated on the
    channels, and nothing else sees that output. Two forward passes on a small batch, padded and not, find out. Other
    batch norms stay, such as those with an activation inside (timm's `BatchNormAct2d`). Convolutions are laid out
    channels-last. The copy computes the same, gradients with respect to its inputs included, but cannot be trained or
    saved.

    Args:
        model: Classifier, in any mode.
        inputs: Inputs of the passes. Default: 160 frames of `config.num_mel_bins` or 128 bins.

    Returns:
        The copy, or the model itself where nothing can be folded.
    """
    if not any(type(module) in _NORMS for module in model.modules()):
        return model
    folded = copy.deepcopy(model).eval()
    pairs = _find_pairs(folded, _default_inputs(folded) if inputs is None else inputs)
    if not pairs:
        return model
    for norm, convolutions in pairs.items():
        _fold(norm, convolutions)
    for module in folded.modules():
        for name, child in module.named_children():
            if child in pairs:
                setattr(module, name, nn.Identity())
        if type(module) is nn.Conv2d:  # subclasses may want another layout of their weights
            module.to(memory_format=torch.channels_last)
    folded.save_pretrained = _refuse_to_save
    return folded


def _refuse_to_save(*args, **kwargs):
    raise ValueError("a model with folded batch norms cannot be saved: from_pretrained would not know its weights")


def _default_inputs(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    features = torch.zeros(2, 160, getattr(model.config, "num_mel_bins", None) or 128)
    mask = torch.ones(2, 160, dtype=torch.int64)
    mask[1, 100:] = 0
    inputs = {"input_features": features, "attention_mask": mask}
    return {name: value.to(model.device) for name, value in inputs.items()}


class _Uses(TorchFunctionMode):
    """Record of which outputs of convolutions are concatenated, and which functions take each output.

    Attributes:
        sources: Convolutions that made a tensor, in the order of its channels, by the tensor's id.
        takers: Functions and batch norms that took the output of a convolution, alone or concatenated.
        kept: Tensors of `sources`, which live on so that no other tensor gets their id.
        norm: Batch norm that runs now.
    """

    def __init__(self):
        super().__init__()
        self.sources: dict[int, tuple[nn.Module, ...]] = {}
        self.takers: dict[nn.Module, set] = defaultdict(set)
        self.kept: list[torch.Tensor] = []
        self.norm: nn.Module | None = None

    def note(self, tensor: torch.Tensor, sources: tuple[nn.Module, ...]) -> None:
        self.sources[id(tensor)] = sources
        self.kept.append(tensor)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(result)):
            return result  # a shape, or the like
        taken = [leaf for leaf in tree_leaves((args, kwargs)) if id(leaf) in self.sources]
        parts = self._concatenated(function, args, kwargs or {})
        if parts is not None:
            self.note(result, tuple(source for part in parts for source in self.sources[id(part)]))
            return result
        taker = function if self.norm is None else self.norm
        for tensor in taken:
            for source in self.sources[id(tensor)]:
                self.takers[source].add(taker)
        return result

    def _concatenated(self, function, args: Sequence, kwargs: Mapping) -> Sequence[torch.Tensor] | None:
        """Return the tensors that `torch.cat` joins on the channels, if all came out of convolutions, else None."""
        if function not in (torch.cat, torch.concat, torch.concatenate) or not args:
            return None
        dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
        parts = args[0]
        made_here = all(id(part) in self.sources for part in parts)
        return parts if made_here and dim in (1, 1 - parts[0].dim()) else None


def _find_pairs(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> dict[nn.Module, tuple[nn.Module, ...]]:
    """Return, by batch norm, the convolutions whose joined outputs are its input and go nowhere else."""
    uses = _Uses()
    seen: dict[nn.Module, set] = defaultdict(set)  # batch norm -> sources of its inputs, of both passes

    def after_convolution(module, args, output):
        uses.note(output, (module,))

    def before_norm(module, args):
        seen[module].add(uses.sources.get(id(args[0])))
        uses.norm = module

    def after_norm(module, args, output):
        uses.norm = None

    handles = []
    for module in model.modules():
        if type(module) in _CONVOLUTIONS:
            handles.append(module.register_forward_hook(after_convolution))
        elif type(module) in _NORMS and module.track_running_stats:
            handles += [module.register_forward_pre_hook(before_norm), module.register_forward_hook(after_norm)]
    try:
        with torch.no_grad(), uses:
            model(**inputs)
            model(**{name: value for name, value in inputs.items() if name != "attention_mask"})
    finally:
        for handle in handles:
            handle.remove()
    pairs = {norm: next(iter(sources)) for norm, sources in seen.items() if len(sources) == 1}
    return {
        norm: convolutions
        for norm, convolutions in pairs.items()
        if convolutions is not None
        and len(set(convolutions)) == len(convolutions)
        and all(uses.takers[convolution] == {norm} for convolution in convolutions)
    }


@torch.no_grad()
def _fold(norm: nn.Module, convolutions: Sequence[nn.Module]) -> None:
    """Scale the convolutions' weights and shift their biases as the batch norm does their channels."""
    scale = (norm.running_var.double() + norm.eps).rsqrt()  # double, since every layer would add its rounding
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    sizes = [convolution.out_channels for convolution in convolutions]
    for convolution, factor, offset in zip(convolutions, scale.split(sizes), shift.split(sizes)):
        weight = convolution.weight
        if convolution.bias is not None:
            offset = offset + convolution.bias.double() * factor
        factor = factor.view(-1, *[1] * (weight.dim() - 1))
        convolution.weight = nn.Parameter((weight.double() * factor).to(weight.dtype), weight.requires_grad)
        convolution.bias = nn.Parameter(offset.to(weight.dtype), weight.requires_grad)


@torch.no_grad()
def merge_small_groups(model: PreTrainedModel, least: int = 8) -> PreTrainedModel:
    """Return a copy whose 2-D convolutions have at least `least` output channels a group, depthwise ones excepted.

    Neighbouring groups become one, with zeros as the weights between them, so the output stays. ONNX Runtime computes
    blocks of 8 channels: a 9x9 convolution of 64 to 16 channels is faster in 2 groups than in 16, in spite of eight
    times the arithmetic.
    """
    merged = copy.deepcopy(model)
    for module in merged.modules():
        if type(module) is not nn.Conv2d or module.groups in (1, module.in_channels):
            continue
        together = min(
            factor
            for factor in range(1, module.groups + 1)
            if module.groups % factor == 0
            and (factor * module.out_channels >= least * module.groups or factor == module.groups)
        )
        weight = module.weight
        apart = weight.view(-1, together, module.out_channels // module.groups, *weight.shape[1:])
        # (merged group, old group, output, input, ...) -> (..., output, old group of the input, input, ...)
        dense = torch.einsum("gpoikl,pq->gpoqikl", apart, torch.eye(together).to(weight))
        module.groups //= together
        module.weight = nn.Parameter(dense.reshape(len(weight), -1, *weight.shape[2:]), weight.requires_grad)
    return merged


__all__ = ["fold_batch_norm", "merge_small_groups"]
