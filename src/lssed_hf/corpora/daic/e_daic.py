"""E-DAIC: DAIC-WOZ extended to 275 interviews, the new ones by an autonomous virtual interviewer (AVEC 2019).

Source: Ringeval et al., AVEC 2019, arXiv 1907.11510. Access requires the same agreement as DAIC-WOZ. The splits
(163 / 56 / 56) share people with DAIC-WOZ, so E-DAIC is no independent test of a model trained on DAIC-WOZ.

Files: `labels/train_split.csv`, `dev_split.csv` and `test_split.csv` (also beside the sessions), and
`data/XXX_P.tar.gz` or folders `XXX_P/` with `XXX_AUDIO.wav` (a few at 48 kHz, resampled) and `XXX_Transcript.csv`.

A speech recogniser wrote the transcripts, and they have no column for the speaker. So `speaker_role` is null, and
there is no option `speakers`. Only a pause (`max_gap_seconds`) ends a turn, so the default is `rows`. The file does
not tell whether the interviewer is in it, so leakage through her prompts cannot be ruled out. The defects of
DAIC-WOZ's transcripts do not apply. The remedies are `scrubbed` and `recompute_binary`. The latter matters, because
the binary column is reported to disagree with the scores in places.
"""

from dataclasses import dataclass

from ..base import CorpusFacts
from .daic_woz import DaicWoz, InterviewConfig
from .defects import E_DAIC_REMEDIES, chosen_remedies
from .label_files import DAIC_WOZ_FILES, E_DAIC_FILES, LABELS
from .segments import Repairs, Segmentation
from .transcripts import read_e_daic


@dataclass
class EDaicConfig(InterviewConfig):
    """Configuration of E-DAIC: `InterviewConfig` with `segmentation="rows"` as the default."""

    segmentation: str = "rows"


class EDaic(DaicWoz):
    """E-DAIC (Ringeval et al., AVEC 2019): 275 interviews with PHQ-8 scores, including DAIC-WOZ's.

    Each row is a part of an interview, by default a row of the speech recogniser's transcript, which does not name the
    speaker. All segments of a participant have the participant's label.
    """

    BUILDER_CONFIG_CLASS = EDaicConfig
    BUILDER_CONFIGS = [EDaicConfig(name="default", description="depressed or not, by PHQ-8 score")]
    FACTS = CorpusFacts(["English"], LABELS, utterances=275, speakers=275, hours=73.2)
    CITATION = """@inproceedings{ringeval2019avec,
  title={{AVEC} 2019 Workshop and Challenge: State-of-Mind, Detecting Depression with {AI}, and Cross-Cultural Affect
    Recognition},
  author={Ringeval, Fabien and Schuller, Bj{\\"o}rn and Valstar, Michel and others},
  booktitle={AVEC},
  year={2019}
}"""
    TITLE = "E-DAIC"
    LABEL_FILES = E_DAIC_FILES
    OTHER_LAYOUT = (DAIC_WOZ_FILES, "daic_woz")
    read_transcript = staticmethod(read_e_daic)

    def __init__(self, *args, **kwargs):
        if kwargs.get("speakers") is not None:
            raise ValueError(
                f"speakers={kwargs['speakers']!r}: E-DAIC's transcripts have no column for the speaker; leave it "
                "out, or load DAIC-WOZ"
            )
        super().__init__(*args, **kwargs)

    def _chosen_remedies(self) -> frozenset[str]:
        return chosen_remedies(self.config.remedies, E_DAIC_REMEDIES, E_DAIC_REMEDIES)

    def _chosen_segmentation(self) -> Segmentation:
        return self._segmentation_of(None)

    def _repairs(self, participant: int) -> Repairs:
        return Repairs(drop_scrubbed="scrubbed" in self._remedies)

    def _check_interviewer(self, participant: int, is_there: bool) -> None:
        pass  # the transcripts do not name the speaker
