"""Training of a part of a network: its head alone, or its last stages as well."""

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from ..models.encoders import encoder_of


def freeze(model: nn.Module, num_trainable_stages: int) -> list[str]:
    """Freeze a model but for its head and the last stages of its encoder.

    Frozen modules stay in `eval` mode also while the model trains: batch norm keeps its statistics, and nothing is
    dropped out.

    Args:
        model: Classifier of transformers' kind, with a `base_model` and a head beside it.
        num_trainable_stages: Number of stages to train, counted from the end, 0 for the head alone. Stages of a
            PyResNet are the blocks of one resolution, those of a transformer its layers. Modules behind the last stage
            are trained with it.

    Returns:
        Names of the parameters that are trained.

    Raises:
        ValueError: The model has no `base_model`, or fewer stages.
    """
    encoder = encoder_of(model)
    if encoder is None:
        raise ValueError(f"{type(model).__name__} has no base model to freeze; train all of it")
    encoder.requires_grad_(False)
    if num_trainable_stages:
        path, stages = _stages(encoder)
        if num_trainable_stages > len(stages):
            raise ValueError(f"{num_trainable_stages} stages to train, but {type(encoder).__name__} has {len(stages)}")
        first = f"{path}.{len(stages) - num_trainable_stages}."
        reached = False
        # Parameters are listed in the order in which modules were made: those behind the last stage come after it.
        for name, parameter in encoder.named_parameters():
            reached = reached or name.startswith(first)
            parameter.requires_grad_(reached)
    _keep_in_eval(encoder)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def trained_part(model: PreTrainedModel) -> dict[str, Any]:
    """Return which part of a model is trained: `part` in words ("all", "head", ...) and its `num_parameters`."""
    trained, encoder = model.num_parameters(only_trainable=True), encoder_of(model)
    if trained == model.num_parameters():
        part = "all"
    elif encoder is not None and not any(parameter.requires_grad for parameter in encoder.parameters()):
        part = "head"
    else:
        part = "head and part of the encoder"
    return {"part": part, "num_parameters": trained}


def _stages(encoder: nn.Module) -> tuple[str, nn.ModuleList | nn.Sequential]:
    """Return the outermost list of modules that holds most of the parameters, and its name."""
    found, size = None, 0
    for name, module in encoder.named_modules():
        if isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 1:
            parameters = sum(parameter.numel() for parameter in module.parameters())
            if parameters > size:  # not >=: of lists in each other the outer one comes first
                found, size = (name, module), parameters
    if found is None:
        raise ValueError(f"{type(encoder).__name__} has no list of stages; train all of it, or the head alone")
    return found


def _keep_in_eval(module: nn.Module) -> None:
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        # The Trainer calls model.train() before every step.
        module.register_forward_pre_hook(lambda frozen, _: frozen.eval() and None)
        return
    for child in module.children():
        _keep_in_eval(child)
