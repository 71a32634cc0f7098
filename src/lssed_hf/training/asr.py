"""Training of speech recognisers on transcribed speech: ESPnet's hybrid of CTC and attention."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm
from transformers import EvalPrediction, set_seed

from ..corpora.sources import find_source, load_splits
from ..evaluation.wer import (
    Normalization,
    count_errors,
    evaluate_transcripts,
    import_jiwer,
    rates_table,
    write_transcript_report,
    write_transcripts,
)
from ..files import naming
from ..hub.training_record import corpus_facts, split_facts, start_facts, write_record
from ..inference.classifiers.checks import COPY_AGAIN, refusing
from ..inference.classifiers.loading import find_model
from ..inference.classifiers.network import open_front_end, open_trained
from ..models.espnet.configuration_espnet_asr import EspnetAsrConfig
from ..models.espnet.feature_extraction_espnet_asr import EspnetAsrFeatureExtractor
from ..models.espnet.generation_espnet_asr import DEFAULTS
from ..models.espnet.modeling_espnet_asr import EspnetAsrForSpeechSeq2Seq
from ..models.espnet.processing_espnet_asr import IGNORED, EspnetAsrProcessor
from ..models.espnet.tokenization_espnet_asr import EspnetAsrTokenizer
from ..wording import count_left_out, counted
from .arrays import row_frames
from .asr_arguments import AsrDataArguments, AsrModelArguments, AsrRecipeArguments
from .data import frame_counts
from .features import compute_features, fit_normalization
from .network import find_checkpoint
from .output_folder import begin, check_settings, claimed, finish, settings_of
from .record import read_outcome
from .selection import with_validation
from .trainer import CardTrainer
from .vocabulary import character_tokens, sentencepiece_tokens


logger = logging.getLogger(__name__)

#: Columns that the rows of every corpus have here.
_COLUMNS = ("id", "corpus", "speaker", "transcript")


def train_asr(data_args: AsrDataArguments, model_args: AsrModelArguments, args: AsrRecipeArguments) -> dict[str, Any]:
    """Train, keep the best model on the validation splits, and score it on the validation and the test splits.

    `args.output_dir` then holds the model and its processor, which `pipeline("automatic-speech-recognition")` serves;
    `results.json` and `report.md` with error rates of every corpus; `transcripts.csv` with references and hypotheses;
    `rejected.csv`, utterances that could not be used and why; and the Trainer's logs and checkpoints. A training that
    was stopped goes on from its last checkpoint when it is started again, and ends in the same weights; a finished one
    is left alone.

    Returns:
        Test set (e.g. "ravdess test") -> its error rates, see `evaluate_transcripts`.

    Raises:
        ValueError: Flags that do not go together, a corpus without the columns, splits or transcripts that are
            needed, or the folder is another training's, see `output_folder`.
        ImportError: The package jiwer or, for sentencepiece tokens, sentencepiece is not installed.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    import_jiwer()  # rather now than after the training
    with claimed(Path(args.output_dir)), naming(args.output_dir):
        return _train_in_folder(data_args, model_args, args)


def _train_in_folder(
    data_args: AsrDataArguments, model_args: AsrModelArguments, args: AsrRecipeArguments
) -> dict[str, Any]:
    """See `train_asr`; the folder is this training's alone."""
    folder, settings = Path(args.output_dir), settings_of(data_args, model_args, args)
    if not args.restart:
        check_settings(folder, settings)
    set_seed(args.seed)

    normalization = Normalization(data_args.text_case, data_args.keep_punctuation)
    splits, rejected = load_transcribed(data_args, normalization, args.seed)
    if begin(folder, settings, splits, _COLUMNS, restart=args.restart):
        return read_outcome(folder).results
    checkpoint = find_checkpoint(args)
    if args.should_save:
        names = ("corpus", "split", "id", "reason")
        write_transcripts(Path(args.output_dir) / "rejected.csv", [dict(zip(names, row)) for row in rejected])
    with args.main_process_first(desc="building the model"):
        model, processor = build_recogniser(model_args, splits["train"]["transcript"], args.output_dir)

    with args.main_process_first(desc="computing features"):
        features = _features(splits, processor.feature_extractor, data_args.preprocessing_num_workers)
    trainer = AsrTrainer(
        model=model,
        args=args,
        train_dataset=TranscribedDataset(features["train"], processor),
        eval_dataset=TranscribedDataset(features["validation"], processor),
        data_collator=processor.pad,
        processing_class=processor,
    )
    logger.info(
        f"{model.num_parameters():,} parameters, {len(processor.tokenizer)} tokens, {len(splits['train'])} training "
        f"and {len(splits['validation'])} validation utterances, {args.world_size} process(es)"
    )
    if trainer.is_world_process_zero():
        # Before the training, so that the card of every checkpoint has it.
        _record(data_args, model_args, args, splits, model.num_parameters())
    outcome = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    trainer.save_metrics("train", outcome.metrics)
    trainer.save_state()
    if not trainer.is_world_process_zero():
        return {}
    if "test" not in features:
        logger.warning(f"no corpus has a split {data_args.test_split_name!r}: nothing to test on")
    tested = {split: features[split] for split in ("validation", "test") if split in features}
    results, transcripts = _score(model, processor, tested, normalization, args)
    _report(results, transcripts, rejected, data_args, model, args, normalization)
    trainer.create_model_card()
    finish(folder)
    return results


def _features(
    splits: Mapping[str, datasets.Dataset], feature_extractor: EspnetAsrFeatureExtractor, num_proc: int | None
) -> dict[str, datasets.Dataset]:
    """Compute the features of all splits, and fit the normalisation of the front end if it has none."""
    features = {split: compute_features(rows, feature_extractor, num_proc=num_proc) for split, rows in splits.items()}
    if feature_extractor.normalization == "global_mvn" and feature_extractor.mean is None:
        fit_normalization(feature_extractor, features["train"])
    return features


def _score(
    model: EspnetAsrForSpeechSeq2Seq,
    processor: EspnetAsrProcessor,
    features: Mapping[str, datasets.Dataset],
    normalization: Normalization,
    args: AsrRecipeArguments,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the error rates of each corpus and split, and a row of `transcripts.csv` for each utterance."""
    results, transcripts = {}, []
    for split, rows in features.items():
        dataset = TranscribedDataset(rows, processor)
        decoded = recognise(model, dataset, args.per_device_eval_batch_size)
        decoded = tqdm(decoded, f"Decoding {split}", len(rows), unit="utterance", disable=None)
        hypotheses = [normalization(hypothesis) for hypothesis in decoded]
        columns = {name: list(rows[name]) for name in _COLUMNS}
        for corpus in dict.fromkeys(columns["corpus"]):
            chosen = [index for index, name in enumerate(columns["corpus"]) if name == corpus]
            references, speakers = ([columns[name][index] for index in chosen] for name in ("transcript", "speaker"))
            results[f"{corpus} {split}"] = evaluate_transcripts(
                references, [hypotheses[index] for index in chosen], speakers, seed=args.seed
            )
        errors = count_errors(columns["transcript"], hypotheses)
        for index, (hypothesis, counts) in enumerate(zip(hypotheses, errors.tolist())):
            row = {"split": split, **{name: columns[name][index] for name in _COLUMNS}}
            transcripts.append({**row, "recognised": hypothesis, "word_errors": sum(counts[:3]), "words": counts[3]})
    return results, transcripts


def _record(
    data_args: AsrDataArguments,
    model_args: AsrModelArguments,
    args: AsrRecipeArguments,
    splits: dict[str, datasets.Dataset],
    num_parameters: int,
) -> None:
    """Write `training.json`."""
    name = model_args.model_name_or_path
    folders = data_args.data_dir or ["-"] * len(data_args.dataset_name)
    speakers = {
        use: [speaker and f"{corpus}/{speaker}" for corpus, speaker in zip(rows["corpus"], rows["speaker"])]
        for use, rows in splits.items()
    }
    facts = {
        "model": "ESPnet-style recogniser" if name is None else Path(name).name,
        "start": start_facts(name),
        "corpora": [
            corpus_facts(
                corpus, None if folder == "-" else folder, data_args.dataset_config_name, data_args.split_scheme
            )
            for corpus, folder in zip(data_args.dataset_name, folders)
        ],
        "num_parameters": num_parameters,
        **split_facts(speakers),
    }
    write_record(args.output_dir, facts, (data_args, model_args, args))


def load_transcribed(
    data_args: AsrDataArguments, normalization: Normalization, seed: int = 0
) -> tuple[dict[str, datasets.Dataset], list[tuple[str, str, str, str]]]:
    """Load the corpora, one behind the other, with normalised transcripts.

    Returns:
        `train`, `validation` and, where a corpus has one, `test`, each with the columns `audio`, `id`, `corpus`,
        `speaker` (None where unknown) and `transcript`; and corpus, split, id and reason of utterances left out.

    Raises:
        ValueError: A corpus lacks the audio or transcript column or the training split, or no transcript is left.
    """
    names = data_args.dataset_name
    folders = data_args.data_dir or ["-"] * len(names)
    if len(folders) != len(names):
        raise ValueError(f"{len(names)} --dataset_name but {len(folders)} --data_dir; '-' stands for a corpus's own")
    labels = [Path(name).name for name in names]
    if len(set(labels)) < len(labels):
        raise ValueError(f"--dataset_name {' '.join(names)}: their names must differ, to tell their scores apart")
    parts: dict[str, list[datasets.Dataset]] = {"train": [], "validation": [], "test": []}
    rejected: list[tuple[str, str, str, str]] = []
    for name, folder, label in zip(names, folders, labels):
        source = find_source(name, None if folder == "-" else folder)
        corpus = load_splits(
            name,
            data_args.dataset_config_name or ("default" if source.corpus else None),
            None if folder == "-" else folder,
            data_args.split_scheme if source.corpus else None,
        )
        corpus = with_validation(corpus, data_args, seed)
        for split, rows in parts.items():
            theirs = getattr(data_args, f"{split}_split_name")
            if theirs in corpus:
                usable, unusable = _prepare(corpus[theirs], f"{name}, split {theirs!r}", data_args, normalization)
                rows.append(usable.add_column("corpus", [label] * len(usable)))
                rejected += [(label, split, *row) for row in unusable]
    for _, reason in sorted({(row[0], row[3]) for row in rejected}):
        count = sum(row[3] == reason for row in rejected)
        logger.warning(f"{count_left_out(count, 'utterance')} ({reason}), see rejected.csv")
    splits = {split: datasets.concatenate_datasets(rows) for split, rows in parts.items() if rows}
    for split in ("train", "validation"):
        if not len(splits.get(split, ())):
            raise ValueError(f"{', '.join(names)}: no transcribed utterance is left for {split}")
    return splits, rejected


def _prepare(
    rows: datasets.Dataset, source: str, data_args: AsrDataArguments, normalization: Normalization
) -> tuple[datasets.Dataset, list[tuple[str, str]]]:
    """Return the usable rows of a split in our columns, and id and reason of the others."""
    audio, transcript, speaker = (
        getattr(data_args, f"{kind}_column_name") for kind in ("audio", "transcript", "speaker")
    )
    for column in (audio, transcript):
        if column not in rows.column_names:
            raise ValueError(f"{source} has no column {column!r}; it has {', '.join(rows.column_names)}")
    texts = ["" if text is None else normalization(text) for text in rows[transcript]]
    ids = list(map(str, rows["id"])) if "id" in rows.column_names else [str(index) for index in range(len(rows))]
    speakers = rows[speaker] if speaker in rows.column_names else [None] * len(rows)
    kept, rejected = [], []
    for index, (original, text) in enumerate(zip(rows[transcript], texts)):
        if text:
            kept.append(index)
        elif original is None or not original.strip():
            rejected.append((ids[index], "no transcript"))
        else:
            rejected.append((ids[index], f"nothing is left of its transcript {original!r} when it is normalised"))
    columns = {
        "id": ids,
        "speaker": [None if value is None else str(value) for value in speakers],
        "transcript": texts,
    }
    usable = rows.select_columns([audio]).cast_column(audio, datasets.Audio(decode=False)).select(kept)
    usable = usable.rename_column(audio, "audio") if audio != "audio" else usable
    for column, values in columns.items():
        feature = datasets.Value("string")
        usable = usable.add_column(column, [values[index] for index in kept], feature=feature)
    return usable, rejected


def build_recogniser(
    model_args: AsrModelArguments, transcripts: Sequence[str], output_dir: str | os.PathLike
) -> tuple[EspnetAsrForSpeechSeq2Seq, EspnetAsrProcessor]:
    """Return a network from scratch with a vocabulary of the transcripts, or a saved recogniser with its own.

    Args:
        model_args: Recogniser to build.
        transcripts: Normalised transcripts of the training split.
        output_dir: Folder that sentencepiece writes its model to.

    Raises:
        OSError: There is no such recogniser.
        ValueError: Flags for networks from scratch together with a saved one, or its files are damaged, lack weights,
            or do not fit each other.
        ImportError: The package sentencepiece is asked for and not installed.
    """
    generation = json.loads(model_args.generation_overrides or "{}")
    if model_args.model_name_or_path is not None:
        given = [
            name
            for name in ("config_overrides", "feature_extractor_overrides", "specaug", "vocab_size")
            if getattr(model_args, name) is not None
        ]
        if given or model_args.token_type != "char":
            raise ValueError(
                f"--{', --'.join(given or ['token_type'])}: for recognisers from scratch; "
                f"{model_args.model_name_or_path!r} has its own"
            )
        name = find_model(model_args.model_name_or_path)
        open_front_end(name)
        model = open_trained(name, auto_class=EspnetAsrForSpeechSeq2Seq)
        with refusing(name):
            # Without the argument, transformers would ask on the terminal whether to run a tokenizer's code.
            processor = EspnetAsrProcessor.from_pretrained(name, trust_remote_code=False)
        if len(processor.tokenizer.decoder) != model.config.vocab_size:
            raise ValueError(
                f"{name}: its tokenizer has {len(processor.tokenizer.decoder)} tokens and its network "
                f"{model.config.vocab_size} outputs; {COPY_AGAIN}"
            )
    else:
        if model_args.token_type == "bpe":
            tokens, bpe_file = sentencepiece_tokens(transcripts, model_args.vocab_size or 500, output_dir)
        else:
            tokens, bpe_file = character_tokens(transcripts), None
        extractor = EspnetAsrFeatureExtractor(**json.loads(model_args.feature_extractor_overrides or "{}"))
        processor = EspnetAsrProcessor(extractor, EspnetAsrTokenizer(token_list=tokens, bpe_file=bpe_file))
        config = {"specaug": json.loads(model_args.specaug or "null") or LIBRISPEECH_SPECAUG}
        config.update(json.loads(model_args.config_overrides or "{}"))
        model = EspnetAsrForSpeechSeq2Seq(
            EspnetAsrConfig(vocab_size=len(tokens), num_mel_bins=extractor.num_mel_bins, **config)
        )
    model.generation_config.update(**generation)
    return model, processor


#: SpecAugment of ESPnet's LibriSpeech conformer recipe.
LIBRISPEECH_SPECAUG = {
    "time_warp_window": 5,
    "freq_mask_width_range": [0, 27],
    "num_freq_mask": 2,
    "time_mask_width_ratio_range": [0.0, 0.05],
    "num_time_mask": 10,
}


class TranscribedDataset(torch.utils.data.Dataset):
    """Data set of features and token numbers from rows of `compute_features`, for `EspnetAsrProcessor.pad`."""

    def __init__(self, rows: datasets.Dataset, processor: EspnetAsrProcessor):
        self.values = rows.select_columns(["values", "width"]).with_format("arrow")
        self.labels = processor.tokenizer(list(rows["transcript"])).input_ids
        self.lengths = frame_counts(rows)
        self.feature_extractor = processor.feature_extractor
        self.tokenizer = processor.tokenizer
        unknown = sum(self.tokenizer.unk_token_id in ids for ids in self.labels)
        if unknown:
            logger.warning(
                f"{unknown} of {len(self)} transcripts hold what the vocabulary has not, which becomes <unk>; is "
                "--text_case that of the vocabulary?"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        features = self.feature_extractor.normalize(row_frames(self.values[index]))
        return {"input_features": features.astype(np.float32), "labels": self.labels[index]}


class AsrTrainer(CardTrainer):
    """Trainer with ESPnet's schedule, batches of equally long clips, and error rates of the best CTC path."""

    def __init__(self, **kwargs):
        super().__init__(compute_metrics=self._error_rates, **kwargs)

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        if self.args.lr_scheduler_type != "inverse_sqrt":
            return super().create_scheduler(num_training_steps, optimizer)
        if self.lr_scheduler is None:
            warmup = max(1, self.args.get_warmup_steps(num_training_steps))
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: warmup_factor(step, warmup))
        return self.lr_scheduler

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        inputs = self._prepare_inputs(inputs)
        recogniser = self.accelerator.unwrap_model(model)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = model(**inputs).loss.detach().mean()
            if prediction_loss_only:
                return loss, None, None
            quick = {"ctc_greedy": True} if recogniser.config.ctc_weight > 0 else {"num_beams": 1, "ctc_weight": 0.0}
            tokens = recogniser.generate(inputs["input_features"], inputs["attention_mask"], **quick)
        return loss, tokens, inputs["labels"]

    def _error_rates(self, prediction: EvalPrediction) -> dict[str, float]:
        tokenizer = self.eval_dataset.tokenizer
        texts = [
            tokenizer.batch_decode(np.where(ids == IGNORED, tokenizer.pad_token_id, ids), skip_special_tokens=True)
            for ids in (prediction.label_ids, prediction.predictions)
        ]
        rates = {}
        for name, unit in (("wer", "word"), ("cer", "character")):
            # What the tokenizer does not know is left out of the text, which may leave a reference empty.
            pairs = [(reference, hypothesis) for reference, hypothesis in zip(*texts) if reference.strip()]
            counts = count_errors(*zip(*pairs), unit).sum(axis=0) if pairs else [0, 0, 0, 1]
            rates[name] = float(sum(counts[:3]) / counts[3])
        return rates


def warmup_factor(step: int, warmup_steps: int) -> float:
    """Return the share of the learning rate at an update, the first of which is 0, as ESPnet's WarmupLR.

    It is min(n / warmup, sqrt(warmup / n)) for the n-th update: Noam's schedule (Vaswani et al. 2017, section 5.3) but
    for the constant. With d the width of the model, Noam's factor k is a learning rate of k / sqrt(d * warmup).
    """
    number = step + 1
    return min(number / warmup_steps, (warmup_steps / number) ** 0.5)


@torch.no_grad()
def recognise(model: EspnetAsrForSpeechSeq2Seq, dataset: TranscribedDataset, batch_size: int = 8) -> Iterator[str]:
    """Yield the transcripts of a dataset in its order, by the model's own generation configuration."""
    model.eval()
    order = np.argsort(dataset.lengths, kind="stable")
    decoded: dict[int, str] = {}
    waiting = 0
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size].tolist()
        batch = dataset.feature_extractor.pad(
            {"input_features": [dataset[index]["input_features"] for index in chosen]}, return_tensors="pt"
        ).to(model.device)
        sequences = model.generate(**batch, num_return_sequences=1, return_dict_in_generate=False)
        texts = dataset.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        decoded.update(zip(chosen, texts, strict=True))
        while waiting in decoded:
            yield decoded.pop(waiting)
            waiting += 1


#: Settings of the decoding that the report shows.
SEARCH_OPTIONS = ("num_beams", "ctc_weight", "penalty", "maxlenratio", "minlenratio", "ctc_greedy")


def _report(results, transcripts, rejected, data_args, model, args, normalization) -> None:
    options = model.generation_config.to_diff_dict()
    search = {name: options.get(name, default) for name, default in DEFAULTS.items() if name in SEARCH_OPTIONS}
    context = {
        "model": args.output_dir,
        "datasets": " ".join(data_args.dataset_name),
        "decoding": json.dumps(search),
        "case": normalization.case,
        "punctuation": "kept" if normalization.punctuation else "removed",
    }
    notes = [
        "References and hypotheses are normalised alike: Unicode NFKC, "
        + {"keep": "case as it is", "lower": "lower case", "upper": "upper case"}[normalization.case]
        + (", punctuation kept" if normalization.punctuation else ", hyphens to spaces, other punctuation removed")
        + ", apostrophes inside of words kept, white space joined. Numbers and abbreviations are not spelt out."
    ]
    if rejected:
        notes.append(f"{counted(len(rejected), 'utterance')} without a usable transcript: see rejected.csv.")
    path = write_transcripts(Path(args.output_dir) / "transcripts.csv", transcripts)
    report = write_transcript_report(results, args.output_dir, context=context, notes=notes)
    print(f"{rates_table(results)}\n\nReport: {report}\nTranscripts: {path}")
