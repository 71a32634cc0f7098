"""FCN-Attention and the MTS networks: padding, checkpoints, pipelines, training, compilers."""

import copy
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tiny_pyresnet import randomise_batch_norm
from torch import nn
from transformers import PreTrainedModel, SequenceFeatureExtractor, pipeline
from transformers.modeling_outputs import SequenceClassifierOutput

from lssed_hf import (
    FcnAttentionConfig,
    FcnAttentionForAudioClassification,
    MtsConfig,
    MtsForAudioClassification,
    PyResNetFeatureExtractor,
)


MEL_BINS = 64
AUTO_CLASSES = {"AutoConfig", "AutoFeatureExtractor", "AutoModel", "AutoModelForAudioClassification"}
FIVE = [0.5, 0.7, 1.0, 1.428, 2.0]
ID2LABEL = {0: "angry", 1: "neutral", 2: "happy", 3: "sad"}


def fcn_attention(**changes) -> FcnAttentionForAudioClassification:
    fields = {"hidden_sizes": [8, 16, 16, 16, 8], "id2label": ID2LABEL}
    return FcnAttentionForAudioClassification(FcnAttentionConfig(**{**fields, **changes}))


def mts_alexnet(**changes) -> MtsForAudioClassification:
    fields = {
        "hidden_sizes": [8, 16, 16, 16, 8],
        "pooled_size": 3,
        "classifier_hidden_sizes": [16, 16],
        "id2label": ID2LABEL,
    }
    return MtsForAudioClassification(MtsConfig(**{**fields, **changes}))


def mts_resnet(**changes) -> MtsForAudioClassification:
    fields = {
        "architecture": "resnet",
        "embedding_size": 8,
        "hidden_sizes": [32, 32, 32],
        "depths": [2, 1, 1],
        "id2label": ID2LABEL,
    }
    return MtsForAudioClassification(MtsConfig(**{**fields, **changes}))


MODELS = {
    "fcn": fcn_attention,
    "fcn-batch-norm": lambda **changes: fcn_attention(norm="batch", **changes),
    "mts3-alexnet": mts_alexnet,
    "mts5-alexnet": lambda **changes: mts_alexnet(scale_factors=FIVE, **changes),
    "mts3-resnet": mts_resnet,
    "mts5-resnet": lambda **changes: mts_resnet(scale_factors=FIVE, **changes),
}
WITHOUT_BATCH_NORM = ["fcn", "mts3-alexnet", "mts5-alexnet"]


@pytest.fixture(params=MODELS)
def make(request) -> Callable[..., PreTrainedModel]:
    return MODELS[request.param]


def trained(model: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """Biases and batch statistics as training leaves them. With zeros, padding stays zero and hides mistakes."""
    randomise_batch_norm(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                # In AlexNet torch's initial weights are so small that signals fade out.
                module.weight.mul_(1.5 if "Mts" in type(model).__name__ else 1.0)
                module.bias.normal_(0, 0.2, generator=generator)
            elif isinstance(module, nn.Linear):
                module.weight.mul_(2)
    return model.eval()


@pytest.fixture
def model(make) -> PreTrainedModel:
    torch.manual_seed(0)
    return trained(make())


@pytest.fixture
def extractor() -> SequenceFeatureExtractor:
    return PyResNetFeatureExtractor(num_mel_bins=MEL_BINS, mean=[-20.0] * MEL_BINS, std=[10.0] * MEL_BINS)


def padded_batch(lengths: list[int], garbage: float = 50.0) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Clips, the batch of them with garbage behind each, and its mask."""
    clips = [torch.randn(frames, MEL_BINS) for frames in lengths]
    batch = torch.randn(len(clips), max(lengths) + 6, MEL_BINS) * garbage
    mask = torch.zeros(batch.shape[:2], dtype=torch.int64)
    for row, clip in enumerate(clips):
        batch[row, : len(clip)], mask[row, : len(clip)] = clip, 1
    return clips, batch, mask


class TestOutputs:
    def test_of_the_classifier(self, model):
        features, labels = torch.randn(3, 100, MEL_BINS), torch.tensor([0, 3, 1])
        output = model(features, labels=labels)
        assert isinstance(output, SequenceClassifierOutput)
        assert list(output) == ["loss", "logits"] and output.logits.shape == (3, 4)
        torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, labels))
        assert list(model(features)) == ["logits"]
        loss, logits = model(features, labels=labels, return_dict=False)
        assert torch.equal(loss, output.loss) and torch.equal(logits, output.logits)

    def test_of_the_bare_model(self, model):
        output = model.base_model(torch.randn(2, 100, MEL_BINS))
        assert list(output) == ["last_hidden_state", "pooler_output"]
        assert output.last_hidden_state.shape[1] == model.config.hidden_sizes[-1]
        assert output.pooler_output.shape == (2, model.config.hidden_size)

    def test_hidden_states_of_padding_are_zero_and_take_gradients(self, model):
        _, batch, mask = padded_batch([200, 100])
        output = model(batch, attention_mask=mask, output_hidden_states=True)
        shapes = {
            "alexnet": [(8, 7, 24), (16, 3, 11), (16, 3, 11), (16, 3, 11), (8, 1, 5)],
            "resnet": [(8, 16, 52), (32, 16, 52), (32, 8, 26), (32, 4, 13)],
        }
        assert [tuple(state.shape[1:]) for state in output.hidden_states] == shapes[
            getattr(model.config, "architecture", "alexnet")
        ]
        clip = model(batch[1:, :100], output_hidden_states=True)
        for state, expected in zip(output.hidden_states, clip.hidden_states):
            frames = expected.shape[-1]
            assert (state[1, :, :, frames:] == 0).all() and frames < state.shape[-1]
            torch.testing.assert_close(state[1:, :, :, :frames], expected, atol=1e-4, rtol=1e-4)
            state.retain_grad()
        output.logits.sum().backward()
        assert all(state.grad is not None for state in output.hidden_states)

    @pytest.mark.parametrize("shape", [(100, 64), (2, 1, 100, 64)])
    def test_features_of_another_rank_are_refused(self, model, shape):
        with pytest.raises(ValueError, match="frames, num_mel_bins"):
            model(torch.randn(shape))

    def test_several_emotions_at_once(self, make):
        model = make(problem_type="multi_label_classification").eval()
        labels = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1]])
        output = model(torch.randn(2, 100, MEL_BINS), labels=labels)
        torch.testing.assert_close(output.loss, F.binary_cross_entropy_with_logits(output.logits, labels))


class TestPadding:
    # 0.3 to 7 s; the shortest are below the smallest input of every network.
    LENGTHS = [10, 219, 157, 40, 100, 63, 98]

    def test_changes_nothing(self, model):
        clips, batch, mask = padded_batch(self.LENGTHS)
        with torch.no_grad():
            alone = torch.cat([model(clip[None]).logits for clip in clips])
            padded = model(batch, attention_mask=mask).logits
            pooled_alone = torch.cat([model.base_model(clip[None]).pooler_output for clip in clips])
            pooled = model.base_model(batch, attention_mask=mask).pooler_output
        assert alone.std(dim=0).min() > 1e-2  # else agreement would mean nothing
        torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(pooled, pooled_alone, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("name", WITHOUT_BATCH_NORM)
    def test_changes_nothing_in_training(self, name):
        model = trained(MODELS[name](classifier_dropout=0.0)).train()
        clips, batch, mask = padded_batch(self.LENGTHS)
        labels = torch.arange(len(clips)) % 4
        model(batch, attention_mask=mask, labels=labels).loss.backward()
        batched = [parameter.grad.clone() for parameter in model.parameters()]
        model.zero_grad()
        for clip, label in zip(clips, labels):
            model(clip[None], labels=label[None], num_items_in_batch=len(clips)).loss.backward()
        for (parameter_name, parameter), gradient in zip(model.named_parameters(), batched):
            assert gradient.norm() > 1e-6, parameter_name
            torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-3, msg=parameter_name)

    def test_changes_logits_without_a_mask(self, model):
        clip = torch.randn(1, 100, MEL_BINS)
        with torch.no_grad():
            difference = model(F.pad(clip, (0, 0, 0, 100))).logits - model(clip).logits
        assert difference.abs().max() > 1e-3

    @pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32])
    def test_a_mask_of_any_type_will_do(self, model, dtype):
        clips, batch, mask = padded_batch([120, 100])
        with torch.no_grad():
            logits = model(batch, attention_mask=mask.to(dtype)).logits
            torch.testing.assert_close(logits[1:], model(clips[1][None]).logits, atol=1e-5, rtol=1e-5)

    def test_nan_in_it_does_no_harm(self, model):
        _, batch, mask = padded_batch([120, 100, 20])
        nan = batch.masked_fill(mask[..., None] == 0, torch.nan)
        with torch.no_grad():
            expected = model(batch, attention_mask=mask).logits
            assert torch.equal(model(nan, attention_mask=mask).logits, expected)
            alone = model(nan[2:, :20]).logits
            torch.testing.assert_close(model(nan[2:, :30], attention_mask=mask[2:, :30]).logits, alone)

    def test_a_mask_of_ones_changes_nothing(self, model):
        features = torch.randn(2, 100, MEL_BINS)
        with torch.no_grad():
            logits = model(features, attention_mask=torch.ones(2, 100, dtype=torch.int64)).logits
            assert torch.equal(logits, model(features).logits)

    def test_inputs_too_small_are_filled_with_zeros(self, model):
        clip = torch.randn(1, 20, 40)
        frames = max(20, getattr(model.config, "min_frames", 63))
        mel_bins = {"resnet": 40}.get(getattr(model.config, "architecture", ""), 63)
        with torch.no_grad():
            filled = model(F.pad(clip, (0, mel_bins - 40, 0, frames - 20))).logits
            assert torch.equal(model(clip).logits, filled)


@pytest.mark.slow
class TestCompilers:
    # Compilers unroll loops: more branches, blocks or stages take longer and show nothing else.
    SHORT = {
        "fcn": fcn_attention,
        "mts2-alexnet": lambda: mts_alexnet(scale_factors=[0.7, 1.0]),
        "mts2-resnet": lambda: mts_resnet(scale_factors=[0.7, 1.0], hidden_sizes=[32, 32], depths=[1, 1]),
    }

    @pytest.fixture(params=SHORT)
    def model(self, request) -> PreTrainedModel:
        torch.manual_seed(0)
        return trained(self.SHORT[request.param]())

    def test_compiles_without_a_graph_break(self, model):
        _, features, mask = padded_batch([120, 100])
        torch._dynamo.reset()  # else all networks of this file together reach the limit of recompilations
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            torch.testing.assert_close(
                compiled(features, attention_mask=mask).logits, model(features, attention_mask=mask).logits
            )
            torch.testing.assert_close(compiled(features).logits, model(features).logits)

    def test_exports_for_any_batch_and_length(self, model):
        _, features, mask = padded_batch([120, 100])
        batch, frames = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("frames", min=97, max=1000)
        with torch.no_grad():
            program = torch.export.export(
                model,
                (features, mask),
                kwargs={"return_dict": False},
                dynamic_shapes={
                    "input_features": {0: batch, 1: frames},
                    "attention_mask": {0: batch, 1: frames},
                    "kwargs": {"return_dict": None},
                },
            ).module()
            for lengths in ([97], [200, 30, 150]):
                _, features, mask = padded_batch(lengths)
                (logits,) = program(features, mask, return_dict=False)
                torch.testing.assert_close(logits, model(features, attention_mask=mask).logits, atol=1e-5, rtol=1e-4)

    def test_runs_in_bfloat16(self, model):
        _, features, mask = padded_batch([120, 100], garbage=1.0)
        with torch.no_grad():
            expected = model(features, attention_mask=mask).logits
            with torch.autocast("cpu", dtype=torch.bfloat16):
                mixed = model(features, attention_mask=mask).logits
            half = copy.deepcopy(model).to(torch.bfloat16)(features, attention_mask=mask).logits
        assert mixed.dtype == half.dtype == torch.bfloat16
        for logits in (mixed, half):
            torch.testing.assert_close(logits.float(), expected, atol=0.1, rtol=0.1)


class TestCheckpoints:
    def test_reload_is_exact(self, model, tmp_path):
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path)
        features = torch.randn(2, 100, MEL_BINS)
        with torch.no_grad():
            assert torch.equal(again(features).logits, model(features).logits)
        assert again.config.to_dict() == {**model.config.to_dict(), "_name_or_path": str(tmp_path)}

    def test_a_classifier_starts_from_a_bare_model_and_the_reverse(self, model, tmp_path):
        features = torch.randn(1, 100, MEL_BINS)
        with torch.no_grad():
            expected = model.base_model(features).pooler_output
            model.base_model.save_pretrained(tmp_path / "bare")
            classifier = type(model).from_pretrained(tmp_path / "bare")
            assert torch.equal(classifier.base_model(features).pooler_output, expected)
            model.save_pretrained(tmp_path / "classifier")
            bare = type(model.base_model).from_pretrained(tmp_path / "classifier")
            assert torch.equal(bare(features).pooler_output, expected)

    def test_a_new_head_keeps_the_rest(self, model, tmp_path):
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path, num_labels=2, ignore_mismatched_sizes=True)
        assert again.classifier.out_features == 2
        for name, tensor in model.state_dict().items():
            assert name.startswith("classifier.") or torch.equal(again.state_dict()[name], tensor), name

    def test_every_missing_tensor_is_initialised_and_leaves_the_others_alone(self, model, tmp_path):
        model.save_pretrained(tmp_path)
        state = load_file(tmp_path / "model.safetensors")
        missing = set(list(state)[::3])
        kept = {name: tensor for name, tensor in state.items() if name not in missing}
        save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
        again, report = type(model).from_pretrained(tmp_path, output_loading_info=True)
        assert set(report["missing_keys"]) == missing
        for name, tensor in again.state_dict().items():
            assert tensor.isfinite().all() and tensor.abs().max() < 5, name
            assert name in missing or torch.equal(tensor, state[name]), name

    @pytest.mark.parametrize("make", ["fcn", "mts3-alexnet", "mts3-resnet"], indirect=True)
    def test_the_folder_opens_without_the_package(self, model, tmp_path, extractor, forking_python):
        generator = np.random.default_rng(0)
        clips = [generator.normal(0, 0.1, int(16000 * n)).astype(np.float32) for n in (0.7, 1.5, 2.2)]
        model.save_pretrained(tmp_path)
        extractor.save_pretrained(tmp_path)
        np.savez(tmp_path / "clips.npz", **{str(index): clip for index, clip in enumerate(clips)})
        assert set(json.loads((tmp_path / "config.json").read_text())["auto_map"]) == AUTO_CLASSES
        family = model.config.model_type
        assert sorted(path.name for path in tmp_path.glob("*.py")) == [
            f"configuration_{family}.py",
            "feature_extraction_pyresnet.py",
            "front_end_pyresnet.py",
            f"modeling_{family}.py",
            "torch_front_end_pyresnet.py",
        ]
        inputs = extractor(clips, sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            logits, pooled = model(**inputs).logits, model.base_model(**inputs).pooler_output
        report = json.loads(forking_python.call("open_saved_folder", "main", "blocked", str(tmp_path)))
        assert report["imported"] == ["transformers_modules"]
        for opened in (report["saved"], report["again"]):
            assert all(module.startswith("transformers_modules.") for module in opened["modules"].values())
            np.testing.assert_allclose(opened["logits"], logits, atol=1e-6, rtol=1e-5)
            np.testing.assert_allclose(opened["pooled"], pooled, atol=1e-6, rtol=1e-5)

    def test_a_bare_folder_names_all_auto_classes_too(self, model, tmp_path):
        model.base_model.save_pretrained(tmp_path)
        assert set(json.loads((tmp_path / "config.json").read_text())["auto_map"]) == AUTO_CLASSES


def test_pipeline_scores_do_not_depend_on_the_batch_size(model, extractor):
    generator = np.random.default_rng(0)
    clips = [
        (generator.standard_normal(int(16000 * seconds)) * 0.1 * seconds).astype(np.float32)
        for seconds in (0.3, 7, 1.1, 3, 2, 0.7, 5, 4.2)
    ]
    classify = pipeline("audio-classification", model=model, feature_extractor=extractor, device="cpu")
    results = {}
    for batch_size in (1, 8):
        results[batch_size] = np.array(
            [
                [entry["score"] for entry in sorted(result, key=lambda entry: entry["label"])]
                for result in classify(clips, batch_size=batch_size)
            ]
        )
    assert results[1].shape == (8, 4) and np.ptp(results[1], axis=0).min() > 1e-3
    np.testing.assert_allclose(results[8], results[1], atol=1e-5)


class TestTraining:
    def test_a_step_lowers_the_loss(self, make):
        torch.manual_seed(0)
        model = make(classifier_dropout=0.0).train()
        features, labels = torch.randn(8, 100, MEL_BINS), torch.arange(8) % 4
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
        before = model(features, labels=labels).loss
        before.backward()
        assert all(parameter.grad.norm() > 0 for parameter in model.parameters())
        optimizer.step()
        assert model(features, labels=labels).loss < before

    def test_gradient_accumulation_equals_the_whole_batch(self, model):
        _, features, mask = padded_batch([120, 100, 80, 110])
        labels = torch.arange(4)
        model(features, attention_mask=mask, labels=labels, num_items_in_batch=4).loss.backward()
        whole = [parameter.grad.clone() for parameter in model.parameters()]
        model.zero_grad()
        for rows in (slice(0, 3), slice(3, 4)):
            model(features[rows], attention_mask=mask[rows], labels=labels[rows], num_items_in_batch=4).loss.backward()
        for (name, parameter), gradient in zip(model.named_parameters(), whole):
            torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-3, msg=name)

    @pytest.mark.parametrize("use_reentrant", [False, True])
    def test_gradient_checkpointing_gives_equal_gradients(self, make, use_reentrant):
        model = trained(make(classifier_dropout=0.0)).train()
        _, features, mask = padded_batch([120, 100])
        checkpointed = copy.deepcopy(model)
        checkpointed.gradient_checkpointing_enable({"use_reentrant": use_reentrant})
        assert any(getattr(module, "gradient_checkpointing", False) for module in checkpointed.modules())
        for network in (model, checkpointed):
            network(features, attention_mask=mask, labels=torch.tensor([0, 1])).loss.backward()
        for (name, expected), parameter in zip(model.named_parameters(), checkpointed.parameters()):
            torch.testing.assert_close(parameter.grad, expected.grad, msg=name)

    def test_a_frozen_encoder_stays_as_it_is(self, model):
        model.freeze_base_model()
        model.train()
        assert model.classifier.training and not any(module.training for module in model.base_model.modules())
        before = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        model(torch.randn(4, 100, MEL_BINS), labels=torch.arange(4)).loss.backward()
        optimizer.step()
        changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
        assert changed == {name for name in before if name.startswith(("classifier.", "head."))}

    def test_without_it_everything_learns(self, model):
        before = copy.deepcopy(model.state_dict())
        model.train()
        model(torch.randn(4, 100, MEL_BINS), labels=torch.arange(4)).loss.backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        unchanged = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])}
        # Batch norm takes a bias in front of it off again: its gradient is 0 but for rounding, if that.
        batch_norm = getattr(model.config, "norm", None) == "batch"
        assert unchanged <= {name for name in before if batch_norm and name.endswith("convolution.bias")}
