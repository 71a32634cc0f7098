import copy
import math

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from timm.models.vgg import VGG
from tiny_cnn import BACKBONES, MEL_BINS, make_tiny_cnn, make_tiny_cnn_config
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, SequenceClassifierOutput

from lssed_hf import SerCnnConfig, SerCnnForAudioClassification, SerCnnModel, create_model


PARAMETERS = {
    "resnet18": 11_172_292,
    "resnet34": 21_280_452,
    "resnet50": 23_509_956,
    "resnet101": 42_502_084,
    "resnet152": 58_145_732,
    "vgg11": 128_781_572,
    "vgg13": 128_966_084,
    "vgg16": 134_275_780,
    "vgg19": 139_585_476,
}


@pytest.fixture(params=BACKBONES)
def tiny(request) -> SerCnnForAudioClassification:
    return make_tiny_cnn(request.param)


def reference(config: SerCnnConfig) -> nn.Module:
    """timm's own network of the same size, with its classifier. Its VGG has no other `mlp_size` than 4096."""
    if config.backbone == "vgg11":
        layers = []
        for depth, channels in zip(config.depths, config.hidden_sizes):
            layers += [channels] * depth + ["M"]
        return VGG(layers, in_chans=1, num_classes=config.num_labels)
    block, expansion = {"resnet18": (BasicBlock, 1), "resnet50": (Bottleneck, 4)}[config.backbone]
    channels = [size // expansion for size in config.hidden_sizes]
    return ResNet(block, config.depths, in_chans=1, num_classes=config.num_labels, channels=channels)


def recompute_adv_vgg16(state: dict, depths: list[int], features: torch.Tensor) -> torch.Tensor:
    """Logits in eval mode, from the weights alone."""
    x, layer = features.transpose(1, 2)[:, None], 0
    for depth in depths:
        for _ in range(depth):
            weight, batch_norm = (f"ser_cnn.backbone.features.{layer + offset}" for offset in (0, 1))
            x = F.conv2d(x, state[f"{weight}.weight"], padding=1)
            statistics = [state[f"{batch_norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
            x, layer = F.batch_norm(x, *statistics).relu(), layer + 3
        x, layer = F.max_pool2d(x, 2), layer + 1
    return F.linear(x.amax(dim=(2, 3)), state["classifier.weight"], state["classifier.bias"])


class TestNetworks:
    @pytest.mark.parametrize("name", PARAMETERS)
    def test_are_those_of_timm(self, name):
        with torch.device("meta"):
            model, network = create_model(name, num_labels=4), timm.create_model(name, in_chans=1, num_classes=0)
        shapes, expected = (
            {name: tensor.shape for name, tensor in module.state_dict().items()}
            for module in (model.ser_cnn.backbone, network)
        )
        assert shapes == expected
        assert model.num_parameters() == PARAMETERS[name]

    def test_the_vgg_of_ren_et_al(self):
        with torch.device("meta"):
            model = create_model("adv-vgg16", num_labels=7)
        assert model.num_parameters() == 14_721_351
        assert all(module.bias is None for module in model.modules() if isinstance(module, nn.Conv2d))

    def test_dropout_of_the_standard_vgg(self):
        with torch.device("meta"):
            models = [create_model(name, num_labels=4) for name in ("vgg11", "resnet18", "adv-vgg16")]
        rates = [[module.p for module in model.modules() if isinstance(module, nn.Dropout)] for model in models]
        assert [[rate for rate in group if rate] for group in rates] == [[0.5, 0.5], [], []]

    @pytest.mark.parametrize("frames", [20, 157, 300])
    @pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "vgg11"])
    def test_compute_what_timm_computes(self, backbone, frames):
        frames = max(frames, 32) if backbone == "vgg11" else frames
        model = make_tiny_cnn(backbone, mlp_size=4096)
        network = reference(model.config).eval()
        state = model.ser_cnn.backbone.state_dict()
        head = "head.fc" if backbone == "vgg11" else "fc"
        state |= {f"{head}.{name}": tensor for name, tensor in model.classifier.state_dict().items()}
        network.load_state_dict(state)
        features = torch.randn(2, frames, 256)
        with torch.no_grad():
            logits, expected = model(features).logits, network(features.transpose(1, 2)[:, None])
        assert expected.std() > 1e-2
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)

    def test_adv_vgg16_computes_what_its_definition_does(self):
        model, features = make_tiny_cnn("adv_vgg16"), torch.randn(2, 70, MEL_BINS)
        with torch.no_grad():
            logits = model(features).logits
            expected = recompute_adv_vgg16(model.state_dict(), model.config.depths, features)
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


class TestInitialisation:
    @pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "vgg11"])
    def test_deviations_are_those_of_timm(self, backbone):
        sizes = [64, 64, 64, 64, 64] if backbone == "vgg11" else [64, 128, 256, 256]
        config = make_tiny_cnn_config(
            backbone, hidden_sizes=sizes, mlp_size=4096, num_labels=50, zero_init_residual=True
        )
        torch.manual_seed(0)
        network, model = reference(config), SerCnnForAudioClassification(config)
        for (name, expected), parameter in zip(network.named_parameters(), model.parameters(), strict=True):
            if expected.std() == 0 or len(expected.flatten()) < 2:
                assert torch.equal(parameter, expected), name
            elif expected.numel() > 500:
                assert parameter.std().item() == pytest.approx(expected.std().item(), rel=0.1), name
                assert abs(parameter.mean()) < 0.2 * expected.std(), name
            else:  # of a linear layer
                assert 0.5 < parameter.std() / expected.std() < 2, name

    @pytest.mark.parametrize("zero_init", [True, False])
    @pytest.mark.parametrize("backbone, last", [("resnet18", "bn2"), ("resnet50", "bn3")])
    def test_blocks_may_start_as_their_shortcuts(self, backbone, last, zero_init):
        model = SerCnnModel(make_tiny_cnn_config(backbone, zero_init_residual=zero_init))
        scales = {
            float(parameter.detach().abs().max())
            for name, parameter in model.named_parameters()
            if name.endswith(f"{last}.weight")
        }
        assert scales == {0.0 if zero_init else 1.0}

    def test_adv_vgg16_is_drawn_from_a_uniform_distribution(self):
        model = SerCnnForAudioClassification(make_tiny_cnn_config("adv_vgg16", hidden_sizes=[32] * 5))
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                bound = math.sqrt(6 / module.weight[0].numel())
                assert 0.9 * bound < module.weight.abs().max() <= bound
        assert not model.classifier.bias.any()


class TestForward:
    def test_output_fields(self, tiny):
        features, labels = torch.randn(3, 40, MEL_BINS), torch.tensor([0, 3, 1])
        output = tiny(features, labels=labels)
        assert isinstance(output, SequenceClassifierOutput)
        assert list(output) == ["loss", "logits"]
        assert output.logits.shape == (3, 4)
        torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, labels))
        loss, logits = tiny(features, labels=labels, return_dict=False)
        assert torch.equal(loss, output.loss) and torch.equal(logits, output.logits)

    def test_the_embedding_can_be_had_through_the_base_model(self, tiny):
        features = torch.randn(2, 40, MEL_BINS)
        assert tiny.base_model is tiny.ser_cnn
        output = tiny.base_model(features)
        assert isinstance(output, BaseModelOutputWithPoolingAndNoAttention)
        assert output.pooler_output.shape == (2, tiny.config.hidden_size)
        assert torch.equal(tiny.classifier(output.pooler_output), tiny(features).logits)

    @pytest.mark.parametrize("frames", [5, 32, 41, 63])
    def test_hidden_states_are_the_maps_after_each_stage(self, tiny, frames):
        output = tiny.ser_cnn(torch.randn(2, frames, MEL_BINS), output_hidden_states=True)
        config = tiny.config
        rows = [16, 8, 4, 2] if config.is_resnet else [32, 16, 8, 4, 2]
        columns = config.map_frames(max(frames, config.min_frames))
        shapes = [tuple(state.shape[1:]) for state in output.hidden_states]
        assert shapes == list(zip(config.hidden_sizes, rows, columns))
        assert torch.equal(output.hidden_states[-1], output.last_hidden_state)

    def test_clips_shorter_than_the_network_are_filled_up_with_zeros(self):
        model, features = make_tiny_cnn("vgg11"), torch.randn(2, 9, MEL_BINS)
        with torch.no_grad():
            assert torch.equal(model(features).logits, model(F.pad(features, (0, 0, 0, 23))).logits)

    @pytest.mark.parametrize("shape", [(40, MEL_BINS), (2, 1, 40, MEL_BINS)])
    def test_features_of_another_rank_are_refused(self, tiny, shape):
        with pytest.raises(ValueError, match="frames, num_mel_bins"):
            tiny(torch.randn(shape))


class TestPadding:
    """Clips of 0.3 to 7 s, two of them equally long."""

    FRAMES = [87, 10, 219, 87, 100, 33]

    def batch(self, filling: float) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        clips = [torch.randn(frames, MEL_BINS) for frames in self.FRAMES]
        batch = torch.full((len(clips), max(self.FRAMES) + 6, MEL_BINS), filling)
        mask = torch.zeros(batch.shape[:2], dtype=torch.int32)
        for row, clip in enumerate(clips):
            batch[row, : len(clip)], mask[row, : len(clip)] = clip, 1
        return clips, batch, mask

    @pytest.mark.parametrize("filling", [0.0, 50.0, math.nan])
    def test_changes_nothing_in_eval_mode(self, tiny, filling):
        clips, batch, mask = self.batch(filling)
        with torch.no_grad():
            alone = [tiny(clip[None], output_hidden_states=True) for clip in clips]
            padded = tiny(batch, attention_mask=mask, output_hidden_states=True)
        logits = torch.cat([output.logits for output in alone])
        assert logits.std(dim=0).min() > 1e-2  # else agreement would mean nothing
        torch.testing.assert_close(padded.logits, logits, atol=1e-5, rtol=0)
        for stage, state in enumerate(padded.hidden_states):
            for row, output in enumerate(alone):
                expected = output.hidden_states[stage]
                expected = F.pad(expected, (0, state.shape[-1] - expected.shape[-1]))
                torch.testing.assert_close(state[row : row + 1], expected, atol=1e-5, rtol=0)

    def test_shapes_depend_on_the_padded_length_alone(self, tiny):
        features, mask = torch.randn(2, 100, MEL_BINS), torch.ones(2, 100)
        mask[0, 40:], mask[1, 50:] = 0, 0
        output, whole = tiny.ser_cnn(features, attention_mask=mask), tiny.ser_cnn(features)
        assert output.last_hidden_state.shape == whole.last_hidden_state.shape

    @pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.int64, torch.float32])
    def test_a_mask_of_any_type_will_do(self, tiny, dtype):
        features, mask = torch.randn(2, 90, MEL_BINS), torch.ones(2, 90)
        mask[1, 45:] = 0
        with torch.no_grad():
            expected = tiny(features[1:, :45]).logits
            logits = tiny(features, attention_mask=mask.to(dtype)).logits
        torch.testing.assert_close(logits[1:], expected, atol=1e-5, rtol=0)

    def test_changes_logits_without_a_mask(self, tiny):
        clip = torch.randn(1, 64, MEL_BINS)
        with torch.no_grad():
            difference = tiny(F.pad(clip, (0, 0, 0, 64))).logits - tiny(clip).logits
        assert difference.abs().max() > 1e-3

    def test_counts_as_zeros_in_train_mode(self, tiny):
        _, batch, mask = self.batch(math.nan)
        tiny.train()
        logits = tiny(batch, attention_mask=mask).logits
        torch.testing.assert_close(logits, tiny(batch.nan_to_num(0.0)).logits)

    def test_gradients_reach_the_input_of_each_clip(self, tiny):
        """Adversarial examples are made this way."""
        clips, batch, mask = self.batch(0.0)
        batch.requires_grad_()
        tiny(batch, attention_mask=mask).logits[:, 0].sum().backward()
        assert not batch.grad[mask == 0].any()
        for row, clip in enumerate(clips):
            clip.requires_grad_()
            tiny(clip[None]).logits[0, 0].backward()
            assert clip.grad.any()
            torch.testing.assert_close(batch.grad[row, : len(clip)], clip.grad, atol=1e-5, rtol=1e-3)


@pytest.mark.slow
class TestCompilers:
    def inputs(self):
        mask = torch.ones(3, 70, dtype=torch.int64)
        mask[0, 50:] = 0
        return torch.randn(3, 70, MEL_BINS), mask

    def one_batch(self, tiny, features, mask):
        return tiny(features * mask[..., None]).logits

    def test_compile_without_a_graph_break(self, tiny):
        features, mask = self.inputs()
        compiled = torch.compile(tiny, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            torch.testing.assert_close(
                compiled(features, attention_mask=mask).logits, self.one_batch(tiny, features, mask)
            )
            torch.testing.assert_close(compiled(features).logits, tiny(features).logits)

    @pytest.mark.parametrize("backbone", ["resnet18", "adv_vgg16"])
    def test_export_for_any_batch_and_length(self, backbone):
        tiny = make_tiny_cnn(backbone)
        features, mask = self.inputs()
        batch, frames = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("frames", min=65, max=1000)
        with torch.no_grad():
            program = torch.export.export(
                tiny,
                (features, mask),
                kwargs={"return_dict": False},
                dynamic_shapes={
                    "input_features": {0: batch, 1: frames},
                    "attention_mask": {0: batch, 1: frames},
                    "kwargs": {"return_dict": None},
                },
            ).module()
            for rows, length in ((1, 66), (2, 130)):
                features, mask = torch.randn(rows, length, MEL_BINS), torch.ones(rows, length, dtype=torch.int64)
                mask[-1, length - 10 :] = 0
                (logits,) = program(features, mask, return_dict=False)
                torch.testing.assert_close(logits, self.one_batch(tiny, features, mask))

    def test_vgg_exports_for_one_length(self):
        """The number of positions that its fully connected layers see changes with the length."""
        tiny, (features, mask) = make_tiny_cnn("vgg11"), self.inputs()
        with torch.no_grad():
            program = torch.export.export(tiny, (features, mask), kwargs={"return_dict": False}).module()
            torch.testing.assert_close(
                program(features, mask, return_dict=False)[0], self.one_batch(tiny, features, mask)
            )

    def test_trace(self, tiny):
        class Logits(nn.Module):
            def __init__(self):
                super().__init__()
                self.model = tiny

            def forward(self, features, mask):
                return self.model(features, attention_mask=mask).logits

        features, mask = self.inputs()
        with torch.no_grad():
            # A mask of ones, so that nothing depends on its values at tracing.
            traced = torch.jit.trace(Logits(), (features, torch.ones_like(mask)))
            torch.testing.assert_close(traced(features, mask), self.one_batch(tiny, features, mask))

    def test_run_in_bfloat16(self, tiny):
        features, mask = self.inputs()
        with torch.no_grad():
            expected = tiny(features, attention_mask=mask).logits
            with torch.autocast("cpu", dtype=torch.bfloat16):
                mixed = tiny(features, attention_mask=mask).logits
            half = copy.deepcopy(tiny).to(torch.bfloat16)(features, attention_mask=mask).logits
        assert mixed.dtype == half.dtype == torch.bfloat16
        for logits in (mixed, half):
            torch.testing.assert_close(logits.float(), expected, atol=0.2, rtol=0.1)


class TestCheckpoints:
    def test_reload_exactly(self, tiny, tmp_path):
        tiny.save_pretrained(tmp_path)
        model, report = SerCnnForAudioClassification.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(report.values())
        features, mask = torch.randn(2, 70, MEL_BINS), torch.ones(2, 70)
        mask[0, 50:] = 0
        with torch.no_grad():
            assert torch.equal(model(features, attention_mask=mask).logits, tiny(features, attention_mask=mask).logits)

    @pytest.mark.parametrize(
        "layer, tensor",
        [
            (nn.Conv2d, "weight"),
            (nn.Conv2d, "bias"),
            (nn.BatchNorm2d, "weight"),
            (nn.BatchNorm2d, "running_var"),
            (nn.Linear, "weight"),
            (nn.Linear, "bias"),
        ],
    )
    def test_a_missing_tensor_is_drawn_anew_and_leaves_the_others_alone(self, tiny, tmp_path, layer, tensor):
        names = [f"{name}.{tensor}" for name, module in tiny.named_modules() if isinstance(module, layer)]
        names = [name for name in names if name in tiny.state_dict()]
        if not names:
            pytest.skip("not in this network")
        missing = names[-1]
        tiny.save_pretrained(tmp_path)
        state = load_file(tmp_path / "model.safetensors")
        del state[missing]
        save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
        model, report = SerCnnForAudioClassification.from_pretrained(tmp_path, output_loading_info=True)
        assert set(report["missing_keys"]) == {missing}
        for name, kept in model.state_dict().items():
            assert name == missing or torch.equal(kept, tiny.state_dict()[name]), name
        drawn, fresh = (network.state_dict()[missing] for network in (model, type(model)(tiny.config)))
        if fresh.std() == 0:
            assert torch.equal(drawn, fresh)
        else:
            assert 0.3 < drawn.std() / fresh.std() < 3

    def test_a_new_head_keeps_the_body(self, tiny, tmp_path):
        tiny.save_pretrained(tmp_path)
        model = SerCnnForAudioClassification.from_pretrained(
            tmp_path, id2label={0: "calm", 1: "tense"}, ignore_mismatched_sizes=True
        )
        assert model.classifier.out_features == 2
        for name, tensor in tiny.ser_cnn.state_dict().items():
            assert torch.equal(model.ser_cnn.state_dict()[name], tensor), name

    def test_a_classifier_starts_from_a_bare_model(self, tiny, tmp_path):
        tiny.ser_cnn.save_pretrained(tmp_path)
        model = SerCnnForAudioClassification.from_pretrained(tmp_path)
        features = torch.randn(1, 40, MEL_BINS)
        with torch.no_grad():
            assert torch.equal(model.ser_cnn(features).pooler_output, tiny.ser_cnn(features).pooler_output)
