"""`lssed-hf corpora`: list the corpora with language, speakers, hours, classes and licence."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .parser import CommandParser


DESCRIPTION = """List the corpora that have a reader: languages, utterances, speakers, hours, number of classes, and
licence or access. A dash stands for what no source tells."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("corpora", DESCRIPTION, "--json")
    parser.add_argument("--json", action="store_true", help="print JSON, with the classes and the web page of each")
    args = parser.parse_args(argv)

    from ..corpora import corpus_builder, list_corpora

    described = {name: _describe(builder) for name in list_corpora() if (builder := corpus_builder(name)).FACTS}
    print(json.dumps(described, indent=2) if args.json else _table(described))
    return 0


def _describe(builder: type) -> dict[str, Any]:
    facts = builder.FACTS
    return {
        "languages": list(facts.languages),
        "utterances": facts.utterances,
        "speakers": facts.speakers,
        "hours": facts.hours,
        "classes": list(dict.fromkeys(facts.emotions)),
        "license": builder.LICENSE,
        "homepage": builder.HOMEPAGE,
    }


def _table(described: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a line for each corpus. Numbers are aligned right."""
    rows = [["name", "language", "utterances", "speakers", "hours", "classes", "licence or access"]]
    for name, facts in described.items():
        languages = facts["languages"]
        language = " and ".join(languages) if len(languages) < 3 else f"{len(languages)} languages"
        counts = ("-" if facts[field] is None else f"{facts[field]:,}" for field in ("utterances", "speakers"))
        hours = "-" if facts["hours"] is None else f"{facts['hours']:.1f}"
        rows.append([name, language, *counts, hours, str(len(facts["classes"])), facts["license"]])
    widths = [max(map(len, column)) for column in zip(*rows)]
    aligned = ["<", "<", ">", ">", ">", ">", "<"]
    lines = ("  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, aligned, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
