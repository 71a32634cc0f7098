"""DAIC-WOZ: 189 interviews by a virtual interviewer, with each participant's PHQ-8 score. AVEC 2016 and 2017 used it.

Source: Gratch et al., LREC 2014; https://dcapswoz.ict.usc.edu. USC gives it to researchers who sign its agreement,
which forbids passing on the corpus or parts of it. docs/daic_woz.md says more about all that follows.

What is read, in `data_dir` or up to two folders below: `XXX_P.zip` as downloaded, or folders `XXX_P/` with
`XXX_AUDIO.wav` and `XXX_TRANSCRIPT.csv`, or these files alone; and, in `data_dir` or one folder below,
`train_split_Depression_AVEC2017.csv`, `dev_split_...`, `test_split_...` (which has no labels) and
`full_test_split.csv` (which has them). From archives only these two files are taken, into `extract_dir`.

Rows are segments of interviews and have no emotion, so the columns are other ones: `depression` (PHQ-8 score of 10 or
more), `phq8_score`, `gender_code` (as given: sources disagree on which of 0 and 1 is female), `speaker_role`,
`speaker_id` (the participant's number, also of the interviewer's segments: it is the participant who must not be in
two splits).

**Only the participant's turns are read by default.** The interviewer is controlled by people who react to what they
hear, so her prompts tell of the label: from them alone a classifier reaches a macro F1 of 0.88 on the development set,
from the participants' words 0.85 (Burdisso et al., ClinicalNLP 2024, arXiv 2404.14463).

Segments are chosen by the transcript alone, never by the label. SpeechFormer's choice (arXiv 2203.03812), the 18
longest turns of those who are not depressed and the 46 longest of those who are, needs the label of whom it is to be
predicted for, and makes the number of segments and their length tell it.

Split: `official`, 107 / 35 / 47 participants: train, validation (the development set), test.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import datasets

from ...audio import AudioError, audio_duration
from ..base import SAMPLING_RATE, CorpusBuilder, CorpusConfig, CorpusDataError, Reject, Utterance
from ..download import ArchiveError, corpus_cache
from ..media import wrong_folder
from .archives import Session, find_sessions, locate_session
from .defects import (
    CONTESTED_SESSIONS,
    DEFAULT_REMEDIES,
    EXCLUDED_SESSIONS,
    FIRST_AUTO_TRANSCRIBED,
    INTERRUPTIONS,
    OFFSETS,
    REMEDIES,
    WITHOUT_INTERVIEWER,
    chosen_remedies,
)
from .label_files import DAIC_WOZ_FILES, E_DAIC_FILES, LABELS, Participant, find_label_files, read_labels
from .segments import KEPT, Mending, Segmentation, segment
from .transcripts import TranscriptRow, read_daic_woz


_SHOWN = 20  # participants in a warning

logger = datasets.logging.get_logger(__name__)


@dataclass
class InterviewConfig(CorpusConfig):
    """How to read and divide interviews, as far as DAIC-WOZ and E-DAIC have that in common.

    Attributes:
        remedies: "default", "none", or names of `daic_defects.REMEDIES`.
        segmentation: "turns" (consecutive rows of a speaker as one), "rows", or "windows" (parts of turns).
        max_gap_seconds: a longer pause ends a turn.
        window_seconds: length of windows; they begin with the turn.
        hop_seconds: from one window's start to the next one's, `window_seconds` by default.
        window_rest: "keep" makes what is left at a turn's end, or a turn below `window_seconds`, a shorter segment if
            it has `min_seconds`; "drop" lists it.
        min_seconds: shorter segments are listed.
        max_seconds: longer turns and rows are divided into equal parts, as few as possible.
        extract_dir: where archives are unpacked to, a folder in the `datasets` cache by default.
        require_complete: whether a labelled participant whose session is not there is an error.
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
    require_complete: bool = False


@dataclass
class DaicWozConfig(InterviewConfig):
    """`InterviewConfig`, and what only DAIC-WOZ has.

    Attributes:
        speakers: whose segments: "participant", "interviewer" or both. See the module for what the latter two leak.
        offsets: which set of `daic_defects.OFFSETS` mends misaligned transcripts.
        interruptions: which set of `daic_defects.INTERRUPTIONS` to leave out.
    """

    speakers: str | Sequence[str] = ("participant",)
    offsets: str = "adbailey"
    interruptions: str = "documentation"


@dataclass(frozen=True, slots=True)
class InterviewSegment(Utterance):
    """A part of an interview. It has no emotion; `depression` is one of `daic_labels.LABELS`."""

    emotion: str | None = None
    depression: str = ""
    phq8_score: int | None = None
    gender_code: str | None = None
    speaker_role: str | None = None


@dataclass
class Account:
    """What became of everything: reason -> number, "kept" among the reasons.

    Attributes:
        participants: whom label files list or sessions are there of.
        rows: of the transcripts that were read; a row of a kept segment is kept.
        segments: that were formed of rows that are not left out.
    """

    participants: Counter = field(default_factory=Counter)
    rows: Counter = field(default_factory=Counter)
    segments: Counter = field(default_factory=Counter)


class DaicWoz(CorpusBuilder):
    """DAIC-WOZ (Gratch et al., LREC 2014): interviews by a virtual interviewer, with PHQ-8 scores (AVEC 2016/2017).

    Each row is a part of an interview, by default a turn of the participant. All segments of a participant have the
    participant's label: report scores by participant, and say so where they are by segment.
    """

    BUILDER_CONFIG_CLASS = DaicWozConfig
    BUILDER_CONFIGS = [DaicWozConfig(name="default", description="depressed or not, by PHQ-8 score")]
    TRAINING_CONFIG_NAME = "default"
    SPLIT_SCHEMES = ("official",)
    LABEL_COLUMN = "depression"
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

    #: What a layout differs in.
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
        """The resolved folder that archives of `data_dir` are unpacked to.

        Raises:
            ValueError: it would be in `data_dir` itself.
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
        """Read the corpus and count its participants, rows of transcripts and segments by what became of them.

        Raises:
            CorpusDataError: `data_dir` is not this corpus.
        """
        account = Account()
        for _ in self._read(Path(data_dir).expanduser().resolve(), account):
            pass
        return account

    def _read(self, data_dir: Path, account: Account) -> Iterator[Utterance | Reject]:
        files = find_label_files(data_dir, self.LABEL_FILES)
        if not files:
            self._refuse_folder(data_dir)
        participants, rejects = read_labels(files, "recompute_binary" in self._remedies)
        yield from rejects
        sessions = find_sessions(data_dir)
        listed = {participant.id for participant in participants}
        rejected = {int(reject.id) for reject in rejects if reject.id.isdecimal() and len(reject.id) < 10} - listed
        account.participants.update(["its label cannot be read"] * len(rejected))
        for number in sorted(set(sessions) - listed - rejected):
            excluded = number in EXCLUDED_SESSIONS and "excluded_sessions" in self._remedies
            reason = "an excluded session" if excluded else "no label file lists it"
            account.participants[reason] += 1
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
            account.participants[reason or KEPT] += 1
        for reason, numbers in left_out.items():
            shown = ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
            logger.warning(f"{self.name}: participant {shown}: {reason}")
        for split in self.LABEL_FILES:
            if split not in files:
                wanted = " or ".join(self.LABEL_FILES[split])
                logger.warning(f"{self.name}: no {split} split, because {data_dir} has no {wanted}")

    def _refuse_folder(self, data_dir: Path) -> None:
        other_files, other_name = self.OTHER_LAYOUT
        if find_label_files(data_dir, other_files):
            raise CorpusDataError(f"{data_dir} has the label files of another corpus: load it as {other_name}")
        names = ", ".join(name for names in self.LABEL_FILES.values() for name in names)
        raise wrong_folder(data_dir, self.TITLE, f"{names} in it and one folder below")

    def _read_participant(
        self, participant: Participant, session: Session | None, data_dir: Path, account: Account
    ) -> Iterator[Utterance | Reject]:
        """Segments of one interview; a reject that bears the participant's own id means that there are none at all."""
        name = str(participant.id)
        if reason := self._rule_against(participant):
            yield Reject(name, participant.source, reason, by_rule=True)
            return
        missing, source = "its session is not there", participant.source
        audio = transcript = None
        try:
            if session is not None:
                source = str(session.place)
                audio, transcript = locate_session(participant.id, session, data_dir, self.extract_dir(data_dir))
                missing = f"its {'recording' if audio is None else 'transcript'} is not there"
            if audio is None or transcript is None:
                yield Reject(name, source, missing, by_rule=not self.config.require_complete)
                return
            rows, duration = self.read_transcript(transcript), audio_duration(audio)
        except (
            CorpusDataError,
            ArchiveError,
            AudioError,
            FileExistsError,
            FileNotFoundError,
            PermissionError,
        ) as error:
            yield Reject(name, source, str(error))  # a full disk, on the other hand, is not this session's fault
            return
        shown = transcript if transcript.is_relative_to(data_dir) else session.archives[0] / transcript.name
        result = segment(rows, duration, self._segmentation, self._mending(participant.id))
        account.rows.update(result.rows)
        account.segments.update(result.counts)
        self._check_interviewer(participant.id, result.has_interviewer)
        for part, line, reason in result.left_out:
            yield Reject(f"{name}_{part}", f"{shown}, line {line}", reason, by_rule=True)
        if not result.kept:
            yield Reject(name, str(shown), "nothing of its interview is left", by_rule=True)
        for part in result.kept:
            yield InterviewSegment(
                id=f"{name}_{part.name}",
                path=str(audio),
                depression=participant.depression,
                phq8_score=participant.score,
                gender_code=participant.gender_code,
                speaker_role=part.role,
                speaker_id=name,
                session_id=name,
                start=part.start,
                end=part.end,
                transcript=part.text,
                split=participant.split,
                cut=True,
                source=f"{shown}, line {part.line}",
            )

    def _rule_against(self, participant: Participant) -> str | None:
        if "excluded_sessions" in self._remedies and participant.id in EXCLUDED_SESSIONS:
            return "an excluded session"
        if "contested_sessions" in self._remedies and participant.id in CONTESTED_SESSIONS:
            return "a session that some authors leave out"
        if participant.depression is None:
            return "no file has its label (full_test_split.csv brings those of the test set)"
        return None

    def _mending(self, participant: int) -> Mending:
        remedies, config = self._remedies, self.config
        spans = INTERRUPTIONS[config.interruptions]
        return Mending(
            offset=OFFSETS[config.offsets].get(participant, 0.0) if "misalignment" in remedies else 0.0,
            interruptions=[spans[participant]] if "interruptions" in remedies and participant in spans else [],
            drop_sync="sync_markers" in remedies,
            drop_scrubbed="scrubbed" in remedies,
            drop_chatter="chatter" in remedies,
            split_without_interviewer="missing_interviewer" in remedies,
            auto_transcribed="auto_transcribed" in remedies and participant >= FIRST_AUTO_TRANSCRIBED,
        )

    def _check_interviewer(self, participant: int, is_there: bool) -> None:
        if not is_there and participant not in WITHOUT_INTERVIEWER:
            logger.warning(
                f"{self.name}: the transcript of {participant} has no row of the interviewer, so what precedes the "
                "interview cannot be told from it; check the file"
            )

    def label_of(self, utterance: InterviewSegment) -> str | None:
        return utterance.depression

    def encode(self, utterance: InterviewSegment, label: str, payload: dict | None = None) -> dict:
        names = ("id", "gender_code", "speaker_role", "speaker_id", "session_id", "start", "end", "transcript")
        row = {name: getattr(utterance, name) for name in names}
        row.update(self.payload(utterance) if payload is None else payload)
        row["depression"] = LABELS.index(label)
        row["phq8_score"] = -1 if utterance.phq8_score is None else utterance.phq8_score
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
