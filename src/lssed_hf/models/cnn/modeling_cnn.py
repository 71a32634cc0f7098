# Copyright 2026 The lssed-hf authors. Licensed under the Apache License, Version 2.0.
"""Standard convolutional networks in PyTorch: ResNet and VGG of timm, and the VGG-16 of Ren et al."""

import math
from functools import partial
from itertools import islice

import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from timm.models.vgg import VGG, ConvMlp
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_cnn import SerCnnConfig


# Where the Auto classes find the code in a saved folder, for `trust_remote_code=True` without this package. The code
# of the feature extractor gets there when it is saved.
AUTO_MAP = {
    "AutoConfig": "configuration_cnn.SerCnnConfig",
    "AutoFeatureExtractor": "feature_extraction_pyresnet.PyResNetFeatureExtractor",
    "AutoModel": "modeling_cnn.SerCnnModel",
    "AutoModelForAudioClassification": "modeling_cnn.SerCnnForAudioClassification",
}


class SerCnnFullyConnected(nn.Conv2d):
    """Convolution without padding, as a product of matrices: 20 times faster where the kernel covers the map."""

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        height, width = (size - kernel + 1 for size, kernel in zip(hidden_state.shape[2:], self.kernel_size))
        patches = F.unfold(hidden_state, self.kernel_size).transpose(1, 2)
        output = F.linear(patches, self.weight.flatten(1), self.bias)
        return output.transpose(1, 2).unflatten(2, (height, width))


class SerCnnStageRunner(GradientCheckpointingLayer):
    """Runner of the layers of a stage, which belong to timm's network."""

    def forward(self, hidden_state: torch.Tensor, layers: list[nn.Module]) -> torch.Tensor:
        for layer in layers:
            hidden_state = layer(hidden_state)
        return hidden_state


def _build_resnet(config: SerCnnConfig) -> ResNet:
    network = ResNet(
        BasicBlock if config.expansion == 1 else Bottleneck,
        layers=config.depths,
        channels=[size // config.expansion for size in config.hidden_sizes],
        in_chans=1,
        num_classes=0,
    )
    for block in network.modules():
        # On the layer itself: transformers calls _init_weights only for modules with parameters of their own.
        if isinstance(block, BasicBlock):
            block.bn2.zero_init = config.zero_init_residual
        elif isinstance(block, Bottleneck):
            block.bn3.zero_init = config.zero_init_residual
    return network


def _build_vgg(config: SerCnnConfig) -> VGG:
    layers = []
    for depth, channels in zip(config.depths, config.hidden_sizes):
        layers += [channels] * depth + ["M"]
    small = {"in_chans": 1, "num_classes": 0, "mlp_ratio": 1 / 4096}  # the fully connected layers are replaced
    if not config.has_mlp:
        without_bias = partial(nn.Conv2d, bias=False)
        network = VGG(layers, conv_layer=without_bias, norm_layer=nn.BatchNorm2d, global_pool="max", **small)
        network.pre_logits = nn.Identity()
        return network
    network = VGG(layers, **small)
    network.pre_logits = ConvMlp(
        config.hidden_sizes[-1],
        config.mlp_size,
        drop_rate=config.classifier_dropout,
        conv_layer=SerCnnFullyConnected,
    )
    return network


def _to_channels_last(model: nn.Module) -> None:
    """Lay the weights of convolutions out as their inputs are. Saved files and values stay as they are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return  # FSDP shards weights in the default order alone
    for module in model.modules():
        # The fully connected layers of VGG are slower so. Weights without values are drawn in the default order.
        if type(module) is nn.Conv2d and not module.weight.is_meta:
            module.to(memory_format=torch.channels_last)


class SerCnnPreTrainedModel(PreTrainedModel):
    """Base of the standard convolutional networks: initial weights, and saving with the code."""

    config: SerCnnConfig
    base_model_prefix = "ser_cnn"
    main_input_name = "input_features"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["BasicBlock", "Bottleneck"]
    _can_compile_fullgraph = True

    def post_init(self):
        super().post_init()
        _to_channels_last(self)

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        loaded = super().from_pretrained(*args, **kwargs)
        _to_channels_last(loaded[0] if isinstance(loaded, tuple) else loaded)  # a pair with output_loading_info
        return loaded

    def freeze_base_model(self) -> None:
        """Freeze all but the head. The body keeps its weights and batch statistics, and nothing is dropped out."""
        self.base_model.requires_grad_(False)
        self.train(self.training)

    def freeze_feature_encoder(self, num_stages: int = 0) -> None:
        """Freeze the stem, as transformers does the convolutions in front of a body, and the first stages.

        Args:
            num_stages: Number of stages to freeze with it. Fully connected layers of VGG belong to none.
        """
        for layer in (layer for stage in self.base_model.stages[: num_stages + 1] for layer in stage):
            layer.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True):
        super().train(mode)
        for module in self.modules():  # else the running statistics of frozen weights would move
            if isinstance(module, _BatchNorm) and not module.weight.requires_grad:
                module.eval()
        return self

    def save_pretrained(self, save_directory, **kwargs):
        # transformers would only name the class that is saved, and AutoModel could not open a classifier's folder.
        self.config.auto_map = dict(AUTO_MAP)
        return super().save_pretrained(save_directory, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module):
        # Each network has its own; transformers would draw everything from N(0, 0.02).
        super()._init_weights(module)
        if self.config.backbone == "adv_vgg16" and isinstance(module, (nn.Conv2d, nn.Linear)):
            init.kaiming_uniform_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif getattr(module, "zero_init", False):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Linear) and self.config.is_resnet:
            # torch's own default for a linear layer, which timm leaves alone.
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            bound = 1 / math.sqrt(module.in_features)
            init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=0.01)


class SerCnnModel(SerCnnPreTrainedModel):
    """Standard network without a head: log-mel frames in, a feature map and the vector that the classifier sees out.

    Nothing in these networks knows of padding. In `eval` mode, clips of unequal length are therefore run in groups of
    equal length, and a clip's output does not depend on its batch. In `train` mode the whole batch runs at once, with
    zeros, the mean of normalised features, in the padding. So do compiled, traced and exported networks. Clips shorter
    than the network's smallest input (32 frames for VGG) are filled up with zeros in any mode.

    With gradient checkpointing the stages run twice a step, so batch norm's running statistics move twice as well.

    ```python
    >>> import torch
    >>> from lssed_hf import SerCnnConfig, SerCnnModel

    >>> model = SerCnnModel(SerCnnConfig(backbone="resnet18"))
    >>> model(torch.zeros(1, 200, 128)).pooler_output.shape
    torch.Size([1, 512])
    ```
    """

    _auto_class = "AutoModel"  # saving copies this code beside the weights

    def __init__(self, config: SerCnnConfig):
        super().__init__(config)
        self.backbone = _build_resnet(config) if config.is_resnet else _build_vgg(config)
        self.run_stage = SerCnnStageRunner()
        self.post_init()

    @property
    def stages(self) -> list[list[nn.Module]]:
        """Layers of the stem (the first convolution up to its ReLU) and of each stage."""
        network = self.backbone
        if self.config.is_resnet:
            blocks = [[getattr(network, f"layer{index + 1}")] for index in range(len(self.config.depths))]
            blocks[0].insert(0, network.maxpool)
            return [[network.conv1, network.bn1, network.act1], *blocks]
        layers, layers_per_convolution = iter(network.features), 2 if self.config.has_mlp else 3
        stem = list(islice(layers, layers_per_convolution))
        convolutions = [self.config.depths[0] - 1, *self.config.depths[1:]]
        return [stem, *(list(islice(layers, depth * layers_per_convolution + 1)) for depth in convolutions)]

    def train(self, mode: bool = True):
        return super().train(mode and any(parameter.requires_grad for parameter in self.parameters()))

    def _run(self, features: torch.Tensor, every_map: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Turn clips of equal length (batch, frames, mel) into pooled vectors and maps: of each stage, or the last."""
        hidden_state = features.transpose(1, 2).unsqueeze(1).to(self.dtype)
        if hidden_state.shape[-1] < self.config.min_frames:
            hidden_state = F.pad(hidden_state, (0, self.config.min_frames - hidden_state.shape[-1]))
        stem, *stages = self.stages
        for layer in stem:
            hidden_state = layer(hidden_state)
        # Convolutions are fastest on channels-last; the map keeps that layout to the end.
        hidden_state = hidden_state.contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in stages:
            hidden_state = self.run_stage(hidden_state, stage)
            maps.append(hidden_state)
        return self.backbone.forward_head(hidden_state, pre_logits=True), maps if every_map else maps[-1:]

    def _run_by_length(
        self, features: torch.Tensor, mask: torch.Tensor, every_map: bool
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Do as `_run` for clips of unequal length, each as if alone, with zeros behind the end of its maps."""
        frames = self.config.map_frames(max(features.shape[1], self.config.min_frames))
        lengths = mask.sum(dim=1)
        order, pooled, maps = [], [], []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero().flatten()
            clips = features[rows][mask[rows]].view(len(rows), length, features.shape[2])
            pooled_clips, clip_maps = self._run(clips, every_map)
            order.append(rows)
            pooled.append(pooled_clips)
            totals = frames[-len(clip_maps) :]
            maps.append(
                [F.pad(clip_map, (0, total - clip_map.shape[-1])) for clip_map, total in zip(clip_maps, totals)]
            )
        order = torch.cat(order).argsort()
        return torch.cat(pooled)[order], [torch.cat(stage)[order] for stage in zip(*maps)]

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        r"""Compute feature maps and pooled vectors.

        Args:
            input_features (`torch.Tensor` of shape `(batch, frames, num_mel_bins)`):
                Normalised log-mel spectrogram, as `PyResNetFeatureExtractor` makes it.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*):
                1 for frames of the clip, 0 for padding. The class says what padding does.
            output_hidden_states (`bool`, *optional*):
                Whether to return the maps after each stage.
            **kwargs: Ignored.

        Returns:
            `last_hidden_state` (batch, hidden_sizes[-1], mel, frames) and `pooler_output` (batch, hidden_size), the
            vector that the classifier sees.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        bins = self.config.num_mel_bins
        if input_features.dim() != 3 or bins not in (None, input_features.shape[-1]):
            raise ValueError(
                f"input_features has shape {tuple(input_features.shape)}; (batch, frames, {bins or 'num_mel_bins'}) "
                "is expected (config.num_mel_bins)"
            )
        tracing = torch.compiler.is_compiling() or torch.jit.is_tracing()
        mask = None if attention_mask is None else attention_mask.bool()
        if mask is None or (not tracing and bool(mask.all())):
            pooled, maps = self._run(input_features, output_hidden_states)
        elif tracing or self.backbone.training:
            pooled, maps = self._run(input_features.masked_fill(~mask[..., None], 0.0), output_hidden_states)
        else:
            pooled, maps = self._run_by_length(input_features, mask, output_hidden_states)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=maps[-1],
            pooler_output=pooled,
            hidden_states=tuple(maps) if output_hidden_states else None,
        )


class SerCnnForAudioClassification(SerCnnPreTrainedModel):
    """Standard convolutional network with a linear classifier.

    ```python
    >>> import torch
    >>> from lssed_hf import SerCnnConfig, SerCnnForAudioClassification

    >>> model = SerCnnForAudioClassification(SerCnnConfig(backbone="resnet18", num_labels=4))
    >>> model(torch.zeros(1, 200, 128)).logits.shape
    torch.Size([1, 4])
    ```
    """

    _auto_class = "AutoModelForAudioClassification"  # saving copies this code beside the weights

    def __init__(self, config: SerCnnConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.ser_cnn = SerCnnModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> SequenceClassifierOutput:
        r"""Compute the logits of the classes, and the loss where labels are given.

        Args:
            input_features: See [`SerCnnModel.forward`].
            attention_mask: See there.
            labels (`torch.LongTensor` of shape `(batch,)`, *optional*):
                Class indices in `[0, num_labels)`.
            output_hidden_states: See there.
            **kwargs: Arguments of the loss function.
        """
        outputs = self.ser_cnn(
            input_features, attention_mask=attention_mask, output_hidden_states=output_hidden_states
        )
        logits = self.classifier(self.dropout(outputs.pooler_output))
        # kwargs hold `num_items_in_batch`: without it, gradients would grow with gradient accumulation.
        loss = None if labels is None else self.loss_function(labels, logits, self.config, **kwargs)
        if loss is not None and self.config.problem_type != "single_label_classification":
            # transformers uses it in the loss of that problem alone.
            loss = loss * labels.numel() / (kwargs.get("num_items_in_batch") or labels.numel())
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)


__all__ = ["SerCnnForAudioClassification", "SerCnnModel", "SerCnnPreTrainedModel"]
