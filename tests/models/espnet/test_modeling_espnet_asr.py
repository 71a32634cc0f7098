"""Behaviour of the recogniser and of its encoder as a classifier. ESPnet's own results: test_parity_espnet_asr.py."""

import copy
import dataclasses
import itertools

import pytest
import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassClassValidationError
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_espnet_asr import VARIANTS, make_batch, make_config, shake
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForSpeechSeq2Seq,
    Trainer,
    TrainingArguments,
)

from lssed_hf import EspnetAsrConfig, EspnetAsrForAudioClassification, EspnetAsrForSpeechSeq2Seq, EspnetAsrModel
from lssed_hf.models.espnet.losses_espnet_asr import ctc_loss, label_smoothing_loss
from lssed_hf.models.espnet.specaug_espnet_asr import spec_augment


def make_recogniser(**changes) -> EspnetAsrForSpeechSeq2Seq:
    torch.manual_seed(0)
    return shake(EspnetAsrForSpeechSeq2Seq(make_config(**changes))).eval()


@pytest.fixture
def recogniser() -> EspnetAsrForSpeechSeq2Seq:
    return make_recogniser()


class TestPadding:
    @pytest.mark.parametrize("name", VARIANTS)
    def test_changes_nothing(self, name):
        model = make_recogniser(**VARIANTS[name])
        lengths = (61, 44, 17, 3)  # the last one is shorter than most subsamplings can take
        features, mask = make_batch(lengths)
        labels = torch.tensor([[2, 3, 4], [5, 5, -100], [6, -100, -100], [7, -100, -100]])
        with torch.no_grad():
            hidden, hidden_mask = model.encode(features, mask)
            together = model(features, mask, labels=labels)
            alone = []
            for index, length in enumerate(lengths):
                clip = features[index : index + 1, :length]
                own, own_mask = model.encode(clip)
                torch.testing.assert_close(own[own_mask], hidden[index][hidden_mask[index]], atol=2e-5, rtol=1e-5)
                row = labels[index : index + 1]
                alone.append(model(clip, labels=row[row != -100][None]).loss)
        torch.testing.assert_close(together.loss, torch.stack(alone).mean(), atol=1e-4, rtol=1e-5)

    @given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(0, 20))
    @settings(max_examples=15)
    def test_changes_no_scores_of_a_classifier(self, lengths, extra):
        torch.manual_seed(0)
        model = shake(EspnetAsrForAudioClassification(make_config())).eval()
        features, mask = make_batch((*lengths, max(lengths) + extra))
        with torch.no_grad():
            together = model(features, mask).logits
            alone = [model(features[index : index + 1, :length]).logits[0] for index, length in enumerate(lengths)]
        torch.testing.assert_close(together[:-1], torch.stack(alone), atol=2e-5, rtol=1e-5)

    def test_would_change_something_to_the_letter_of_espnet(self):
        model = make_recogniser(mask_padding=False)
        features, mask = make_batch((61, 44))
        features = features.nan_to_num(0.0)
        with torch.no_grad():
            hidden, _ = model.encode(features, mask)
            alone, alone_mask = model.encode(features[1:, :44])
        assert (hidden[1, : alone_mask.sum()] - alone[0]).abs().max() > 1e-3

    def test_a_mask_of_ones_changes_nothing(self, recogniser):
        features, mask = make_batch((50, 50))
        with torch.no_grad():
            torch.testing.assert_close(recogniser.encode(features, mask)[0], recogniser.encode(features)[0])

    def test_in_front_is_refused(self, recogniser):
        features, mask = make_batch((50, 50))
        mask[0, :5] = 0
        with pytest.raises(ValueError, match="padding in front"):
            recogniser(features, mask)

    def test_of_another_length_is_refused(self, recogniser):
        features, mask = make_batch((50, 50))
        with pytest.raises(ValueError, match="attention_mask has shape"):
            recogniser(features, mask[:, :-1])


class TestShortClips:
    @pytest.mark.parametrize("name", VARIANTS)
    def test_have_at_least_one_frame(self, name):
        model = make_recogniser(**VARIANTS[name])
        for frames in range(1, 18):
            with torch.no_grad():
                hidden, mask = model.encode(torch.zeros(1, frames, 20))
            assert mask.sum() >= 1 and hidden.isfinite().all()

    def test_are_refused_to_the_letter_of_espnet(self):
        model = make_recogniser(mask_padding=False)
        with pytest.raises(ValueError, match="at least 7 frames"):
            model(torch.zeros(1, 6, 20))
        assert model.encode(torch.zeros(1, 7, 20))[0].shape[1] == 1

    @pytest.mark.parametrize(("subsampling", "frames"), [("conv2d1", 5), ("conv2d2", 7), ("conv2d6", 11)])
    def test_the_fewest_frames_of_each_subsampling(self, subsampling, frames):
        # As `check_short_utt` of ESPnet has them, but for conv2d6, whose 11 it shares.
        config = make_config(subsampling=subsampling, mask_padding=False)
        assert config.min_frames == frames


class TestLosses:
    def test_ctc_is_the_sum_over_all_paths(self):
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
        labels, lengths = torch.tensor([[1, 2], [2, -100]]), torch.tensor([4, 3])
        total = 0.0
        for row, length, target in zip(logits.log_softmax(-1), lengths.tolist(), ([1, 2], [2])):
            probability = 0.0
            for path in itertools.product(range(3), repeat=length):
                merged = [label for label, _ in itertools.groupby(path) if label != 0]
                if merged == target:
                    probability += sum(row[t, label] for t, label in enumerate(path)).exp().item()
            total -= torch.log(torch.tensor(probability)).item()
        assert ctc_loss(logits, lengths, labels, blank=0).item() == pytest.approx(total / 2, rel=1e-5)

    def test_a_transcript_that_does_not_fit_counts_as_zero(self):
        logits = torch.randn(1, 2, 5, requires_grad=True)
        loss = ctc_loss(logits, torch.tensor([2]), torch.tensor([[1, 1, 2]]), blank=0)
        loss.backward()
        assert loss.item() == 0 and (logits.grad == 0).all()
        assert ctc_loss(logits, torch.tensor([2]), torch.tensor([[1, 1, 2]]), 0, zero_infinity=False).isinf()

    def test_label_smoothing_is_a_divergence_from_the_smoothed_targets(self):
        logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
        targets = torch.tensor([[1, 2, 3], [4, -100, -100]])
        smoothed = torch.full((4, 7), 0.1 / 6)
        smoothed[torch.arange(4), targets[targets != -100]] = 0.9
        expected = F.kl_div(logits[targets != -100].log_softmax(-1), smoothed, reduction="sum")
        torch.testing.assert_close(label_smoothing_loss(logits, targets, 0.1), expected / 2)
        torch.testing.assert_close(label_smoothing_loss(logits, targets, 0.1, length_normalized=True), expected / 4)

    def test_without_smoothing_it_is_cross_entropy(self):
        logits, targets = torch.randn(2, 3, 7), torch.tensor([[1, 2, 3], [4, 0, -100]])
        expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        torch.testing.assert_close(label_smoothing_loss(logits, targets, 0.0), expected / 2)

    @pytest.mark.parametrize("ctc_weight", [0.0, 0.25, 1.0])
    def test_are_weighted(self, ctc_weight):
        model = make_recogniser(ctc_weight=ctc_weight)
        features, mask = make_batch((40, 30))
        outputs = model(features, mask, labels=torch.tensor([[2, 3], [4, -100]]))
        parts = [
            (ctc_weight, outputs.ctc_loss, outputs.ctc_logits),
            (1 - ctc_weight, outputs.attention_loss, outputs.logits),
        ]
        assert [part is None and logits is None for _, part, logits in parts] == [ctc_weight == 0, ctc_weight == 1]
        torch.testing.assert_close(outputs.loss, sum(weight * part for weight, part, _ in parts if part is not None))

    def test_sos_and_eos_are_added(self, recogniser):
        features, _ = make_batch((40,))
        labels = torch.tensor([[2, 3, -100]])
        outputs = recogniser(features, labels=labels)
        inputs = torch.tensor([[11, 2, 3]])
        logits = recogniser(features, decoder_input_ids=inputs).logits
        torch.testing.assert_close(outputs.logits[:, :3], logits)
        expected = label_smoothing_loss(logits, torch.tensor([[2, 3, 11]]), 0.1)
        torch.testing.assert_close(outputs.attention_loss, expected)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [([[2, -100, 3]], "in front of tokens"), ([[2, 12, 3]], "2 to 12"), ([[2, -1]], "-1 to 2")],
    )
    def test_labels_that_cannot_be_are_refused(self, recogniser, labels, message):
        with pytest.raises(ValueError, match=message):
            recogniser(torch.zeros(1, 40, 20), labels=torch.tensor(labels))

    def test_features_of_another_shape_are_refused(self, recogniser):
        with pytest.raises(ValueError, match=r"\(batch, frames, 20\) is expected"):
            recogniser(torch.zeros(1, 40, 80))


@pytest.mark.parametrize("name", ["conformer", "rnn", "rnn_gru"])
class TestDecodeStep:
    def test_equals_the_decoder_on_whole_prefixes(self, name):
        recogniser = make_recogniser(**VARIANTS[name])
        features, mask = make_batch((60, 35))
        prefixes = torch.tensor([[11, 2, 3, 4, 5], [11, 6, 6, 7, 8]])
        with torch.no_grad():
            memory, memory_mask = recogniser.encode(features, mask)
            whole = recogniser.decoder(prefixes, memory, memory_mask).log_softmax(-1)
            cache = None
            for length in range(1, 6):
                step, cache = recogniser.decode_step(prefixes[:, :length], memory, memory_mask, cache)
                torch.testing.assert_close(step, whole[:, length - 1], atol=1e-5, rtol=1e-5)
                anew, _ = recogniser.decode_step(prefixes[:, :length], memory, memory_mask, None)
                torch.testing.assert_close(step, anew, atol=1e-5, rtol=1e-5)

    def test_the_cache_can_be_reordered(self, name):
        recogniser = make_recogniser(**VARIANTS[name])
        features, mask = make_batch((60, 35))
        prefixes, parents = torch.tensor([[11, 2], [11, 6]]), torch.tensor([1, 1, 0])
        with torch.no_grad():
            memory, memory_mask = recogniser.encode(features, mask)
            _, cache = recogniser.decode_step(prefixes[:, :1], memory, memory_mask)
            _, cache = recogniser.decode_step(prefixes, memory, memory_mask, cache)
            cache = tuple(tensor.index_select(0, parents) for tensor in cache)
            longer = torch.cat([prefixes[parents], torch.tensor([[3], [4], [5]])], dim=1)
            step, _ = recogniser.decode_step(longer, memory[parents], memory_mask[parents], cache)
            expected, _ = recogniser.decode_step(longer, memory[parents], memory_mask[parents])
        torch.testing.assert_close(step, expected, atol=1e-5, rtol=1e-5)


class TestBranches:
    def test_what_a_model_lacks_is_said(self):
        memory = torch.zeros(1, 3, 16)
        with pytest.raises(ValueError, match="no decoder"):
            make_recogniser(ctc_weight=1.0).decode_step(torch.tensor([[11]]), memory)
        with pytest.raises(ValueError, match="no CTC layer"):
            make_recogniser(ctc_weight=0.0).ctc_log_probs(memory)


class TestClassifier:
    def test_gets_the_encoder_of_a_recogniser(self, recogniser, tmp_path):
        recogniser.save_pretrained(tmp_path)
        classifier = AutoModelForAudioClassification.from_pretrained(tmp_path, num_labels=3)
        assert classifier.classifier.out_features == 3
        for name, tensor in recogniser.model.state_dict().items():
            torch.testing.assert_close(classifier.model.state_dict()[name], tensor, msg=name)
        bare = AutoModel.from_pretrained(tmp_path).eval()
        features, mask = make_batch((40, 20))
        with torch.no_grad():
            hidden, hidden_mask = recogniser.encode(features, mask)
            pooled = bare(features, mask).pooler_output
        expected = torch.stack([row[valid].mean(dim=0) for row, valid in zip(hidden, hidden_mask)])
        torch.testing.assert_close(pooled, expected, atol=1e-6, rtol=1e-5)

    def test_gives_a_recogniser_its_encoder(self, tmp_path):
        classifier = shake(EspnetAsrForAudioClassification(make_config()))
        classifier.save_pretrained(tmp_path)
        recogniser = AutoModelForSpeechSeq2Seq.from_pretrained(tmp_path)
        for name, tensor in classifier.model.state_dict().items():
            torch.testing.assert_close(recogniser.model.state_dict()[name], tensor, msg=name)

    def test_frozen_it_trains_the_head_alone(self):
        model = shake(EspnetAsrForAudioClassification(make_config(specaug={"time_mask_width_range": [0, 9]})))
        model.freeze_base_model()
        before = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        features, mask = make_batch((40, 20))
        model.train()
        assert not model.model.training and model.classifier.training
        model(features, mask, labels=torch.tensor([0, 1])).loss.backward()
        optimizer.step()
        changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
        assert changed == {"classifier.weight", "classifier.bias"}

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("encoder_type", "rate", "steps"),
        [("conformer", 0.01, 40), ("transformer", 0.01, 40), ("e_branchformer", 0.01, 40), ("vgg_rnn", 0.003, 80)],
    )
    def test_can_learn_its_training_clips(self, encoder_type, rate, steps):
        torch.manual_seed(0)
        model = EspnetAsrForAudioClassification(make_config(encoder_type=encoder_type)).train()
        features, mask = make_batch((30, 30, 30, 25, 25, 25))
        labels = torch.arange(6) % 4
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(steps):
            loss = model(features, mask, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.2


class TestTraining:
    def test_checkpointing_gives_equal_gradients(self):
        features, mask = make_batch((40, 20))
        labels = torch.tensor([[2, 3], [4, -100]])
        dropouts = dict.fromkeys(
            ("hidden_dropout", "positional_dropout", "decoder_dropout", "decoder_positional_dropout"), 0.0
        )
        for encoder_type in ("conformer", "e_branchformer", "vgg_rnn", "rnn"):
            model = make_recogniser(encoder_type=encoder_type, **dropouts)
            checkpointed = copy.deepcopy(model)
            checkpointed.gradient_checkpointing_enable()
            for one in (model.train(), checkpointed.train()):
                one(features, mask, labels=labels).loss.backward()
            assert any(getattr(module, "gradient_checkpointing", False) for module in checkpointed.modules())
            for (name, expected), parameter in zip(model.named_parameters(), checkpointed.parameters()):
                torch.testing.assert_close(parameter.grad, expected.grad, atol=1e-5, rtol=1e-4, msg=name)

    def train_one_step(self, model: nn.Module, rows: list[dict], batch_size: int, folder) -> dict:
        model = copy.deepcopy(model)
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        model.train = lambda mode=True: (
            model
        )  # batch statistics would depend on the size of a batch, and dropout is random
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=1,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=len(rows) // batch_size,
            learning_rate=0.1,
            optim="sgd",
            max_grad_norm=0,
            lr_scheduler_type="constant",
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        collate = lambda batch: {key: torch.stack([row[key] for row in batch]) for key in batch[0]}  # noqa: E731
        Trainer(model, arguments, data_collator=collate, train_dataset=rows).train()
        return {name: parameter - before[name] for name, parameter in model.named_parameters()}

    @pytest.mark.parametrize("kind", ["recogniser", "classifier"])
    def test_accumulation_gives_the_update_of_the_whole_batch(self, kind, tmp_path):
        features, mask = make_batch((30, 28, 33, 41), seed=1)
        features = features.nan_to_num(0.0)
        if kind == "recogniser":
            model = make_recogniser()
            # As many tokens as clips differ, so that a mean over tokens would be another one.
            labels = torch.tensor([[2, 3, 4, 5], [6, -100, -100, -100], [7, 8, -100, -100], [3, 9, 3, -100]])
        else:
            model, labels = shake(EspnetAsrForAudioClassification(make_config())).eval(), torch.tensor([0, 1, 2, 3])
        rows = [
            {"input_features": f, "attention_mask": m, "labels": label} for f, m, label in zip(features, mask, labels)
        ]
        whole, accumulated = (self.train_one_step(model, rows, size, tmp_path) for size in (4, 1))
        assert max(update.norm() for update in whole.values()) > 1e-3
        for name, update in whole.items():
            torch.testing.assert_close(accumulated[name], update, atol=1e-5, rtol=1e-3, msg=name)

    def test_layers_are_dropped_in_training_alone(self):
        model = make_recogniser(layerdrop=1.0, decoder_layerdrop=1.0)
        features, _ = make_batch((40,))
        labels = torch.tensor([[2, 3]])
        model(features, labels=labels).loss.backward()
        assert model.decoder.decoders[0].feed_forward.w_1.weight.grad is not None
        model.zero_grad()
        model.train()(features, labels=labels).loss.backward()
        assert model.decoder.decoders[0].feed_forward.w_1.weight.grad is None
        assert model.model.encoder.encoders[0].feed_forward.w_1.weight.grad is None
        assert model.model.encoder.embed.conv[0].weight.grad is not None


class TestSpecAugment:
    OPTIONS = {"apply_time_warp": False, "time_mask_width_range": [3, 4], "freq_mask_width_range": [2, 3]}

    def test_masks_bands_of_the_widths_asked_for(self):
        torch.manual_seed(0)
        masked = spec_augment(torch.ones(50, 60, 20), [60] * 50, {**self.OPTIONS, "num_time_mask": 1}) == 0
        frames, bins = masked.all(dim=2), masked.all(dim=1)
        assert (frames.sum(dim=1) == 3).all() and set(bins.sum(dim=1).tolist()) <= {2, 3, 4}
        torch.testing.assert_close(masked, frames[:, :, None] | bins[:, None, :])
        assert len({tuple(row.nonzero()[:, 0].tolist()) for row in frames}) > 10, "each clip has its own"

    def test_ratio_is_of_the_frames(self):
        torch.manual_seed(0)
        options = {"apply_time_warp": False, "apply_freq_mask": False, "time_mask_width_ratio_range": [0.1, 0.11]}
        masked = spec_augment(torch.ones(8, 100, 5), [100] * 8, {**options, "num_time_mask": 1}) == 0
        assert (masked.all(dim=2).sum(dim=1) == 10).all()

    def test_warping_keeps_length_padding_and_both_ends(self):
        torch.manual_seed(0)
        ramp = torch.arange(60.0)[None, :, None].expand(4, 60, 3).clone()
        ramp[1, 40:] = -1
        options = {"apply_freq_mask": False, "apply_time_mask": False, "time_warp_mode": "bilinear"}
        warped = spec_augment(ramp, [60, 40, 60, 9], options)
        assert warped.shape == ramp.shape and (warped[1, 40:] == -1).all()
        torch.testing.assert_close(warped[3], ramp[3], msg="too short to warp")
        assert (warped[0] - ramp[0]).abs().max() > 0.5 and (warped[0] - ramp[0]).abs().max() < 6
        assert (warped[0].diff(dim=0) >= 0).all(), "time runs forwards"

    def test_in_training_alone(self):
        model = make_recogniser(
            specaug=self.OPTIONS, hidden_dropout=0.0, positional_dropout=0.0, encoder_type="transformer"
        )
        features, _ = make_batch((50,))
        with torch.no_grad():
            torch.testing.assert_close(model.encode(features)[0], model.encode(features)[0])
            first, second = (model.train().encode(features)[0] for _ in range(2))
        assert (first - second).abs().max() > 1e-3


@pytest.mark.slow
class TestCompilers:
    # Legacy positions and recurrent layers depend on the lengths of the clips.
    @pytest.mark.parametrize("name", ["transformer", "conformer", "e_branchformer"])
    def test_a_classifier_exports_for_any_batch_and_length(self, name):
        model = shake(EspnetAsrForAudioClassification(make_config(**VARIANTS[name]))).eval()
        batch, frames = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("frames", min=20, max=3000)
        shape = {0: batch, 1: frames}
        features, mask = make_batch((60, 44))
        with torch.no_grad():
            program = torch.export.export(
                model,
                (),
                kwargs={"input_features": features, "attention_mask": mask},
                dynamic_shapes={"input_features": shape, "attention_mask": shape},
                strict=False,
            ).module()
            for lengths in ((91, 30, 77), (25,)):
                features, mask = make_batch(lengths)
                logits = program(input_features=features, attention_mask=mask).logits
                torch.testing.assert_close(logits, model(features, mask).logits, atol=1e-5, rtol=1e-5)

    def test_compiles_without_a_graph_break(self):
        model = shake(EspnetAsrForAudioClassification(make_config())).eval()
        features, mask = make_batch((60, 44))
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            logits = compiled(features, attention_mask=mask).logits
            torch.testing.assert_close(logits, model(features, mask).logits, atol=1e-5, rtol=1e-5)


class TestCheckpoints:
    @pytest.mark.parametrize("name", VARIANTS)
    def test_round_trip(self, name, tmp_path):
        model = make_recogniser(**VARIANTS[name])
        model.save_pretrained(tmp_path)
        loaded = AutoModelForSpeechSeq2Seq.from_pretrained(tmp_path)
        assert type(loaded) is EspnetAsrForSpeechSeq2Seq
        fields = {field.name for field in dataclasses.fields(EspnetAsrConfig)} & EspnetAsrConfig.__annotations__.keys()
        assert {"mask_padding", "specaug", "encoder_type"} <= fields
        assert all(getattr(loaded.config, field) == getattr(model.config, field) for field in fields)
        for key, tensor in model.state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[key], tensor, rtol=0, atol=0, msg=key)

    def test_bfloat16(self, tmp_path):
        make_recogniser().save_pretrained(tmp_path)
        model = EspnetAsrModel.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
        features, mask = make_batch((40, 20))
        with torch.no_grad():
            outputs = model(features, mask)
        assert outputs.last_hidden_state.dtype == torch.bfloat16 and outputs.last_hidden_state.isfinite().all()


class TestConfiguration:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"encoder_type": "branchformer"}, "encoder_type='branchformer' is not one of conformer"),
            ({"decoder_type": "lstm"}, "decoder_type='lstm' is not one of transformer, rnn"),
            ({"rnn_subsample": [2, 0]}, r"rnn_subsample=\[2, 0\]"),
            ({"encoder_type": "transformer", "position_embeddings_type": "relative"}, "absolute positions only"),
            ({"subsampling": "linear"}, "subsampling='linear'"),
            ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
            ({"conv_kernel_size": 8}, "conv_kernel_size=8: only odd"),
            ({"cgmlp_linear_units": 31}, "must be even"),
            ({"hidden_size": 18}, "is not a multiple of num_attention_heads=4"),
            ({"decoder_attention_heads": 3}, "is not a multiple of decoder_attention_heads=3"),
            ({"num_mel_bins": 6}, "needs at least 7"),
            ({"ctc_weight": 1.5}, "ctc_weight=1.5"),
            ({"hidden_dropout": -0.1}, "hidden_dropout=-0.1"),
            ({"specaug": {"time_mask": 5}}, "specaug: unknown time_mask"),
            ({"specaug": {}}, "give one of time_mask_width_range"),
            ({"num_hidden_layers": 0}, "num_hidden_layers=0"),
        ],
    )
    def test_what_cannot_be(self, fields, message):
        with pytest.raises(StrictDataclassClassValidationError, match=message):
            make_config(**fields)

    def test_defaults_that_depend_on_others(self):
        config = make_config(encoder_type="transformer")
        assert (config.hidden_act, config.position_embeddings_type) == ("relu", "absolute")
        config = make_config(encoder_type="conformer")
        assert (config.hidden_act, config.position_embeddings_type) == ("swish", "relative")
        assert config.bos_token_id == config.eos_token_id == config.pad_token_id == 11
        assert make_config(subsampling="conv2d6").subsampling_factor == 6
        assert make_config(encoder_type="rnn", rnn_subsample=[2, 3, 5]).subsampling_factor == 6
