"""Predictions for recordings: `lssed_hf.predict`, and how recordings are read, cut and classified."""

import itertools
import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..audio import num_channels, stream_audio
from ..scan import expand_paths
from .classifiers.classifier import NO_SCORES, Classifier
from .classifiers.loading import load_speaker_classifier
from .classifiers.outputs import Outputs
from .classifiers.pretrained import is_built_in
from .quality import LONG, MIN_SPEECH, MOSTLY_NO_SPEECH, NO_SPEECH, SILENT, TOO_SHORT, UNSURE, Listener


#: Source of a recording: a path, or an undecoded `Audio` row with its bytes.
Source = str | os.PathLike | Mapping
#: Ways to take the channels of a stereo recording.
CHANNELS = ("mix", "left", "right", "each")
#: Notes with which a recording gets no label, whatever the model.
UNSCORED = (SILENT, TOO_SHORT)

#: Columns of a table of speakers, and names for each.
_SPEAKER_TABLE = {"file": ("file", "path", "file_name", "filename"), "speaker": ("speaker", "speaker_id")}
_DECODERS = 2  # threads
_AHEAD = 8  # recordings
_PIECES_AHEAD = 10  # of each recording
_SHORTEST_PIECE = 1.0  # seconds


@dataclass(frozen=True, repr=False)
class Prediction:
    """Label of one recording, or the reason why there is none.

    Attributes:
        file: Name of the recording, as it was given; "-" for standard input.
        label: Most probable class; None where the recording could not be read or holds no speech, the model is unsure,
            or it gives values in place of classes.
        probabilities: Probability of each class; empty where no model was asked, and for a regression model.
        seconds: Length of the recording; None where it could not be read.
        notes: Reasons to distrust the label, such as "clipped"; empty for most recordings.
        error: Reason why the recording could not be read or scored, else None.
        channel: "left" or "right" if one channel was classified, else None.
        labels: Classes of the recording, the most probable first: `label`, and of a model that gives a clip several
            classes all others from 0.5 on.
        dimensions: Value of each dimension of a regression model, such as valence, in the scale of its corpus; empty
            for a classifier.

    Examples:
        >>> from lssed_hf import Prediction
        >>> prediction = Prediction("clip.wav", "sad", {"angry": 0.25, "sad": 0.75}, seconds=2.0)
        >>> prediction, prediction.score
        (Prediction('clip.wav', sad 0.75), 0.75)
        >>> Prediction("clip.wav", dimensions={"valence": 3.5, "arousal": 4.25})
        Prediction('clip.wav', valence 3.50, arousal 4.25)
    """

    file: str
    label: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    channel: str | None = None
    labels: tuple[str, ...] = ()
    dimensions: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        if self.label is not None and not self.labels:
            object.__setattr__(self, "labels", (self.label,))

    @property
    def score(self) -> float | None:
        """Probability of `label`, 0 to 1."""
        return None if self.label is None else self.probabilities[self.label]

    def __repr__(self) -> str:
        found = [(label, self.probabilities[label]) for label in self.labels] + [*self.dimensions.items()]
        outcome = ", ".join(f"{name} {value:.2f}" for name, value in found)
        return f"Prediction({self.file!r}, {self.error or outcome or ', '.join(self.notes)})"


def predict(
    inputs: str | os.PathLike | Sequence[str | os.PathLike],
    model: str | os.PathLike | Classifier | None = None,
    *,
    channel: str = "mix",
    vad: bool | None = None,
    min_speech: float = MIN_SPEECH,
    min_confidence: float = 0.0,
    speakers: str | os.PathLike | None = None,
    speaker: str | None = None,
    speaker_from: str | os.PathLike | None = None,
    batch_size: int = 8,
    device: str | None = None,
    trust_remote_code: bool = False,
    engine: str | None = None,
) -> list[Prediction]:
    """Classify recordings, as `lssed-hf predict` does.

    ```python
    import lssed_hf

    for prediction in lssed_hf.predict("recordings/"):
        print(prediction.file, prediction.label, prediction.score, prediction.notes)
    ```

    Args:
        inputs: Audio file, folder that is searched for them, pattern such as `"rec/*.wav"`, or a list of these.
        model: Folder or Hub name of a classifier, a name of `list_pretrained`, or a classifier that is open; by
            default the first of `list_pretrained`.
        channel: Channel of stereo recordings: "mix" (their mean), "left", "right", or "each" for a prediction of each.
        vad: Whether recordings that are mostly no speech get no label. By default models of `list_pretrained` give no
            label to recordings without any speech, and other models only note it.
        min_speech: Share of a recording, 0 to 1, below which it counts as mostly no speech.
        min_confidence: Probability, 0 to 1, below which the most probable class is no label: the note is "unsure".
            A regression model, which has no probabilities, takes none.
        speakers: File of `lssed-hf enroll`, to normalise by a speaker's own statistics.
        speaker: Name of the speaker in that file, by default the only one there.
        speaker_from: Where the speaker of each recording is told, to normalise by all recordings of the speaker:
            "path" for folders of one speaker each, "recording" for one speaker each, or a table with the columns
            `file` and `speaker`. No labels are needed.
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.
        engine: "torch" for PyTorch, or "onnx" for ONNX Runtime. Default: ONNX Runtime for models of `list_pretrained`
            on the CPU, which starts without an import of torch; else as `load_classifier`.

    Returns:
        A `Prediction` for each recording, in order. A recording that cannot be read, or for which the model gives no
        finite scores, has an `error` and no label.

    Raises:
        FileNotFoundError: There is no such folder or model, or a folder or pattern holds no recordings.
        ValueError: A setting is out of its range, or the device is not there.
        TypeError: The recordings are neither names nor paths.
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel={channel!r} is none of {', '.join(CHANNELS)}")
    for name, share in {"min_speech": min_speech, "min_confidence": min_confidence}.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name}={share} must be between 0 and 1")
    if speaker is not None and (speakers is None or isinstance(model, Classifier)):
        raise ValueError("speaker names one in the file speakers, for a model by its name; give both, or neither")
    if speaker_from is not None and speakers is not None:
        raise ValueError("speakers and speaker_from are two origins of a speaker's statistics; give one")
    paths = find_recordings(inputs)
    if not isinstance(model, Classifier):
        path = None if speakers is None else Path(speakers)
        model = load_speaker_classifier((model, batch_size, device, trust_remote_code), (path, speaker), engine)
    unscored = unscored_notes(vad, is_built_in(model.name))
    settings = {"channel": channel, "unscored": unscored, "min_speech": min_speech, "min_confidence": min_confidence}
    return list(predict_recordings(model, paths, speaker_from, **settings))


def predict_files(
    classifier: Classifier,
    sources: Iterable[Source],
    *,
    channel: str = "mix",
    unscored: Collection[str] = UNSCORED,
    min_speech: float = MIN_SPEECH,
    min_confidence: float = 0.0,
) -> Iterator[Prediction]:
    """Yield the prediction for each recording, in order.

    A recording of up to 30 s is one input of the network. A longer one is classified in pieces of 30 s, and the
    scores of the pieces are averaged by length, so that memory does not grow with the recording.

    Args:
        classifier: Classifier of `load_classifier`.
        sources: Paths, or mappings with `path` and `bytes`.
        channel: Channel of stereo recordings: "mix" (their mean), "left", "right", or "each" for a prediction of each.
        unscored: Notes with which a recording gets no label.
        min_speech: Share of a recording, 0 to 1, below which it is noted as mostly no speech.
        min_confidence: Probability below which a recording gets the note "unsure" and no label.
    """
    outputs, rate = classifier.outputs, classifier.sampling_rate
    outputs.check_confidence(min_confidence)
    recordings: deque[_Recording] = deque()
    pending: deque[tuple[_Recording, int]] = deque()

    def waveforms() -> Iterator[np.ndarray]:
        for recording in _opened(sources, channel, rate, min_speech):
            recordings.append(recording)
            for piece in recording.pieces:
                if recording.read_whole and not set(unscored).isdisjoint(recording.listener.notes):
                    continue  # some networks fail on a clip that is too short
                pending.append((recording, len(piece)))
                yield piece
            recording.handed_over = True

    for row in classifier.scores(waveforms()):
        recording, length = pending.popleft()
        recording.rows.append((length, row))
        while recordings and recordings[0].handed_over and not (pending and pending[0][0] is recordings[0]):
            yield recordings.popleft().prediction(outputs, unscored, min_confidence)
    for recording in recordings:
        yield recording.prediction(outputs, unscored, min_confidence)


def predict_recordings(
    classifier: Classifier, sources: Sequence[Source], speaker_from: str | os.PathLike | None, **settings: Any
) -> Iterator[Prediction]:
    """Return the predictions of `predict_files`, or with `speaker_from` (see `predict`) of `predict_by_speaker`.

    Args:
        classifier: Classifier of `load_classifier`.
        sources: Paths; without `speaker_from` also mappings with `path` and `bytes`.
        speaker_from: See `predict`.
        **settings: Settings of `predict_files`.

    Raises:
        FileNotFoundError, ValueError: See `speakers_of_paths`.
    """
    if speaker_from is None:
        return predict_files(classifier, sources, **settings)
    return predict_by_speaker(classifier, sources, speakers_of_paths(sources, os.fspath(speaker_from)), **settings)


def predict_by_speaker(
    classifier: Classifier,
    paths: Sequence[str | os.PathLike],
    speakers: Sequence[str | None],
    *,
    channel: str = "mix",
    unscored: Collection[str] = UNSCORED,
    min_speech: float = MIN_SPEECH,
    min_confidence: float = 0.0,
) -> Iterator[Prediction]:
    """Yield the prediction for each recording, in order, normalised by all recordings of its speaker.

    Recordings are read twice: first for the statistics of the speakers, which need no labels.

    Args:
        classifier: Classifier that takes speakers' own statistics.
        paths: Recordings.
        speakers: Speaker of each recording, None where unknown.
        channel: See `predict_files`.
        unscored: See `predict_files`.
        min_speech: See `predict_files`.
        min_confidence: See `predict_files`.

    Raises:
        ValueError: The classifier takes no statistics of speakers.
    """
    classifier.check_speakers()
    numbers_of: dict[str | None, list[int]] = {}
    for number, speaker in enumerate(speakers):
        numbers_of.setdefault(speaker, []).append(number)
    rows: dict[int, list[Prediction]] = {}
    for speaker, numbers in numbers_of.items():
        own = [paths[number] for number in numbers]
        model = classifier
        if speaker is not None:
            waveforms = _scored(own, channel, classifier.sampling_rate, min_speech, unscored)
            if (first := next(waveforms, None)) is not None:
                model = classifier.for_speaker(classifier.speaker_statistics(itertools.chain([first], waveforms)))
        settings = {"channel": channel, "min_speech": min_speech, "min_confidence": min_confidence}
        # A recording has a row for each of its channels.
        by_file = itertools.groupby(
            predict_files(model, own, unscored=unscored, **settings), key=lambda prediction: prediction.file
        )
        rows.update((number, list(predictions)) for number, (_, predictions) in zip(numbers, by_file, strict=True))
    for number in range(len(paths)):
        yield from rows[number]


def _scored(
    paths: Sequence[Source], channel: str, rate: int, min_speech: float, unscored: Collection[str]
) -> Iterator[np.ndarray]:
    """Yield pieces (samples,) of the recordings that get a label."""
    for recording in _opened(paths, channel, rate, min_speech):
        pieces = list(recording.pieces)
        if recording.error is None and set(unscored).isdisjoint(recording.listener.notes):
            yield from pieces


def speakers_of_paths(paths: Sequence[Path], speaker_from: str) -> list[str | None]:
    """Return the speaker of each recording.

    Args:
        paths: Recordings.
        speaker_from: "path" for folders of one speaker each, "recording" for one speaker each, or a table with the
            columns `file` (relative to the table) and `speaker`, see `read_table`.

    Raises:
        FileNotFoundError: There is no such table.
        ValueError: The table lacks a column or a recording, or cannot be read.
    """
    from ..corpora.tables import read_table  # which imports datasets

    if speaker_from == "path":
        return [str(Path(path).parent) for path in paths]
    if speaker_from == "recording":
        return [str(path) for path in paths]
    table = Path(speaker_from)
    if not table.is_file():
        raise FileNotFoundError(f"--speaker_from {speaker_from}: neither path, nor recording, nor a CSV file")
    speaker_of = {}
    for row in read_table(table, _SPEAKER_TABLE):
        if name := row.first(*_SPEAKER_TABLE["file"]):
            speaker_of[os.path.realpath(table.parent / name)] = row.first(*_SPEAKER_TABLE["speaker"])
    missing = [str(path) for path in paths if os.path.realpath(path) not in speaker_of]
    if missing:
        raise ValueError(f"{table} has no row for {len(missing)} of the recordings, such as {missing[0]}")
    return [speaker_of[os.path.realpath(path)] for path in paths]


def find_recordings(inputs: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Path]:
    """Return the recordings among files, folders and patterns, see `expand_paths`.

    Raises:
        TypeError: There are other things than names and paths among the inputs.
        FileNotFoundError: There is no such folder, or a folder or pattern holds no recordings.
    """
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    if not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping)):
        raise TypeError(f"recordings are files, folders or patterns, or a list of these, not {type(inputs).__name__}")
    given = list(given)
    for one in given:
        if not isinstance(one, (str, os.PathLike)):
            raise TypeError(
                f"recordings are files, folders or patterns, not {type(one).__name__}; a classifier of "
                "load_classifier takes arrays and bytes"
            )
    return expand_paths(given)


def unscored_notes(vad: bool | None, built_in: bool) -> tuple[str, ...]:
    """Return the notes with which a recording gets no label.

    Args:
        vad: Argument of `predict`.
        built_in: Whether the built-in model classifies, which knows speech only.
    """
    if vad:
        return (*UNSCORED, NO_SPEECH, MOSTLY_NO_SPEECH)
    return (*UNSCORED, NO_SPEECH) if vad is None and built_in else UNSCORED


class _Recording:
    """Recording on its way through the classifier."""

    def __init__(self, source: Source, channel: str, sampling_rate: int, min_speech: float):
        self.file = str(source["path"] if isinstance(source, Mapping) else os.fspath(source))
        self.channel, self.error = channel, None
        self.read_whole = self.handed_over = False  # read to its end, and all of it given to the classifier
        self.decoder_notes: list[str] = []
        self.listener = Listener(sampling_rate, min_speech)
        self.rows: list[tuple[int, np.ndarray]] = []  # samples and scores of each piece
        blocks = stream_audio(source, sampling_rate, channel=channel, notes=self.decoder_notes)
        pieces = self._until_error(_pieces(self.listener.listen(blocks), sampling_rate))
        self.pieces = itertools.chain(list(itertools.islice(pieces, _PIECES_AHEAD)), pieces)

    def _until_error(self, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield pieces until one cannot be decoded, and keep the reason."""
        try:
            yield from pieces
        except (OSError, ValueError, ImportError) as error:
            self.error = str(error)
        self.read_whole = True

    def prediction(self, outputs: Outputs, unscored: Collection[str], min_confidence: float) -> Prediction:
        channel = None if self.channel == "mix" else self.channel
        if self.error is not None:
            return Prediction(self.file, error=self.error, channel=channel)
        notes = (*self.listener.notes, *self.decoder_notes)
        facts = {"seconds": self.listener.seconds, "channel": channel}
        if not self.rows or not set(unscored).isdisjoint(notes):
            return Prediction(self.file, notes=notes, **facts)
        lengths, rows = zip(*self.rows)
        mean = np.average(rows, axis=0, weights=lengths)
        if not np.isfinite(mean).all():
            return Prediction(self.file, error=f"{self.file}: {NO_SCORES}", notes=notes, **facts)
        shares, values = outputs.split(mean)
        labels = outputs.chosen(shares, min_confidence)
        facts |= {"labels": labels, "dimensions": dict(zip(outputs.dimensions, map(float, values)))}
        if outputs.labels and not labels:
            notes = (UNSURE, *notes)
        probabilities = dict(zip(outputs.labels, map(float, shares)))
        return Prediction(self.file, labels[0] if labels else None, probabilities, notes=notes, **facts)


def _opened(sources: Iterable[Source], channel: str, rate: int, min_speech: float) -> Iterator[_Recording]:
    """Yield opened recordings in order. Some are opened ahead, while the network is at work."""

    def open_one(source: Source) -> list[_Recording]:
        return [_Recording(source, chosen, rate, min_speech) for chosen in _channels(source, channel)]

    sources = iter(sources)
    with ThreadPoolExecutor(_DECODERS) as pool:
        ahead = deque(pool.submit(open_one, source) for source in itertools.islice(sources, _AHEAD))
        while ahead:
            yield from ahead.popleft().result()
            ahead.extend(pool.submit(open_one, source) for source in itertools.islice(sources, 1))


def _channels(source: Source, channel: str) -> tuple[str, ...]:
    if channel != "each":
        return (channel,)
    try:
        return ("left", "right") if num_channels(source) > 1 else ("mix",)
    except (OSError, ValueError, ImportError):  # reading the recording gives the reason
        return ("mix",)


def _pieces(blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Cut blocks (samples,) into pieces of 30 s. A last piece below a second is joined to the one before."""
    length, spare = round(LONG * rate), round(_SHORTEST_PIECE * rate)
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        while count >= length + spare:
            samples = np.concatenate(held)
            yield samples[:length]
            held, count = [samples[length:]], count - length
    if count:
        yield np.concatenate(held)


__all__ = ["CHANNELS", "UNSCORED", "Prediction", "find_recordings", "predict", "predict_files", "unscored_notes"]
