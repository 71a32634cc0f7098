"""What tests of saved folders do in a process of its own: open a folder in every way and print what came out.

`installed` imports lssed_hf; `blocked` makes it impossible to import, as on a machine without it, and trusts the code
that the folder carries. The folder holds `clips.npz` beside the saved files. The report is JSON on the last line.
"""

import importlib.abc
import json
import sys

import numpy as np


class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "lssed_hf":
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)


def open_folder(folder: str, clips: list[np.ndarray], **options) -> dict:
    import torch
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, pipeline

    config = AutoConfig.from_pretrained(folder, **options)
    extractor = AutoFeatureExtractor.from_pretrained(folder, **options)
    body = AutoModel.from_pretrained(folder, **options)
    model = AutoModelForAudioClassification.from_pretrained(folder, **options)
    inputs = extractor(clips, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        logits, pooled = model(**inputs).logits, body(**inputs).pooler_output
    classify = pipeline("audio-classification", model=folder, device="cpu", **options)
    return {
        "modules": {type(item).__name__: type(item).__module__ for item in (config, extractor, body, model)},
        "features": inputs["input_features"].tolist(),
        "logits": logits.tolist(),
        "pooled": pooled.tolist(),
        "pipeline": classify(clips, batch_size=2),
    }


def main(mode: str, folder: str) -> None:
    if mode == "blocked":
        sys.meta_path.insert(0, Blocker())
    with np.load(f"{folder}/clips.npz") as file:
        clips = [file[name] for name in sorted(file)]

    if mode == "installed":
        import lssed_hf  # noqa: F401

        report = {"saved": open_folder(folder, clips), "trusted": open_folder(folder, clips, trust_remote_code=True)}
    else:
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        report = {"saved": open_folder(folder, clips, trust_remote_code=True)}
        for auto_class in (AutoModelForAudioClassification, AutoFeatureExtractor):
            auto_class.from_pretrained(folder, trust_remote_code=True).save_pretrained(f"{folder}/again")
        report["again"] = open_folder(f"{folder}/again", clips, trust_remote_code=True)
    report["imported"] = [name for name in sys.modules if name in ("lssed_hf", "transformers_modules")]
    print(json.dumps(report))
