"""Model cards of a trained model, an unknown model, hostile names, and recorded systems."""

import json
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from lssed_hf import PyResNetFeatureExtractor, cli, create_model
from lssed_hf.corpora import corpus_builder, list_corpora
from lssed_hf.escaping import code, plain
from lssed_hf.evaluation.report import evaluate_predictions
from lssed_hf.experiments.settings import recipe
from lssed_hf.hub.cards.facts import CardFacts, read_recipe, recorded_systems
from lssed_hf.hub.cards.model_card import FORBIDDEN, model_card, write_model_card
from lssed_hf.hub.run_folders import recorded_runs


REPOSITORY = Path(__file__).parents[3]
RECORDED = [
    REPOSITORY / "benchmarks" / "results" / name for name in ("ravdess_table5", "ravdess_adversarial", "ravdess_emodb")
]
SECTIONS = [
    *("Uses", "How to use", "Training data", "Splits", "Results", "Training", "Limits", "Licence", "Citation"),
]
TINY = {
    "depths": [1, 1, 1, 1],
    "embedding_size": 4,
    "hidden_sizes": [16, 16, 16, 16],
    "groups": [[1] * 4, [1] * 3, [1, 1], [1]],
}
#: What means something to YAML, Markdown, HTML, Jinja or a terminal.
HOSTILE = [
    "{{ 7 * 7 }}{% for x in range(3) %}canary{% endfor %}{# gone #}",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a|b\\|c",
    "`code` ``` fence",
    "**bold** _em_ [link](javascript:alert(1)) ![i](x)",
    "---\nlicense: mit\n---\n# Heading",
    "- item: {a: [1, 'two', \"three\"]} # comment & *anchor !!python/object:os.system",
    "\u202egnihtemos\u0007\u001b[31mred",
    "1. x",
    "&lt;b&gt; &#42;",
    "ünïcode 感情 ☂",
    " ",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a model with `lssed-hf train`."""
    pytest.importorskip("espeakng_loader")
    from lssed_hf.cli import train as train_command
    from lssed_hf.testing.releases.lssed import write_synthetic_lssed

    corpus = write_synthetic_lssed(tmp_path_factory.mktemp("corpus"), num_speakers=6, utterances_per_speaker=8)
    folder = tmp_path_factory.mktemp("trained") / "model"
    train_command.main(
        [
            *("--dataset_name", "lssed", "--data_dir", str(corpus), "--output_dir", str(folder), "--seed", "3"),
            *("--config_overrides", json.dumps(TINY), "--crop_seconds", "1", "--disable_tqdm", "true"),
            *("--max_steps", "2", "--per_device_train_batch_size", "4"),
            *("--report_to", "none", "--hub_token", "hf_s3cret"),
            *("--split_scheme", "paper", "--validation_fraction", "0.3"),
        ]
    )
    return folder


@pytest.fixture
def saved(tmp_path):
    """Save a model without records."""
    folder = tmp_path / "bare"
    create_model("pyresnet50", num_labels=2, **TINY).save_pretrained(folder)
    PyResNetFeatureExtractor(mean=[0.0] * 128, std=[10.0] * 128).save_pretrained(folder)
    return folder


def sections(text):
    return re.findall(r"^#{2,3} (.+)$", text, re.MULTILINE)


def check_form(content):
    """Check what the Hub would check, as far as that can be done offline."""
    block = REGEX_YAML_BLOCK.search(content)
    data = yaml.safe_load(block[2])
    card = ModelCard(content)
    assert card.data.to_dict() == data
    assert str(card) == content, "it parses back into itself"
    assert set(SECTIONS) <= set(sections(card.text))
    assert data["pipeline_tag"] in ("audio-classification", "automatic-speech-recognition")
    assert isinstance(data[FORBIDDEN], bool)
    assert "None" not in card.text and "{{" not in re.sub(r"`[^`]*`|@\w+\{.*", "", card.text, flags=re.DOTALL)
    return card


def scores(card):
    return {
        (result.dataset_name, result.dataset_split, result.metric_type): result.metric_value
        for result in card.data.eval_results or ()
    }


def test_the_card_of_a_training_has_its_figures(trained):
    card = check_form((trained / "README.md").read_text(encoding="utf-8"))
    results = json.loads((trained / "results.json").read_text())
    assert scores(card) == {
        ("lssed", "test", "accuracy"): results["metrics"]["weighted_accuracy"],
        ("lssed", "test", "recall"): results["metrics"]["unweighted_accuracy"],
    }
    for interval in results["intervals"].values():
        assert f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" in card.text
    for attribute in ("gender", "age_group"):
        for group in results["groups"][attribute]:
            row = rf"^\| {attribute}: `{group['value']}` \| {group['num_utterances']} \| {group['num_speakers']} \|"
            assert re.search(row, card.text, re.MULTILINE)
    assert "| `seed` | `3` |" in card.text and "| `crop_seconds` | `1.0` |" in card.text
    assert "| `split_scheme`" not in card.text and "split scheme `paper`" in card.text
    assert re.search(r"Versions: lssed-hf [\d.]+, python .*transformers 5", card.text)
    assert card.data.license == "unknown" and card.data[FORBIDDEN] is True
    assert corpus_builder("lssed").LICENSE in card.text and "@inproceedings{fan2021lssed" in card.text
    assert "surveillance" in card.text and "employment" in card.text


def test_the_record_has_no_folder_and_no_secret(trained):
    for name in ("training.json", "README.md"):
        text = (trained / name).read_text(encoding="utf-8")
        assert "s3cret" not in text and str(trained.parent) not in text and "/corpus" not in text


def test_synthetic_speech_is_called_so(trained):
    assert json.loads((trained / "training.json").read_text())["corpora"][0]["synthetic"] is True
    text = (trained / "README.md").read_text(encoding="utf-8")
    assert "parameters, trained on `lssed` (synthetic speech in its layout)." in text


def test_shared_speakers_are_counted(trained):
    record = json.loads((trained / "training.json").read_text())
    shared = record["shared_speakers"]["train, test"]
    assert shared > 0, "the paper's scheme goes by utterance"
    text = (trained / "README.md").read_text(encoding="utf-8")
    assert f"**{shared} speakers are in both train and test: scores on test are too high" in text
    assert "No speaker is in two splits" not in text
    for split in record["splits"].values():
        assert sum(split["labels"].values()) == split["num_utterances"]


def test_the_code_of_the_card_works(trained, write_clip, tmp_path, capsys):
    text = (trained / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    clip = write_clip(tmp_path / "clip.wav", seconds=0.5)
    exec(block.replace("path/to/this/folder", str(trained)).replace("clip.wav", str(clip)), {})
    first, second = capsys.readouterr().out.splitlines()
    assert "'label'" in first and "'label'" in second


def test_unknown_facts_are_named(saved):
    assert cli.main(["card", str(saved)]) == 0
    card = check_form((saved / "README.md").read_text(encoding="utf-8"))
    assert card.data.eval_results is None and card.data[FORBIDDEN] is False
    for sentence in (
        "What it was trained on is unknown.",
        "What training started from is not recorded.",
        "Sizes of the splits that it was trained and selected on are unknown.",
        "Whether splits share speakers is unknown",
        "No results are recorded: how well it does is unknown.",
        "Hyper-parameters are unknown.",
        "How scores differ by gender and age group is unknown.",
        "no licence is named",
    ):
        assert sentence in card.text


def test_flags_enter_the_card_and_replace_the_last_one(saved, trained):
    flags = ["--license", "cc-by-nc-sa-4.0", "--name", "Mine", "--description", "Of *my* own."]
    assert cli.main(["card", str(saved), *flags, "--results", str(trained)]) == 0
    card = check_form((saved / "README.md").read_text(encoding="utf-8"))
    assert card.data.license == "cc-by-nc-sa-4.0" and card.data.model_name == "Mine"
    assert card.text.startswith("\n# Mine\n") and "Of &#42;my&#42; own." in card.text
    assert ("lssed", "test", "recall") in scores(card)


def results_of(labels, dataset="data", split="test"):
    references = list(range(len(labels))) * 2
    rows = [[float(index == label) for index in range(len(labels))] for label in references]
    results = evaluate_predictions(
        references, rows, labels, speakers=["a", "b"] * len(labels), groups={labels[0]: [labels[-1]] * len(references)}
    )
    return {"context": {"dataset": dataset, "split": split}, **results}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_shown_and_mean_nothing(text):
    other = f"{text} too"
    harmless = "harmless"

    def card(name):
        return model_card(
            CardFacts(
                name=name,
                description=name,
                notes=[name, name],
                model_type=name,
                labels=[name, f"{name} too"],
                num_parameters=3,
                start={"name": name, "corpora": [{"name": name}]},
                corpora=[{"name": name, "config": name, "split_scheme": name, "license": name}],
                splits={"train": {"num_utterances": 2, "num_speakers": 1, "labels": {name: 1, f"{name} too": 1}}},
                shared_speakers={"train, test": 0},
                settings={name: name, "other": {"nested": name}},
                versions={name: name},
                results=[results_of([name, f"{name} too"], name, name)],
                license=None,
            )
        )

    content = str(card(text))
    hostile, tame = check_form(content), card(harmless)
    # Outside of the prose there is as much structure as with a harmless name.
    for mark in (r"^#+ ", r"^\|", r"^- ", r"^  - ", r"^```", r"^---", r"<(?!/?code>)", r"!\[", r"\]\("):
        count = len(re.findall(mark, tame.text, re.MULTILINE))
        assert len(re.findall(mark, hostile.text, re.MULTILINE)) == count, mark
    rows = ([line.count("|") for line in card.text.splitlines() if line.startswith("|")] for card in (hostile, tame))
    assert next(rows) == next(rows), "cells of tables"
    assert "canarycanary" not in content and "49" not in hostile.text.replace(other, "")
    assert not re.search("[\u202e\x07\x1b]", content)
    assert set(hostile.data.to_dict()) == set(tame.data.to_dict())
    assert hostile.data.license == "unknown"


def test_text_is_escaped_where_it_has_to_be():
    assert code("not_depressed") == "`not_depressed`"
    assert code("a`b|c") == "<code>a&#96;b&#124;c</code>"
    assert plain("pyresnet50 on my_data, 4 classes (50 %)") == "pyresnet50 on my_data, 4 classes (50 %)"
    assert plain("_x_ <b>") == "&#95;x&#95; &#60;b&#62;"
    assert plain("- x").startswith("&#45;") and not plain("12) x").startswith("12)")


def test_the_code_in_a_folder_says_what_it_needs():
    for kind, timm in (("ser_cnn", True), ("pyresnet", False)):
        text = str(model_card(CardFacts(name="x", model_type=kind, remote_code=True)))
        (line,) = re.findall("`pip install (.*)`", text)
        packages = {re.match(r"'([\w-]+)", part)[1] for part in line.split()}
        assert packages == {"transformers", "torch", "numpy", "scipy", *(["timm"] if timm else [])}
        assert ">=5.13" in line
    assert "pip install" not in str(model_card(CardFacts(name="x", model_type="wav2vec2")))


def test_models_of_daic_woz_warn():
    facts = CardFacts(name="x", labels=["not_depressed", "depressed"], corpora=[{"name": "d", "corpus": "daic_woz"}])
    card = check_form(str(model_card(facts)))
    assert "not a medical device" in card.text and "no clinical use" in card.text and "PHQ-8" in card.text
    assert card.data[FORBIDDEN] is True and "depression-detection" in card.data.tags
    # So does one that started from such a model.
    start = {"name": "earlier", "corpora": [{"name": "d", "corpus": "e_daic"}]}
    later = model_card(CardFacts(name="y", start=start, corpora=[{"name": "r", "corpus": "ravdess"}]))
    assert later.data[FORBIDDEN] is True and "not a medical device" in later.text


@pytest.mark.parametrize("corpus", list_corpora())
def test_every_corpus_has_terms_for_the_card(corpus):
    card = check_form(str(model_card(CardFacts(name="x", corpora=[{"name": corpus, "corpus": corpus}]))))
    builder = corpus_builder(corpus)
    assert f"  - Licence: {plain(builder.LICENSE) or 'unknown'}" in card.text
    assert card.data[FORBIDDEN] == bool(builder.NO_REDISTRIBUTION)
    assert card.data[FORBIDDEN] or corpus not in ("lssed", "daic_woz", "e_daic")


def test_a_start_hands_on_what_it_was_trained_on(trained, tmp_path):
    from lssed_hf.hub.training_record import start_facts

    start = start_facts(str(trained))
    assert start["name"] == "model" and [corpus["name"] for corpus in start["corpora"]] == ["lssed"]
    assert start_facts("owner/model") == {"name": "owner/model", "local": False, "corpora": None}
    assert start_facts("pyresnet50") == {"name": None, "local": False, "corpora": []}


def test_cards_of_recorded_systems_are_what_the_command_writes(tmp_path, capsys):
    assert cli.main(["card", *map(str, RECORDED), "--output_dir", str(tmp_path)]) == 0
    tracked = {path.name: path.read_text(encoding="utf-8") for path in (REPOSITORY / "model_cards").glob("*.md")}
    tracked.pop("template.md")
    tracked.pop("README.md", None)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == tracked, "write them anew: make model-cards"
    assert len(written) == 13


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_recorded_cards_have_the_recorded_figures(folder):
    systems = dict(recorded_systems(folder))
    runs = recorded_runs(folder)
    assert len(systems) == len([name for name in runs if name.count("/") == 2])
    for name, facts in systems.items():
        system = name.removeprefix(f"{folder.name}-")
        results = runs[f"runs/{system}/seed_0"]["results.json"]
        card = check_form(str(model_card(facts)))
        found = scores(card)
        dataset = results["context"]["dataset"]
        assert found[dataset, "test", "accuracy"] == results["metrics"]["weighted_accuracy"]
        assert found[dataset, "test", "recall"] == results["metrics"]["unweighted_accuracy"]
        tests = {(corpus, split) for corpus, split, _ in found}
        assert len(tests) == (3 if folder.name == "ravdess_emodb" else 1)
        assert "| `learning_rate` |" in card.text and "Versions of libraries: unknown." in card.text
        assert ("FGSM" in card.text) == ("adversarial" in results)


def test_a_corpus_that_was_left_out_is_the_test_and_no_training_data():
    folder = REPOSITORY / "benchmarks" / "results" / "left_out"
    systems, runs = dict(recorded_systems(folder)), recorded_runs(folder)
    corpora = {"ravdess", "emodb", "nemo", "emovo"}
    assert set(systems) == {
        f"left_out-{system}-without_{corpus}"
        for system in ("encoder-small", "tiny.en-2", "base-3")
        for corpus in corpora
    }
    for name, facts in systems.items():
        system, left_out = name.removeprefix("left_out-").split("-without_")
        assert {corpus["corpus"] for corpus in facts.corpora} == corpora - {left_out}
        assert "extra_corpora" not in facts.settings
        tests = [runs[f"runs/{system}/without_{left_out}/seed_0/on_it_{kind}"] for kind in ("none", "all")]
        assert list(facts.results) == [test["results.json"] for test in tests]
        card = check_form(str(model_card(facts)))
        names = [result.metric_name for result in card.data.eval_results]
        assert len(set(names)) == 4 and sum("by the speakers' own statistics" in name for name in names) == 2


def test_a_test_belongs_to_the_training_that_it_names():
    folder = REPOSITORY / "benchmarks" / "results" / "own_baseline"
    systems, runs = dict(recorded_systems(folder)), recorded_runs(folder)
    facts = systems["own_baseline-all_clips-seed_0"]
    assert next(iter(facts.results)) == runs["runs/all_clips/seed_0"]["results.json"]
    assert len(facts.results) == 5 and sum(len(facts.results) for facts in systems.values()) == len(runs)


def test_results_of_other_models_are_left_out_and_named(tmp_path, saved, caplog, capsys):
    runs = {
        "runs/a/seed_0": "outputs/x/runs/a/seed_0",
        "runs/a/seed_0/on_b_test": "outputs/x/cells/a/seed_0",  # of an older version
        "runs/a/seed_0/few_shot_b_2": "outputs/x/runs/a/seed_0/few_shot_b_2",
        "runs/a/seed_0/on_c": "outputs/mine",
    }
    scored = evaluate_predictions([0, 1, 0, 1], [[0.9, 0.1]] * 4, ["a", "b"])
    packed = {
        run: {"results.json": {**scored, "context": {"model": model, "dataset": run[-4:], "split": "test"}}}
        for run, model in runs.items()
    }
    (tmp_path / "runs.json").write_text(json.dumps(packed))
    (tmp_path / "report.md").write_text("# Report\n\n## Recipe\n\n- all: dataset_name `d`\n- a: seed `0`\n")
    [(_, facts)] = recorded_systems(tmp_path)
    assert [test["context"]["dataset"] for test in facts.results] == ["ed_0", "test"]
    assert "of no training of the experiment: runs/a/seed_0/few_shot_b_2, runs/a/seed_0/on_c" in caplog.text

    caplog.clear()
    other = saved.with_name("other")
    other.mkdir()
    for name, model in {"": saved, "on_it": "moved/away", "on_x": other, "on_y": "built-in"}.items():
        (saved / name).mkdir(exist_ok=True)
        context = {"model": str(model), "dataset": f"d{name}", "split": "test"}
        (saved / name / "results.json").write_text(json.dumps({**scored, "context": context}))
    assert cli.main(["card", str(saved)]) == 0
    card = (saved / "README.md").read_text(encoding="utf-8")
    assert [dataset for dataset, _, score in scores(ModelCard(card)) if score == "recall"] == ["d", "don_it"]
    assert [record.message for record in caplog.records] == [
        f"{saved / 'on_x' / 'results.json'} is left out of the card: it scores {other}, and not {saved}",
        f"{saved / 'on_y' / 'results.json'} is left out of the card: it scores encoder-small, and not {saved}",
    ]
    assert cli.main(["card", str(saved), "--results", str(saved / "on_x")]) == 0
    assert "### `don_x`, split `test`" in (saved / "README.md").read_text(encoding="utf-8")


def test_recipes_are_read_back():
    asked = {
        "a": {"dataset_name": "ravdess", "learning_rate": 0.1, "config_overrides": '{"x": [1, 2]}'},
        "b.c-d": {"dataset_name": "ravdess", "learning_rate": 0.1, "mixup": 0.2},
    }
    read = read_recipe(f"# Report\n\n## Recipe\n\n{recipe(asked)}\n")
    zoo = {"model_name_or_path": "pyresnet50"}
    assert read == {name: {**zoo, **{k: str(v) for k, v in own.items()}} for name, own in asked.items()}


def test_faults_are_named(tmp_path, capsys, saved):
    assert cli.main(["card", str(tmp_path / "nowhere")]) == 1
    assert "neither config.json" in capsys.readouterr().err
    assert cli.main(["card", str(saved), "--results", str(tmp_path)]) == 1
    assert "holds no results.json" in capsys.readouterr().err
    (saved / "results.json").write_text("{}")
    assert cli.main(["card", str(saved)]) == 1
    assert "results.json holds no results" in capsys.readouterr().err
    (saved / "training.json").write_text("{")
    assert cli.main(["card", str(saved)]) == 1
    assert "training.json cannot be read" in capsys.readouterr().err
    assert not (saved / "README.md").exists()
    with pytest.raises(SystemExit):
        cli.main(["card", str(RECORDED[0])])
    assert "--output_dir" in capsys.readouterr().err


def test_facts_can_be_given(saved):
    path = write_model_card(
        saved, name="PyResNet-50", corpora=[{"name": "lssed", "corpus": "lssed"}], notes=["A note."]
    )
    text = path.read_text(encoding="utf-8")
    assert "\n# PyResNet-50\n" in text and "- A note." in text and corpus_builder("lssed").LICENSE in text
