"""`lssed-hf card`: write the model card of a saved model, or the cards of recorded systems."""

from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser


DESCRIPTION = """Write the model card of a saved model again, with a licence, a description or further evaluations; or
the cards of the systems that a benchmark recorded. Every training writes a card by itself. What is not recorded is
said to be unknown."""
EXAMPLE = """outputs/pyresnet50 --license cc-by-nc-sa-4.0 --results outputs/on_emodb
         lssed-hf card benchmarks/results/ravdess_table5 --output_dir model_cards"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("card", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "models",
        nargs="+",
        type=Path,
        metavar="MODEL",
        help="a saved model, or what benchmark or cross-corpus wrote",
    )
    parser.add_argument(
        "--output_dir",
        type=Path,
        help="for recorded systems: where to write RESULTS-SYSTEM.md; models have README.md in their own folder",
    )
    parser.add_argument("--results", type=Path, nargs="+", default=[], help="more folders of lssed-hf evaluate")
    parser.add_argument("--license", help="of the weights, an identifier of the Hub, e.g. cc-by-nc-sa-4.0")
    parser.add_argument("--name", help="of the model, for people")
    parser.add_argument("--description", help="a paragraph below the title, plain text")
    args = parser.parse_args(argv)

    from ..hub.cards.facts import recorded_systems
    from ..hub.cards.model_card import model_card, save_card, write_model_card
    from ..inference.classifiers.svm import SVM_MARKER

    given = {key: getattr(args, key) for key in ("license", "name", "description") if getattr(args, key) is not None}
    if len(args.models) > 1 and (given or args.results):
        parser.error("--license, --name, --description and --results are of one model: name one")
    for model in args.models:
        if any((model / name).is_file() for name in ("config.json", SVM_MARKER)):
            print(write_model_card(model, results=args.results, **given))
            continue
        if given or args.results:
            parser.error(f"{model} is no saved model: --license, --name, --description and --results do not apply")
        systems = list(recorded_systems(model))
        if args.output_dir is None:
            parser.error(f"{model} holds recorded systems: say with --output_dir where their cards go")
        for name, facts in systems:
            print(save_card(model_card(facts), args.output_dir / f"{name}.md"))
    return 0
