"""Write golden.json anew, after a change that is meant to change what users see: `python tests/golden/record.py`.

Numbers that differ by rounding alone stay as they are, so that the diff of the file shows the change and nothing else.
"""

import json
import os
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Record every section."""
    with tempfile.TemporaryDirectory() as folder:
        # Before anything imports datasets or huggingface_hub, which read these once.
        os.environ |= {"HF_HOME": f"{folder}/hf", "HF_HUB_OFFLINE": "1"}
        sys.path.insert(0, str(Path(__file__).parent))
        import datasets
        import torch
        from golden_sections import GOLDEN, SECTIONS, compute, updated

        datasets.disable_progress_bars()
        torch.set_num_threads(1)
        recorded = json.loads(GOLDEN.read_text(encoding="utf-8"))
        sections = {name: updated(recorded.get(name), compute(name, Path(folder))) for name in SECTIONS}
        text = json.dumps(sections, indent=None, sort_keys=True, ensure_ascii=False).replace('}, "', '},\n"')
        GOLDEN.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
