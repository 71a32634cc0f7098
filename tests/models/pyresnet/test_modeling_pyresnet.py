import copy
import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tiny_pyresnet import make_tiny_config, randomise_batch_norm
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, SequenceClassifierOutput

from lssed_hf import PyResNetConfig, PyResNetForAudioClassification, PyResNetModel


DEPTHS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}


def on_meta(**fields) -> PyResNetForAudioClassification:
    """A network without weights, which costs nothing to build or to run."""
    with torch.device("meta"):
        return PyResNetForAudioClassification(PyResNetConfig(**fields)).eval()


@pytest.fixture(scope="module")
def pyresnet50() -> PyResNetForAudioClassification:
    torch.manual_seed(0)
    model = PyResNetForAudioClassification(PyResNetConfig(num_labels=4)).eval()
    randomise_batch_norm(model)
    return model


class TestNetworkOfThePaper:
    @pytest.mark.parametrize("depth, parameters", [(50, 22_825_220), (101, 40_285_444), (152, 54_618_372)])
    def test_parameter_counts(self, depth, parameters):
        assert on_meta(depths=DEPTHS[depth], num_labels=4).num_parameters() == parameters

    @pytest.mark.parametrize("depth, gflop", [(50, 3.052), (101, 5.837), (152, 8.591)])
    def test_arithmetic_of_a_5_s_clip(self, depth, gflop):
        frames = 1 + 5 * 16000 // 512
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            on_meta(depths=DEPTHS[depth], num_labels=4)(torch.empty(1, frames, 128, device="meta"))
        assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, rel=1e-3)

    @pytest.mark.parametrize("depth", DEPTHS)
    def test_convolutions_are_those_of_the_released_network_definition(self, depth):
        # (in, out, kernel, groups) of the pyramid levels of each stage.
        levels = [
            [(64, 16, 3, 1), (64, 16, 5, 4), (64, 16, 7, 8), (64, 16, 9, 16)],
            [(128, 32, 3, 1), (128, 32, 5, 4), (128, 64, 7, 8)],
            [(256, 128, 3, 1), (256, 128, 5, 4)],
            [(512, 512, 3, 1)],
        ]
        expected, channels = [(1, 64, 7, 1, 2)], 64
        for stage, blocks in enumerate(DEPTHS[depth]):
            width = 64 * 2**stage
            for block in range(blocks):
                stride = 2 if block == 0 else 1
                if block == 0:
                    expected.append((channels, 4 * width, 1, 1, 1))  # of the shortcut, behind its max-pooling
                expected.append((channels, width, 1, 1, 1))
                expected += [(*level, stride) for level in levels[stage]]
                expected.append((width, 4 * width, 1, 1, 1))
                channels = 4 * width

        model, executed = on_meta(depths=DEPTHS[depth]), []

        def record(module, inputs, output):
            assert module.bias is None
            assert module.padding == (module.kernel_size[0] // 2,) * 2
            assert module.kernel_size[0] == module.kernel_size[1] and module.stride[0] == module.stride[1]
            executed.append(
                (module.in_channels, module.out_channels, module.kernel_size[0], module.groups, module.stride[0])
            )

        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(record)
        model(torch.empty(1, 64, 128, device="meta"))
        assert executed == expected
        assert (model.classifier.in_features, model.classifier.out_features) == (8192, 2)

    def test_shortcuts_of_strided_blocks_pool(self):
        pools = [module for module in on_meta().modules() if isinstance(module, nn.MaxPool2d)]
        assert [(pool.kernel_size, pool.stride, pool.padding) for pool in pools] == [(3, 2, 1)] * 4

    @pytest.mark.parametrize("zero_init", [False, True])
    def test_blocks_may_start_as_their_shortcuts(self, zero_init):
        model = PyResNetForAudioClassification(make_tiny_config(zero_init_residual=zero_init))
        scales = {
            float(parameter.detach().abs().max())
            for name, parameter in model.named_parameters()
            if name.endswith("normalization.weight") and "expand" in name
        }
        assert scales == {0.0 if zero_init else 1.0}

    def test_initial_weights_have_kaiming_fan_out_deviation(self):
        model = PyResNetModel(make_tiny_config(hidden_sizes=[64, 64, 64, 256]))
        weight = model.stages[3].layers[0].pyramid.levels[0].weight
        assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)


def recompute(state: dict, depths: list[int], groups: list[list[int]], rows: int, features: torch.Tensor):
    """PyResNet in eval mode from its weights alone, in the form and order of the authors' network definition."""

    def batch_norm(x, name):
        statistics = [state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *statistics, eps=1e-5)

    x = features.transpose(1, 2)[:, None]
    x = F.conv2d(x, state["pyresnet.embedder.convolution.weight"], stride=2, padding=3)
    x = batch_norm(x, "pyresnet.embedder.normalization").relu()
    for stage, blocks in enumerate(depths):
        for block in range(blocks):
            name, stride = f"pyresnet.stages.{stage}.layers.{block}", 2 if block == 0 else 1
            identity = x
            if block == 0:
                identity = F.max_pool2d(x, 3, stride=2, padding=1)
                identity = F.conv2d(identity, state[f"{name}.shortcut.convolution.weight"])
                identity = batch_norm(identity, f"{name}.shortcut.normalization")
            x = batch_norm(F.conv2d(x, state[f"{name}.reduce.weight"]), f"{name}.reduce_normalization").relu()
            maps = []
            for level, count in enumerate(groups[stage]):
                weight = state[f"{name}.pyramid.levels.{level}.weight"]
                maps.append(F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=count))
            x = batch_norm(torch.cat(maps, dim=1), f"{name}.pyramid_normalization").relu()
            x = batch_norm(F.conv2d(x, state[f"{name}.expand.weight"]), f"{name}.expand_normalization")
            x = (x + identity).relu()
    x = F.adaptive_avg_pool2d(x, (rows, 1)).flatten(1)
    return F.linear(x, state["classifier.weight"], state["classifier.bias"])


class TestForward:
    @pytest.mark.parametrize("frames", [40, 51])
    def test_equals_a_recomputation_in_plain_pytorch(self, pyresnet50, frames):
        features = torch.randn(2, frames, 128)
        with torch.no_grad():
            expected = recompute(pyresnet50.state_dict(), [3, 4, 6, 3], pyresnet50.config.groups, 4, features)
            logits = pyresnet50(features).logits
        assert expected.std() > 1e-2
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)

    def test_output_fields(self, tiny):
        features, labels = torch.randn(3, 40, 32), torch.tensor([0, 3, 1])
        output = tiny(features, labels=labels)
        assert isinstance(output, SequenceClassifierOutput)
        assert list(output) == ["loss", "logits"]
        assert output.logits.shape == (3, 4)
        torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, labels))
        assert list(tiny(features)) == ["logits"]
        loss, logits = tiny(features, labels=labels, return_dict=False)
        assert torch.equal(loss, output.loss) and torch.equal(logits, output.logits)

    def test_bare_model_gives_the_map_and_its_pooled_features(self, tiny):
        output = tiny.pyresnet(torch.randn(2, 40, 32))
        assert isinstance(output, BaseModelOutputWithPoolingAndNoAttention)
        assert output.last_hidden_state.shape == (2, 32, 1, 2)
        assert output.pooler_output.shape == (2, tiny.config.hidden_size)
        torch.testing.assert_close(output.pooler_output, output.last_hidden_state.mean(dim=3).flatten(1))

    def test_hidden_states_are_the_maps_after_the_stem_and_each_stage(self, tiny):
        output = tiny.pyresnet(torch.randn(2, 41, 32), output_hidden_states=True)
        shapes = [tuple(state.shape[1:]) for state in output.hidden_states]
        assert shapes == [(8, 16, 21), (64, 8, 11), (32, 4, 6), (32, 2, 3), (32, 1, 2)]
        assert torch.equal(output.hidden_states[-1], output.last_hidden_state)

    def test_hidden_states_receive_gradients_of_padded_batches(self, tiny):
        mask = torch.tensor([[1] * 41, [1] * 20 + [0] * 21])
        output = tiny(torch.randn(2, 41, 32), attention_mask=mask, output_hidden_states=True)
        for state in output.hidden_states:
            state.retain_grad()
        output.logits.sum().backward()
        assert all(state.grad is not None for state in output.hidden_states)

    def test_other_numbers_of_mel_bins_are_pooled_to_the_rows_of_the_head(self):
        model = PyResNetForAudioClassification(make_tiny_config(num_frequency_rows=2)).eval()
        assert model(torch.randn(1, 40, 128)).logits.shape == (1, 4)

    @pytest.mark.parametrize("shape", [(40, 32), (2, 1, 40, 32)])
    def test_features_of_another_rank_are_refused(self, tiny, shape):
        with pytest.raises(ValueError, match="frames, num_mel_bins"):
            tiny(torch.randn(shape))

    @pytest.mark.parametrize("label", [4, -1])
    def test_labels_that_the_model_does_not_have_are_refused(self, tiny, label):
        with pytest.raises(IndexError, match=f"Target {label} is out of bounds"):
            tiny(torch.randn(1, 40, 32), labels=torch.tensor([label]))

    def test_several_emotions_at_once(self):
        model = PyResNetForAudioClassification(make_tiny_config(problem_type="multi_label_classification"))
        labels = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1]])
        output = model(torch.randn(2, 40, 32), labels=labels)
        expected = F.binary_cross_entropy_with_logits(output.logits, labels)
        torch.testing.assert_close(output.loss, expected)


class TestPadding:
    """The clips are 0.7 to 7 s long."""

    FRAMES = [22, 219, 87, 100]

    def check(self, model, mel_bins):
        clips = [torch.randn(frames, mel_bins) for frames in self.FRAMES]
        batch = torch.randn(len(clips), max(self.FRAMES) + 6, mel_bins) * 50  # garbage behind each clip
        mask = torch.zeros(batch.shape[:2], dtype=torch.int32)
        for row, clip in enumerate(clips):
            batch[row, : len(clip)], mask[row, : len(clip)] = clip, 1
        with torch.no_grad():
            alone = torch.cat([model(clip[None]).logits for clip in clips])
            padded = model(batch, attention_mask=mask).logits
        assert alone.std(dim=0).min() > 1e-2  # else agreement would mean nothing
        torch.testing.assert_close(padded, alone, atol=1e-4, rtol=0)

    def test_does_not_change_logits_of_pyresnet50(self, pyresnet50):
        self.check(pyresnet50, 128)

    @pytest.mark.parametrize("num_frequency_rows", [1, 2])
    def test_does_not_change_logits_of_a_small_network(self, num_frequency_rows):
        torch.manual_seed(1)
        model = PyResNetForAudioClassification(make_tiny_config(num_frequency_rows=num_frequency_rows)).eval()
        randomise_batch_norm(model)
        self.check(model, 32)

    def test_changes_logits_without_a_mask(self, tiny):
        clip = torch.randn(1, 40, 32)
        with torch.no_grad():
            difference = tiny(F.pad(clip, (0, 0, 0, 40))).logits - tiny(clip).logits
        assert difference.abs().max() > 1e-3

    @pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.int64, torch.float32])
    def test_a_mask_of_any_type_will_do(self, tiny, dtype):
        features, mask = torch.randn(2, 40, 32), torch.ones(2, 40)
        mask[1, 25:] = 0
        with torch.no_grad():
            expected = tiny(features[1:, :25]).logits
            logits = tiny(features, attention_mask=mask.to(dtype)).logits
        torch.testing.assert_close(logits[1:], expected, atol=1e-5, rtol=0)

    def test_nan_in_the_padding_does_no_harm(self, tiny):
        features, mask = torch.randn(2, 40, 32), torch.ones(2, 40, dtype=torch.int64)
        features[1, 25:], mask[1, 25:] = torch.nan, 0
        with torch.no_grad():
            assert tiny(features, attention_mask=mask).logits.isfinite().all()

    def test_a_mask_of_ones_changes_nothing(self, tiny):
        features = torch.randn(2, 40, 32)
        mask = torch.ones(2, 40, dtype=torch.int64)
        with torch.no_grad():
            assert torch.equal(tiny(features, attention_mask=mask).logits, tiny(features).logits)

    def test_hidden_states_of_padding_are_zero(self, tiny):
        mask = torch.tensor([[1] * 41, [1] * 20 + [0] * 21])
        with torch.no_grad():
            output = tiny(torch.randn(2, 41, 32), attention_mask=mask, output_hidden_states=True)
        for state, valid in zip(output.hidden_states, (10, 5, 3, 2, 1)):
            assert (state[1, :, :, valid:] == 0).all() and (state[1, :, :, valid - 1] != 0).any()


class TestDimensions:
    NAMES = ["valence", "arousal", "dominance"]

    @pytest.fixture
    def joint(self):
        torch.manual_seed(0)
        model = PyResNetForAudioClassification(make_tiny_config(dimensions=self.NAMES)).eval()
        randomise_batch_norm(model)
        return model

    def test_stand_beside_the_logits_of_the_classes(self, joint, tiny):
        output = joint(torch.randn(2, 40, 32))
        assert output.logits.shape == (2, 4) and output.dimensions.shape == (2, 3)
        assert joint.config.problem_type is None and len(joint.config.id2label) == 4
        assert "dimensions" not in tiny(torch.randn(2, 40, 32))

    def test_do_not_depend_on_padding(self, joint):
        clips = [torch.randn(frames, 32) for frames in (22, 87, 219)]
        batch, mask = torch.randn(3, 225, 32) * 50, torch.zeros(3, 225, dtype=torch.int32)
        for row, clip in enumerate(clips):
            batch[row, : len(clip)], mask[row, : len(clip)] = clip, 1
        with torch.no_grad():
            alone = torch.cat([joint(clip[None]).dimensions for clip in clips])
            padded = joint(batch, attention_mask=mask).dimensions
        assert alone.std(dim=0).min() > 1e-2
        torch.testing.assert_close(padded, alone, atol=1e-4, rtol=0)

    def test_are_saved_with_their_names(self, joint, tmp_path):
        joint.save_pretrained(tmp_path)
        opened, features = PyResNetForAudioClassification.from_pretrained(tmp_path), torch.randn(1, 40, 32)
        assert opened.config.dimensions == self.NAMES
        with torch.no_grad():
            assert torch.equal(opened(features).dimensions, joint(features).dimensions)

    def test_the_loss_leaves_unknown_ratings_out(self, joint):
        features, labels = torch.randn(2, 40, 32), torch.tensor([0, 1])
        ratings = torch.tensor([[1.0, torch.nan, 2.0], [torch.nan, torch.nan, 5.0]])
        output = joint(features, labels=labels, ratings=ratings)
        error = [
            (output.dimensions[row, column] - ratings[row, column]) ** 2 for row, column in ((0, 0), (0, 2), (1, 2))
        ]
        expected = F.cross_entropy(output.logits, labels) + sum(error) / 6
        torch.testing.assert_close(output.loss, expected)
        output.loss.backward()
        assert all(parameter.grad.isfinite().all() for parameter in joint.dimension_head.parameters())
        assert joint.dimension_head.weight.grad[1].abs().max() == 0

    def test_ratings_need_names(self, tiny):
        with pytest.raises(ValueError, match=r"config\.dimensions"):
            tiny(torch.randn(2, 40, 32), labels=torch.tensor([0, 1]), ratings=torch.ones(2, 3))

    @pytest.mark.parametrize(
        "fields",
        [{"dimensions": ["a", "a"]}, {"dimensions": [""]}, {"dimensions": ["a"], "standardize_embedding": True}],
    )
    def test_configurations_that_cannot_be(self, fields):
        with pytest.raises(Exception, match="dimensions="):
            make_tiny_config(**fields)


@pytest.mark.slow
class TestCompilers:
    def inputs(self):
        mask = torch.ones(3, 41, dtype=torch.int64)
        mask[0, 30:] = 0
        return torch.randn(3, 41, 32), mask

    def test_compiles_without_a_graph_break(self, tiny):
        features, mask = self.inputs()
        compiled = torch.compile(tiny, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            torch.testing.assert_close(
                compiled(features, attention_mask=mask).logits, tiny(features, attention_mask=mask).logits
            )
            torch.testing.assert_close(compiled(features).logits, tiny(features).logits)

    def test_exports_for_any_batch_and_length(self, tiny):
        features, mask = self.inputs()
        # Below 33 frames the last map is 1 wide, which torch.export treats apart: pad shorter clips, under the mask.
        batch, frames = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("frames", min=33, max=1000)
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
            for rows, length in ((1, 33), (2, 100)):
                features, mask = torch.randn(rows, length, 32), torch.ones(rows, length, dtype=torch.int64)
                mask[-1, length - 10 :] = 0
                (logits,) = program(features, mask, return_dict=False)
                torch.testing.assert_close(logits, tiny(features, attention_mask=mask).logits)

    def test_traces(self, tiny):
        class Logits(nn.Module):
            def __init__(self):
                super().__init__()
                self.model = tiny

            def forward(self, features, mask):
                return self.model(features, attention_mask=mask).logits

        with torch.no_grad():
            # A mask of ones, so that nothing depends on its values at tracing.
            traced = torch.jit.trace(Logits(), (torch.randn(2, 60, 32), torch.ones(2, 60, dtype=torch.int64)))
            features, mask = self.inputs()
            torch.testing.assert_close(traced(features, mask), tiny(features, attention_mask=mask).logits)

    def test_runs_in_bfloat16(self, tiny):
        features, mask = self.inputs()
        with torch.no_grad():
            expected = tiny(features, attention_mask=mask).logits
            with torch.autocast("cpu", dtype=torch.bfloat16):
                mixed = tiny(features, attention_mask=mask).logits
            half = copy.deepcopy(tiny).to(torch.bfloat16)(features, attention_mask=mask).logits
        assert mixed.dtype == half.dtype == torch.bfloat16
        for logits in (mixed, half):
            torch.testing.assert_close(logits.float(), expected, atol=0.1, rtol=0.1)


class TestCheckpoints:
    def test_a_new_head_keeps_the_body(self, tiny, tmp_path):
        tiny.save_pretrained(tmp_path)
        labels = {"id2label": {0: "calm", 1: "tense"}, "label2id": {"calm": 0, "tense": 1}}
        model = PyResNetForAudioClassification.from_pretrained(tmp_path, **labels, ignore_mismatched_sizes=True)
        assert model.classifier.out_features == 2 and model.config.id2label == labels["id2label"]
        for name, tensor in tiny.pyresnet.state_dict().items():
            assert torch.equal(model.pyresnet.state_dict()[name], tensor), name

    def test_another_number_of_labels_is_refused_unless_asked_for(self, tiny, tmp_path):
        tiny.save_pretrained(tmp_path)
        with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
            PyResNetForAudioClassification.from_pretrained(tmp_path, num_labels=2)

    @pytest.mark.parametrize(
        "missing",
        [
            "classifier.bias",
            "classifier.weight",
            "pyresnet.embedder.normalization.running_mean",
            "pyresnet.stages.1.layers.0.expand_normalization.weight",
            "pyresnet.stages.0.layers.0.pyramid.levels.2.weight",
        ],
    )
    def test_a_missing_tensor_leaves_the_others_alone(self, tiny, tmp_path, missing):
        tiny.save_pretrained(tmp_path)
        state = load_file(tmp_path / "model.safetensors")
        del state[missing]
        save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
        model, report = PyResNetForAudioClassification.from_pretrained(tmp_path, output_loading_info=True)
        assert set(report["missing_keys"]) == {missing}
        for name, tensor in model.state_dict().items():
            assert tensor.isfinite().all(), name
            assert name == missing or torch.equal(tensor, tiny.state_dict()[name]), name

    def test_a_classifier_starts_from_a_bare_model(self, tiny, tmp_path):
        tiny.pyresnet.save_pretrained(tmp_path)
        model = PyResNetForAudioClassification.from_pretrained(tmp_path)
        features = torch.randn(1, 40, 32)
        with torch.no_grad():
            assert torch.equal(model.pyresnet(features).pooler_output, tiny.pyresnet(features).pooler_output)
