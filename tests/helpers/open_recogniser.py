"""What test_pipeline_espnet_asr.py does in a process of its own: open a saved recogniser and print what it hears.

Modes are those of open_saved_folder.py: `blocked` is a machine without lssed_hf that trusts the code in the folder.
"""

import json
import sys

import numpy as np
from open_saved_folder import Blocker


def main(mode: str, folder: str) -> None:
    options = {}
    if mode == "blocked":
        sys.meta_path.insert(0, Blocker())
        options["trust_remote_code"] = True
    else:
        import lssed_hf  # noqa: F401
    from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor, AutoTokenizer, pipeline

    with np.load(f"{folder}/clips.npz") as file:
        clips = [file[name] for name in sorted(file)]
    recogniser = pipeline("automatic-speech-recognition", model=folder, device="cpu", **options)
    processor = AutoProcessor.from_pretrained(folder, **options)
    model = AutoModelForSpeechSeq2Seq.from_pretrained(folder, **options)
    inputs = processor(audio=clips, sampling_rate=16000, return_tensors="pt")
    report = {
        "type": recogniser.type,
        "classes": sorted({type(part).__name__ for part in (processor, processor.tokenizer, model)}),
        "modules": sorted({type(part).__module__.split(".")[0] for part in (processor, processor.tokenizer, model)}),
        "heard": [answer["text"] for answer in recogniser(clips)],
        "batched": [answer["text"] for answer in recogniser(clips, batch_size=2)],
        "greedy": recogniser(clips[0], generate_kwargs={"ctc_greedy": True})["text"],
        "generated": processor.batch_decode(model.generate(**inputs), skip_special_tokens=True),
        "beams": model.generation_config.num_beams,
        "tokens": AutoTokenizer.from_pretrained(folder, **options)("ab c").input_ids,
    }
    print(json.dumps(report))
