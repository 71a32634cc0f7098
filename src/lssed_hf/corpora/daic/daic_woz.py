"""DAIC-WOZ: 189 interviews by a virtual interviewer, with PHQ-8 scores (AVEC 2016 and 2017).

Source: Gratch et al., LREC 2014; https://dcapswoz.ict.usc.edu. USC gives the corpus to researchers who sign its
agreement, which forbids redistribution of the corpus or parts of it. See docs/daic_woz.md for details.

Sessions, in `data_dir` or up to two folders below: `XXX_P.zip` as downloaded, or folders `XXX_P/` with
`XXX_AUDIO.wav` and `XXX_TRANSCRIPT.csv`, or these two files alone. Only these two files are unpacked from an archive,
into `extract_dir`.

Label files, in `data_dir` or one folder below, or in `labels_dir`: `train_split_Depression_AVEC2017.csv`,
`dev_split_...`, `test_split_...` (without labels) and `full_test_split.csv` (with labels).

Rows are segments of interviews. They have no emotion, but these columns: `depression` (PHQ-8 score of 10 or more),
`phq8_score`, `gender_code` (in the release's code; sources disagree on whether 0 or 1 is female), `speaker_role`, and
`speaker_id`. The latter is the participant's number, also in the interviewer's segments, because no participant may be
in two splits.

**Only the participant's turns are read by default.** The interviewer is controlled by people who react to the answers,
so her prompts reveal the label. A classifier reaches a macro F1 of 0.88 on the development set by her prompts alone,
and 0.85 by the participants' words (Burdisso et al., ClinicalNLP 2024, arXiv 2404.14463).

The transcript alone decides on the segments, never the label. SpeechFormer (arXiv 2203.03812) takes the 18 longest
turns of participants without depression and the 46 longest of the others. That needs the label that is to be
predicted, and reveals it by the number and the length of the segments.

Split scheme: `official`, 107 / 35 / 47 participants for train, validation (the development set) and test.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import datasets

from ...audio import AudioError, audio_duration
from ...unpack import ArchiveError
from ..base import (
    SAMPLING_RATE,
    CorpusBuilder,
    CorpusConfig,
    CorpusDataError,
    CorpusFacts,
    Reject,
    Utterance,
    fingerprint,
)
from ..download import corpus_cache
from ..media import wrong_folder
from .archives import Session, find_sessions, locate_session
from .defects import (
    CONTESTED_SESSIONS,
    DEFAULT_REMEDIES,
    EXCLUDED_SESSIONS,
    INTERRUPTIONS,
    OFFSETS,
    REMEDIES,
    WITHOUT_INTERVIEWER,
    chosen_remedies,
    repairs_of,
)
from .label_files import DAIC_WOZ_FILES, E_DAIC_FILES, LABELS, Participant, find_label_files, read_labels
from .segments import KEPT, Repairs, Segmentation, segment
from .transcripts import TranscriptRow, read_daic_woz


_SHOWN = 20  # participants in a warning
# Faults of one session. Other errors, such as a full disk, concern all of them.
_FAULTS = (CorpusDataError, ArchiveError, AudioError, FileExistsError, FileNotFoundError, PermissionError)

logger = datasets.logging.get_logger(__name__)


@dataclass
class InterviewConfig(CorpusConfig):
    """Configuration that DAIC-WOZ and E-DAIC share.

    Attributes:
        remedies: "default", "none", or names in `defects.REMEDIES`.
        segmentation: "turns" (consecutive rows of a speaker as one segment), "rows", or "windows" (pieces of turns).
        max_gap_seconds: Longest pause within a turn in seconds. Default: no limit.
        window_seconds: Length of windows in seconds. The first one begins with the turn.
        hop_seconds: Seconds from the start of a window to the start of the next one. Default: `window_seconds`.
        window_rest: Treatment of a turn below `window_seconds`, and of the rest of a turn behind its windows. "keep"
            makes it a shorter segment if it has `min_seconds`. "drop" lists it as left out.
        min_seconds: Shortest length of a segment in seconds. Shorter ones are listed as left out.
        max_seconds: Longest length of a turn or row in seconds. Longer ones are divided into equal pieces, as few as
            possible. Default: no limit.
        extract_dir: Folder to unpack archives to. Default: a folder in the `datasets` cache.
        labels_dir: Folder of the label files, or the folder above it. Default: the folder of the corpus.
        require_complete: Whether a missing session of a labelled participant is an error.
    """

    emotions: Sequence[str] = ()
    split_scheme: str = "official"
    remedies: str | Sequence[str] = "default"
    segmentation: str = "turns"
    max_gap_seconds: float | None = None
    window_seconds: float | None = None
    hop_seconds: float | None = None
    window_rest: str = "keep"
    min_seconds: float = 1.0
    max_seconds: float | None = None
    extract_dir: str | None = None
    labels_dir: str | None = None
    require_complete: bool = False

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        """Return a name for the cache folder that changes with the label files too."""
        if config_kwargs.get("labels_dir") is not None:
            config_kwargs = {**config_kwargs, "labels_fingerprint": fingerprint(config_kwargs["labels_dir"])}
        return super().create_config_id(config_kwargs, custom_features)


@dataclass
class DaicWozConfig(InterviewConfig):
    """Configuration of DAIC-WOZ, in addition to `InterviewConfig`.

    Attributes:
        speakers: Speakers of the segments: "participant", "interviewer" or both. The interviewer's prompts reveal the
            label; see the module.
        offsets: Name of the set in `defects.OFFSETS` that aligns misaligned transcripts.
        interruptions: Name of the set in `defects.INTERRUPTIONS` to leave out.
    """

    speakers: str | Sequence[str] = ("participant",)
    offsets: str = "adbailey"
    interruptions: str = "documentation"


@dataclass(frozen=True, slots=True)
class InterviewSegment(Utterance):
    """Segment of an interview, without an emotion; `depression` is one of `label_files.LABELS`."""

    emotion: str | None = None
    depression: str = ""
    phq8_score: int | None = None
    gender_code: str | None = None
    speaker_role: str | None = None


@dataclass
class Account:
    """Account of a reading: outcome -> number, where an outcome is "kept" or the reason to leave out.

    Attributes:
        participants: Participants that a label file lists or that have a session.
        rows: Rows of the transcripts that were read. A row of a kept segment is kept.
        segments: Segments that were formed of the rows in use.
        flow: Participants by split, label and outcome; split and label are None where no label file tells them.
        relabelled: Participants by split, label and outcome whose label was another one in the files.
    """

    participants: Counter = field(default_factory=Counter)
    rows: Counter = field(default_factory=Counter)
    segments: Counter = field(default_factory=Counter)
    flow: Counter = field(default_factory=Counter)
    relabelled: Counter = field(default_factory=Counter)

    def add(self, outcome: str, participant: Participant | None = None, number: int = 1) -> None:
        """Add participants of an outcome.

        Args:
            outcome: "kept", or the reason to leave them out.
            participant: Participant in the label files. Default: they list none.
            number: Number of participants.
        """
        self.participants[outcome] += number
        known = participant is not None
        place = (participant.split if known else None, participant.depression if known else None, outcome)
        self.flow[place] += number
        if known and participant.relabelled:
            self.relabelled[place] += number

    def participant_flow(self) -> list[dict[str, str | int | None]]:
        """Return rows of `split`, `label`, `outcome`, number of `participants`, and `relabelled` ones among them."""
        return [
            {
                "split": split,
                "label": label,
                "outcome": outcome,
                "participants": number,
                "relabelled": self.relabelled[split, label, outcome],
            }
            for (split, label, outcome), number in self.flow.items()
        ]


class DaicWoz(CorpusBuilder):
    """DAIC-WOZ (Gratch et al., LREC 2014): interviews by a virtual interviewer, with PHQ-8 scores (AVEC 2016/2017).

    Each row is a part of an interview, by default a turn of the participant. All segments of a participant have the
    participant's label, so report scores by participant, and say so if they are by segment.
    """

    BUILDER_CONFIG_CLASS = DaicWozConfig
    BUILDER_CONFIGS = [DaicWozConfig(name="default", description="depressed or not, by PHQ-8 score")]
    TRAINING_CONFIG_NAME = "default"
    READER_EMOTIONS = None
    SPLIT_SCHEMES = ("official",)
    LABEL_COLUMN = "depression"
    FACTS = CorpusFacts(["English"], LABELS, utterances=189, speakers=189)
    HOMEPAGE = "https://dcapswoz.ict.usc.edu"
    LICENSE = "end user licence agreement of USC, signed: academic, non-commercial research only"
    NO_REDISTRIBUTION = (
        "The agreement forbids redistribution of the corpus or any part of it, which this folder is: do not upload "
        "it, to a private repository either, and protect the participants' identity in what you publish."
    )
    TAGS = ("depression-detection", "audio")
    CITATION = """@inproceedings{gratch2014distress,
  title={The Distress Analysis Interview Corpus of human and computer interviews},
  author={Gratch, Jonathan and Artstein, Ron and Lucas, Gale and Stratou, Giota and Scherer, Stefan and Nazarian,
    Angela and Wood, Rachel and Boberg, Jill and DeVault, David and Marsella, Stacy and Traum, David and
    Rizzo, Skip and Morency, Louis-Philippe},
  booktitle={LREC},
  year={2014}
}"""

    # The layouts of DAIC-WOZ and E-DAIC differ in these.
    TITLE = "DAIC-WOZ"
    LABEL_FILES: Mapping[str, tuple[str, ...]] = DAIC_WOZ_FILES
    OTHER_LAYOUT = (E_DAIC_FILES, "e_daic")
    read_transcript: Callable[[Path], list[TranscriptRow]] = staticmethod(read_daic_woz)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._remedies = self._chosen_remedies()
        self._segmentation = self._chosen_segmentation()

    def _chosen_remedies(self) -> frozenset[str]:
        for name, sets in (("offsets", OFFSETS), ("interruptions", INTERRUPTIONS)):
            if getattr(self.config, name) not in sets:
                raise ValueError(f"{name}={getattr(self.config, name)!r}; known are {', '.join(sets)}")
        return chosen_remedies(self.config.remedies, tuple(REMEDIES), DEFAULT_REMEDIES)

    def _chosen_segmentation(self) -> Segmentation:
        speakers = self.config.speakers
        return self._segmentation_of((speakers,) if isinstance(speakers, str) else tuple(speakers))

    def _segmentation_of(self, speakers: tuple[str, ...] | None) -> Segmentation:
        names = ("segmentation", "max_gap_seconds", "window_seconds", "hop_seconds", "window_rest")
        names += ("min_seconds", "max_seconds")
        return Segmentation(speakers=speakers, **{name: getattr(self.config, name) for name in names})

    def extract_dir(self, data_dir: Path) -> Path:
        """Return the resolved folder to which archives of `data_dir` are unpacked.

        Raises:
            ValueError: The folder would be in `data_dir` itself.
        """
        if self.config.extract_dir is None:
            digest = sha256(str(data_dir).encode("utf-8", "surrogateescape")).hexdigest()
            return (corpus_cache(self.name) / digest[:16]).resolve()
        folder = Path(self.config.extract_dir).expanduser().resolve()
        if folder.is_relative_to(data_dir):
            raise ValueError(
                f"extract_dir={self.config.extract_dir!r} is in the corpus; choose a folder outside of it"
            )
        return folder

    def folders(self, data_dir: Path) -> Sequence[Path]:
        return (data_dir, self.extract_dir(data_dir))

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        return self._read(data_dir, Account())

    def account(self, data_dir: str | Path) -> Account:
        """Read the corpus, and count its participants, rows of transcripts and segments by their outcome.

        Raises:
            CorpusDataError: The folder does not hold this corpus.
        """
        account = Account()
        for _ in self._read(Path(data_dir).expanduser().resolve(), account):
            pass
        return account

    def participant_flow(self, data_dir: Path) -> list[dict[str, str | int | None]]:
        return self.account(data_dir).participant_flow()

    def _read(self, data_dir: Path, account: Account) -> Iterator[Utterance | Reject]:
        labels_dir = self._labels_dir(data_dir)
        files = find_label_files(labels_dir, self.LABEL_FILES)
        if not files:
            self._refuse_folder(labels_dir)
        participants, rejects = read_labels(files, "recompute_binary" in self._remedies)
        yield from rejects
        sessions = find_sessions(data_dir)
        listed = {participant.id for participant in participants}
        rejected = {int(reject.id) for reject in rejects if reject.id.isdecimal() and len(reject.id) < 10} - listed
        if rejected:
            account.add("its label cannot be read", number=len(rejected))
        for number in sorted(set(sessions) - listed - rejected):
            excluded = number in EXCLUDED_SESSIONS and "excluded_sessions" in self._remedies
            reason = "an excluded session" if excluded else "no label file lists it"
            account.add(reason)
            yield Reject(str(number), str(sessions[number].place), reason, by_rule=True)
        left_out: dict[str, list[int]] = {}
        for participant in participants:
            reason = None
            for row in self._read_participant(participant, sessions.get(participant.id), data_dir, account):
                if isinstance(row, Reject) and row.id == str(participant.id):
                    reason = row.reason if row.by_rule else "it cannot be used"
                    if row.by_rule:
                        left_out.setdefault(reason, []).append(participant.id)
                yield row
            account.add(reason or KEPT, participant)
        for reason, numbers in left_out.items():
            shown = ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
            logger.warning(f"{self.name}: participant {shown}: {reason}")
        for split in self.LABEL_FILES:
            if split not in files:
                wanted = " or ".join(self.LABEL_FILES[split])
                logger.warning(f"{self.name}: no {split} split, because {labels_dir} has no {wanted}")

    def _labels_dir(self, data_dir: Path) -> Path:
        """Return the resolved folder of the label files.

        Raises:
            CorpusDataError: There is no such folder.
        """
        if self.config.labels_dir is None:
            return data_dir
        folder = Path(self.config.labels_dir).expanduser().resolve()
        if not folder.is_dir():
            raise CorpusDataError(f"labels_dir={self.config.labels_dir!r}: there is no such folder")
        return folder

    def _refuse_folder(self, data_dir: Path) -> None:
        other_files, other_name = self.OTHER_LAYOUT
        if find_label_files(data_dir, other_files):
            raise CorpusDataError(f"{data_dir} has the label files of another corpus: load it as {other_name}")
        names = ", ".join(name for names in self.LABEL_FILES.values() for name in names)
        raise wrong_folder(data_dir, self.TITLE, f"{names} in it and one folder below")

    def _read_participant(
        self, participant: Participant, session: Session | None, data_dir: Path, account: Account
    ) -> Iterator[Utterance | Reject]:
        """Yield the segments of one interview; a reject with the participant's own id means that there are none."""
        name = str(participant.id)
        if reason := self._rule_against(participant):
            yield Reject(name, participant.source, reason, by_rule=True)
            return
        source = participant.source if session is None else str(session.place)
        audio = transcript = None
        try:
            if session is not None:
                audio, transcript = locate_session(participant.id, session, data_dir, self.extract_dir(data_dir))
            if audio is None or transcript is None:
                missing = "session" if session is None else "recording" if audio is None else "transcript"
                yield Reject(name, source, f"its {missing} is not there", by_rule=not self.config.require_complete)
                return
            rows, duration = self.read_transcript(transcript), audio_duration(audio)
        except _FAULTS as error:
            yield Reject(name, source, str(error))
            return
        shown = transcript if transcript.is_relative_to(data_dir) else session.archives[0] / transcript.name
        result = segment(rows, duration, self._segmentation, self._repairs(participant.id))
        account.rows.update(result.rows)
        account.segments.update(result.counts)
        self._check_interviewer(participant.id, result.has_interviewer)
        for segment_name, line, reason in result.left_out:
            yield Reject(f"{name}_{segment_name}", f"{shown}, line {line}", reason, by_rule=True)
        if not result.kept:
            yield Reject(name, str(shown), "nothing of its interview is left", by_rule=True)
        for kept in result.kept:
            yield InterviewSegment(
                id=f"{name}_{kept.name}",
                path=str(audio),
                depression=participant.depression,
                phq8_score=participant.score,
                gender_code=participant.gender_code,
                speaker_role=kept.role,
                speaker_id=name,
                session_id=name,
                start=kept.start,
                end=kept.end,
                transcript=kept.text,
                split=participant.split,
                cut=True,
                source=f"{shown}, line {kept.line}",
            )

    def _rule_against(self, participant: Participant) -> str | None:
        if "excluded_sessions" in self._remedies and participant.id in EXCLUDED_SESSIONS:
            return "an excluded session"
        if "contested_sessions" in self._remedies and participant.id in CONTESTED_SESSIONS:
            return "a session that some authors leave out"
        if participant.depression is None:
            return "no file has its label (full_test_split.csv brings those of the test set)"
        return None

    def _repairs(self, participant: int) -> Repairs:
        return repairs_of(participant, self._remedies, self.config.offsets, self.config.interruptions)

    def _check_interviewer(self, participant: int, is_there: bool) -> None:
        if not is_there and participant not in WITHOUT_INTERVIEWER:
            logger.warning(
                f"{self.name}: the transcript of {participant} has no row of the interviewer, so what precedes the "
                "interview cannot be told from it; check the file"
            )

    def label_of(self, utterance: InterviewSegment) -> str | None:
        return utterance.depression

    def encode(self, utterance: InterviewSegment, label: str, payload: dict | None = None) -> dict:
        names = ("id", "phq8_score", "gender_code", "speaker_role", "speaker_id", "session_id", "start", "end")
        row = {name: getattr(utterance, name) for name in (*names, "transcript")}
        row.update(self.payload(utterance) if payload is None else payload)
        row["depression"] = LABELS.index(label)
        return row

    def _features(self) -> datasets.Features:
        text = datasets.Value("string")
        return datasets.Features(
            {
                "id": text,
                "audio": datasets.Audio(sampling_rate=SAMPLING_RATE),
                "depression": datasets.ClassLabel(names=list(LABELS)),
                "phq8_score": datasets.Value("int32"),
                "gender_code": text,
                "speaker_role": text,
                "speaker_id": text,
                "session_id": text,
                "start": datasets.Value("float64"),
                "end": datasets.Value("float64"),
                "transcript": text,
            }
        )
