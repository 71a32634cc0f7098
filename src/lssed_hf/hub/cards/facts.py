"""Facts for a model card, read from the records of the model's training and evaluations."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...corpora import corpus_builder, list_corpora
from ...corpora.feature_sets import FEATURE_SETS
from ...evaluation.participants import participant_run
from ...evaluation.run_results import read_run
from ...evaluation.small_samples import clopper_pearson
from ...files import read_json
from ...inference.classifiers.checks import check_labels
from ...inference.classifiers.loading import own_format
from ...inference.classifiers.pretrained import list_pretrained, pretrained_folder
from ...inference.classifiers.svm import CLASSICAL, LICENSE_NOTE, MODEL_TYPE, SVM_MARKER
from ...inference.trained_on import read_record
from ...models.registry import list_models
from ..run_folders import recorded_runs, run_name


logger = logging.getLogger(__name__)

#: Path of a training in an experiment: its system, the corpus or speaker that was left out, and its seed.
_TRAINING = re.compile(r"runs/([^/]+)(?:/without_([^/]+))?/seed_([^/]+)")
DEPRESSION_LABELS = ("not_depressed", "depressed")
_VOTES_NOTE = "Its probabilities are a softmax of won comparisons: they order the classes and are not calibrated."
#: Facts that `training.json` records under the same names.
_RECORDED = (
    *("num_parameters", "start", "teachers", "num_unlabelled", "corpora", "splits", "shared_speakers"),
    *("selected_on_test", "settings", "versions", "ratings"),
)


@dataclass(frozen=True)
class CardFacts:
    """Facts of a model card. None or an empty value stands for unknown, and the card says so.

    Attributes:
        name: Name of the model for people.
        description: Paragraph of plain text.
        notes: Remarks in plain text, one point each.
        task: Task, "audio-classification" or "automatic-speech-recognition".
        model_type: Model type in the configuration.
        labels: Class names, or dimensions of a regression.
        problem_type: Field of the configuration: "regression", "multi_label_classification" or another value.
        ratings: Ratings of the training clips by dimension: `min`, `max`, `mean`, `std` and `num_clips`.
        num_parameters: Number of parameters of the network.
        start: Start of the training: `name` (None: random weights), `local` (a folder, not a name on the Hub) and
            `corpora` of earlier trainings (None: unknown).
        teachers: Teachers of a distillation; each has `name`, `local` and `corpora` as `start` has.
        num_unlabelled: Number of clips without labels in the training.
        corpora: Corpora of the training; each has `name`, and may have `corpus` (a name of `list_corpora()`), `local`,
            `config`, `split_scheme`, `license` and `synthetic`.
        splits: Sizes of the splits, see `split_facts` of `lssed_hf.hub.training_record`.
        shared_speakers: Numbers of speakers that two splits share, see `split_facts`.
        selected_on_test: Whether epochs were chosen on the test split.
        settings: Hyper-parameters by name.
        settings_note: Sentence on the hyper-parameters that are not named.
        versions: Versions of libraries by name.
        results: Contents of `results.json` files.
        people: Scores by participant of a model of depression: for each rule of decision, the shares `right`, `found`
            and `cleared` (see `clopper_pearson`).
        tags: Further tags.
        license: Licence of the weights.
        saved: Whether there is a folder with weights.
        remote_code: Whether the folder carries the model's code.
        own_format: Whether transformers cannot open the folder: one of `lssed-hf export` or `train --probe`, or of
            support vector machines.
        feature_set: Feature set of LSSED that the model takes in place of recordings; None for recordings.
    """

    name: str
    description: str = ""
    notes: Sequence[str] = ()
    task: str = "audio-classification"
    model_type: str | None = None
    labels: Sequence[str] = ()
    problem_type: str | None = None
    ratings: Mapping[str, Mapping[str, float]] | None = None
    num_parameters: int | None = None
    start: Mapping[str, Any] | None = None
    teachers: Sequence[Mapping[str, Any]] = ()
    num_unlabelled: int = 0
    corpora: Sequence[Mapping[str, Any]] = ()
    splits: Mapping[str, Any] | None = None
    shared_speakers: Mapping[str, int | None] | None = None
    selected_on_test: bool = False
    settings: Mapping[str, Any] | None = None
    settings_note: str = ""
    versions: Mapping[str, str] | None = None
    results: Sequence[Mapping[str, Any]] = ()
    people: Mapping[str, Any] | None = None
    tags: Sequence[str] = ()
    license: str | None = None
    saved: bool = True
    remote_code: bool = False
    own_format: bool = False
    feature_set: str | None = None

    @property
    def all_corpora(self) -> list[Mapping[str, Any]]:
        """Corpora of this training, of earlier ones, and of the teachers."""
        earlier = [(model or {}).get("corpora") or () for model in (self.start, *self.teachers)]
        return [*self.corpora, *(corpus for corpora in earlier for corpus in corpora)]

    @property
    def wants_speaker(self) -> bool:
        """True if training normalised clips by the statistics of their speakers."""
        return (self.settings or {}).get("speaker_normalization", "none") != "none"

    @property
    def suits_speakers(self) -> bool:
        """True if the head learnt from clips with and without the statistics of their speakers."""
        settings = self.settings or {}
        with_both = settings.get("probe_pooling") == "statistics" or settings.get("refit_head")
        return self.wants_speaker and bool(with_both)

    @property
    def depression(self) -> bool:
        """True if the model judges health, by its classes or its data."""
        tags = [tag for corpus in self.all_corpora for tag in terms(corpus)["tags"]]
        return "depression-detection" in tags or "depressed" in self.labels


def terms(corpus: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms of a corpus: about, license, forbids, homepage, citation, tags.

    They come from the package; of a corpus that it does not know, only the licence is known, from the record.
    """
    name = corpus.get("corpus")
    if name not in list_corpora():
        unknown = dict.fromkeys(("about", "forbids", "homepage", "citation"), "")
        return {**unknown, "license": corpus.get("license"), "tags": ()}
    builder = corpus_builder(name)
    return {
        "about": (builder.__doc__ or "").strip().splitlines()[0].rstrip("."),
        "license": builder.LICENSE or None,
        "forbids": builder.NO_REDISTRIBUTION and "Its licence forbids redistribution of the corpus or parts of it.",
        "homepage": builder.HOMEPAGE,
        "citation": builder.CITATION,
        "tags": builder.TAGS,
    }


def read_facts(folder: str | os.PathLike, results: Sequence[str | os.PathLike] = ()) -> CardFacts:
    """Read the facts that the folder of a saved model holds.

    Args:
        folder: Folder with `config.json` or `svm.json`. If they are there, `training.json` and `results.json` are read
            too, and `results.json` in the folders `on_...` below, which hold tests on other corpora. A warning names
            those of another model, which are left out.
        results: Further folders that `lssed-hf evaluate` wrote, whatever the model.

    Raises:
        FileNotFoundError: There is no such folder, no configuration, or no `results.json` in one of `results`.
        ValueError: A file cannot be read.
    """
    folder = Path(folder)
    classical = (folder / SVM_MARKER).is_file()
    if not classical and not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} holds no config.json: give the folder of a saved model")
    config = read_json(folder / (SVM_MARKER if classical else "config.json"))
    record = read_record(folder)
    here = [path for path in (folder / "results.json", *sorted(folder.glob("on_*/results.json"))) if path.is_file()]
    tests = [found for path in here if _belongs(found := _read_results(path), path, folder)]
    for place in results:
        if not Path(place, "results.json").is_file():
            raise FileNotFoundError(f"{place} holds no results.json: give a folder that lssed-hf evaluate wrote")
        tests.append(_read_results(Path(place, "results.json")))
    architecture = " ".join(config.get("architectures") or ())
    recognition = re.search("Speech|CTC", architecture) is not None
    labels = config.get("id2label") or {}
    if labels and not recognition:
        check_labels(config, folder / "config.json")
    recorded = {name: record[name] for name in _RECORDED if record.get(name) is not None}
    trained_on = ", ".join(corpus["name"] for corpus in recorded.get("corpora", ()))
    model = record.get("model") or config.get("model_type")
    feature_set = _feature_set(folder, config)
    return CardFacts(
        name=f"{model} on {trained_on}" if trained_on else folder.resolve().name,
        task="automatic-speech-recognition" if recognition else "audio-classification",
        model_type=config.get("model_type"),
        labels=() if recognition else [labels[key] for key in sorted(labels, key=int)],
        problem_type=config.get("problem_type"),
        settings_note="Flags of the training that are not named had their defaults.",
        results=tests,
        people=_people(folder),
        saved=any(path.suffix in (".safetensors", ".onnx", ".xml") for path in folder.iterdir()),
        remote_code=bool(config.get("auto_map")),
        own_format=own_format(folder) is not None,
        notes=_svm_notes(feature_set) if classical else (),
        feature_set=feature_set,
        **{**recorded, "versions": recorded.get("versions") or _config_versions(config)},
    )


def _feature_set(folder: Path, config: Mapping[str, Any]) -> str | None:
    """Return the feature set of LSSED that a model takes in place of recordings, None for recordings.

    Args:
        folder: Folder of the model.
        config: Contents of its `config.json` or `svm.json`.
    """
    path = folder / "preprocessor_config.json"
    kind = config.get("feature_set") or (read_json(path) if path.is_file() else {}).get("input_type")
    return kind if kind in FEATURE_SETS else None


def _svm_notes(feature_set: str | None) -> Sequence[str]:
    """Return the remarks on a support vector machine."""
    return (_VOTES_NOTE,) if feature_set else (LICENSE_NOTE, _VOTES_NOTE)


def recorded_systems(folder: str | os.PathLike) -> Iterator[tuple[str, CardFacts]]:
    """Yield name and facts of each model whose training `lssed-hf benchmark` or `cross-corpus` recorded in a folder.

    They are read from `runs/SYSTEM/seed_N` and `runs/SYSTEM/without_CORPUS/seed_N`, or from `runs.json`, where runs
    are packed, and from the recipe in `report.md`. Weights need not be there. A test belongs to the training whose
    folder it names as its model. A warning names the results that are of no such training.

    Raises:
        FileNotFoundError: The folder holds no such records.
    """
    folder = Path(folder)
    runs = recorded_runs(folder) if (folder / "report.md").is_file() else {}
    tests: dict[str, list[str]] = {}
    scored = {path: files["results.json"] for path, files in runs.items()}
    for path in sorted(
        scored, key=lambda path: (not _TRAINING.fullmatch(path), "speaker_normalization" in scored[path])
    ):
        tests.setdefault(_training_of(path, scored[path]), []).append(path)
    left_out = tests.pop("", [])
    if not tests:
        raise FileNotFoundError(
            f"{folder} holds neither config.json, as a model's folder does, nor report.md and runs/SYSTEM/seed_N, as "
            "one that lssed-hf benchmark or cross-corpus wrote"
        )
    if left_out:
        logger.warning(
            f"{folder}: no card has these results, because they are of no training of the experiment: "
            f"{', '.join(left_out)}"
        )
    recipes = read_recipe((folder / "report.md").read_text(encoding="utf-8"))
    matches = {training: _TRAINING.fullmatch(training) for training in tests}
    name = folder.resolve().name
    for training, match in matches.items():
        system, without, seed = match.groups()
        siblings = [other for other in matches.values() if other[1] == system]
        title = f"{name}-{system}" + (f"-without_{without}" if without else "")
        title += f"-seed_{seed}" if len([other for other in siblings if other[2] == without]) > 1 else ""
        results = [_checked(folder / path, scored[path]) for path in tests[training]]
        corpora = [results[0]["context"]["dataset"]]
        if without and training not in tests[training]:  # a corpus is left out, and not a speaker
            corpora = list(dict.fromkeys(other[2] for other in siblings if other[2] not in (None, without)))
        facts = runs.get(training, {}).get("run.json", {})
        yield title, _recorded(facts, results, title, corpora, recipes.get(system, {}), system, seed)


def _training_of(path: str, results: Mapping[str, Any]) -> str:
    """Return the path of the training that recorded results are of: their own, or the one above; "" for none.

    Args:
        path: Path of the results, from `recorded_runs`.
        results: Contents of `results.json`.
    """
    if _TRAINING.fullmatch(path):
        return path
    above, _, test = path.rpartition("/")
    model = (results.get("context") or {}).get("model")
    of_above = test.startswith("on_") if model is None else f"/{run_name(Path(model))}".endswith(f"/{above}")
    return above if of_above and _TRAINING.fullmatch(above) else ""


def _recorded(
    facts: Mapping[str, Any],
    tests: Sequence[Mapping[str, Any]],
    title: str,
    corpora: Sequence[str],
    recipe: Mapping[str, str],
    system: str,
    seed: str,
) -> CardFacts:
    """Return the facts of one training, from its `run.json` and the `results.json` of its tests."""
    results = [test for index, test in enumerate(tests) if not _repeated(test, tests[:index])]
    model = recipe.get("model_name_or_path", "")
    if len(corpora) == 1:  # else the recipe's are those of another corpus that is left out
        corpora = [*corpora, *recipe.get("extra_corpora", "").split()]
    named = ("dataset_name", "split_scheme", "dataset_config_name", "extra_corpora")
    return CardFacts(
        name=f"{model if system in corpora else system} on {', '.join(corpora)}",
        description=f"{title} of the recorded results.",
        notes=_svm_notes(None) if model in CLASSICAL else (),
        model_type=MODEL_TYPE if model in CLASSICAL else None,
        own_format=model in CLASSICAL,
        start={"name": None, "corpora": []} if model in list_models() or model in CLASSICAL else None,
        teachers=[{"name": name, "corpora": None} for name in recipe.get("teacher", "").split()],
        labels=results[0]["labels"],
        num_parameters=facts.get("num_parameters"),
        corpora=[_recorded_corpus(corpus, recipe) for corpus in corpora],
        settings={key: value for key, value in {**recipe, "seed": seed}.items() if key not in named},
        settings_note="Other flags of `lssed-hf train` had their defaults.",
        results=results,
        saved=False,
    )


def _recorded_corpus(name: str, recipe: Mapping[str, str]) -> dict[str, Any]:
    known, scheme = name in list_corpora(), recipe.get("split_scheme")
    if known and scheme is None and recipe.get("train_split_name") != "all":
        scheme = corpus_builder(name).SPLIT_SCHEMES[0]
    config = recipe.get("dataset_config_name")
    return {"name": name, "corpus": name if known else None, "config": config, "split_scheme": scheme}


def _repeated(results: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a test was scored before: `cross-corpus` tests a model on its own test split once more."""
    where = ("dataset", "split")
    return any(
        all(results["context"].get(key) == other["context"].get(key) for key in where)
        and all(results[key] == other[key] for key in ("labels", "metrics", "num_utterances"))
        for other in earlier
    )


def read_recipe(report: str) -> dict[str, dict[str, str]]:
    """Read the flags of each system from the section "Recipe" of a report by `lssed_hf.experiments`."""
    _, _, section = report.partition("\n## Recipe\n")
    lines = {
        match[1]: dict(re.findall(r"(\w+) `([^`]*)`", match[2]))
        for match in re.finditer(r"^- ([\w.-]+): (.*)$", section, re.MULTILINE)
    }
    common = lines.pop("all", {})
    return {system: {**common, **own} for system, own in lines.items()}


def _people(folder: Path) -> dict[str, Any] | None:
    """Return how many participants a model of depression has right, or None for other models."""
    if not (folder / "predictions.csv").is_file() or not (folder / "results.json").is_file():
        return None
    if "problem_type" in read_json(folder / "results.json"):
        return None
    run = read_run(folder)
    if not set(DEPRESSION_LABELS) <= set(run.labels) or run.speakers is None or None in run.speakers:
        return None
    people = {}
    for decision in ("mean", "vote"):
        persons = participant_run(run.restricted(DEPRESSION_LABELS), decision)
        right, depressed = persons.predictions == persons.references, persons.references == 1
        people[decision] = {
            "right": clopper_pearson(int(right.sum()), len(right)),
            "found": clopper_pearson(int(right[depressed].sum()), int(depressed.sum())),
            "cleared": clopper_pearson(int(right[~depressed].sum()), int((~depressed).sum())),
        }
    return people


def _config_versions(config: Mapping[str, Any]) -> dict[str, str] | None:
    version = config.get("transformers_version")
    return {"transformers, which wrote the configuration": version} if version else None


def _read_results(path: Path) -> dict[str, Any]:
    return _checked(path, read_json(path))


def _belongs(results: Mapping[str, Any], path: Path, folder: Path) -> bool:
    """Return whether results are of the model in a folder, or of a model that is not here: the folder may have moved.

    Args:
        results: Contents of `results.json`.
        path: Path of `results.json`, for a warning.
        folder: Folder of the model.
    """
    scored = (results.get("context") or {}).get("model", folder)
    scored = list_pretrained()[0] if scored == "built-in" else scored
    place = pretrained_folder(scored) or Path(scored)
    if not place.is_dir() or place.resolve() == folder.resolve():
        return True
    logger.warning(f"{path} is left out of the card: it scores {scored}, and not {folder}")
    return False


def _checked(path: Path, results: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of `results.json`, if they are results.

    Raises:
        ValueError: They are something else.
    """
    if "metrics" not in results and "test_sets" not in results:
        raise ValueError(f"{path} holds no results of lssed-hf train, evaluate or train_asr: move it elsewhere")
    return results
