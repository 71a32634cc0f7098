"""Emotion vocabulary: LSSED's eleven classes, the four of the benchmark, and the names in other corpora."""

import unicodedata
from collections.abc import Sequence


#: LSSED's classes. The first four, in this order, are the benchmark and the order of the released checkpoints.
EMOTIONS = (
    "angry",
    "neutral",
    "happy",
    "sad",
    "disappointed",
    "bored",
    "disgusted",
    "excited",
    "surprised",
    "fearful",
    "other",
)
BENCHMARK_EMOTIONS = EMOTIONS[:4]
GENDERS = ("female", "male")
#: Gender by its initial in names of files and speakers.
GENDER_INITIALS = {gender[0].upper(): gender for gender in GENDERS}
AGE_GROUPS = ("young", "middle_aged", "old")
#: Probability from which a clip has a class, where it may have several.
PRESENT = 0.5

#: Spellings in LSSED's paper and metadata and in other corpora. RAVDESS's authors recorded "calm" as a second resting
#: state beside "neutral". Here it counts as neutral, which defines the 4-class benchmark on RAVDESS.
ALIASES = {
    "anger": "angry",
    "ang": "angry",
    "normal": "neutral",
    "neutrality": "neutral",
    "neu": "neutral",
    "calm": "neutral",
    "happiness": "happy",
    "hap": "happy",
    "joy": "happy",
    "sadness": "sad",
    "disappointment": "disappointed",
    "boredom": "bored",
    "boring": "bored",
    "disgust": "disgusted",
    "disgusting": "disgusted",
    "excitement": "excited",
    "exc": "excited",
    "surprise": "surprised",
    "fear": "fearful",
    "anxiety": "fearful",
    "others": "other",
}


#: Words for emotions in English, German, French, Spanish, Italian, Polish, Portuguese, Dutch, Russian, Turkish and
#: Chinese. They find folders named after emotions and fill in suggestions, but change no label.
_WORDS = {
    "angry": "furious mad rage wut wütend ärger ärgerlich zorn zornig colère colérique fâché enojo enojado enfado "
    "enfadado ira rabia rabbia arrabbiato złość zły gniew raiva zangado boos boosheid woede злость злой гнев "
    "kızgın öfke 愤怒 生气 怒",
    "neutral": "neutrale neutralny neutro neutraal neutre neutralität ruhig calme tranquilo calmo spokojny rustig "
    "нейтральный нейтрально спокойный nötr sakin 中性 中立 平静",
    "happy": "joyful glad freude freudig froh fröhlich glücklich joie joyeux heureux content alegría alegre feliz "
    "felicidad gioia felice felicità radość radosny szczęśliwy szczęście alegria felicidade blij vreugde geluk "
    "gelukkig радость радостный счастье счастливый mutlu mutluluk neşe 高兴 快乐 开心 喜",
    "sad": "sorrow trauer traurig traurigkeit tristesse triste tristeza tristezza smutek smutny verdriet verdrietig "
    "droevig грусть грустный печаль печальный üzgün üzüntü 悲伤 难过 伤心 哀",
    "disappointed": "enttäuscht enttäuschung déçu déception decepcionado decepción deluso delusione rozczarowany "
    "rozczarowanie desapontado teleurgesteld разочарование hayal_kırıklığı 失望",
    "bored": "langeweile gelangweilt ennui ennuyé aburrido aburrimiento noia annoiato znudzony nuda entediado tédio "
    "verveeld verveling скука скучно sıkılmış sıkıntı 无聊",
    "disgusted": "ekel angeekelt dégoût dégoûté asco asqueado disgusto disgustato wstręt obrzydzenie nojo "
    "walging отвращение tiksinti iğrenme 厌恶 恶心",
    "excited": "aufgeregt aufregung begeistert excité excitation emocionado entusiasmado eccitato podekscytowany "
    "animado opgewonden возбуждение восторг heyecanlı heyecan 兴奋 激动",
    "surprised": "überraschung überrascht erstaunt surpris sorpresa sorprendido sorpreso zaskoczenie zaskoczony "
    "surpreso surpresa verrast verrassing удивление удивлённый şaşkın şaşkınlık 惊讶 吃惊 惊",
    "fearful": "afraid scared anxious angst ängstlich furcht peur effrayé apeuré miedo asustado temor paura "
    "spaventato strach przestraszony medo assustado bang angstig страх испуг испуганный korku korkmuş 恐惧 害怕 恐",
    "other": "sonstige sonstiges andere autre autres otro otros altro altri inne inny outro outros overig anders "
    "другое diğer 其他",
}
EMOTION_WORDS = {
    **{word: emotion for emotion, words in _WORDS.items() for word in words.split()},
    **ALIASES,
    **{emotion: emotion for emotion in EMOTIONS},
}


def label_numbers(names: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return the number of each name among the known ones, whatever its case, and -1 for an unknown name."""
    numbers = {name.lower(): number for number, name in enumerate(known)}
    return [numbers.get(name.lower(), -1) for name in names]


def emotion_of_word(word: str) -> str | None:
    """Return the name in `EMOTIONS` for a word in one of eleven languages, None for other words."""
    key = unicodedata.normalize("NFC", word).strip().casefold()
    return EMOTION_WORDS.get(key) or EMOTION_WORDS.get(key.replace(" ", "_").replace("-", "_"))


def normalize_emotion(label: str) -> str:
    """Return the name in `EMOTIONS` for any known spelling of an emotion.

    Raises:
        ValueError: The label is unknown; the message lists the known ones.
    """
    key = label.strip().lower()
    key = ALIASES.get(key, key)
    if key not in EMOTIONS:
        raise ValueError(f"unknown emotion {label!r}; known are {', '.join(EMOTIONS)} and {', '.join(ALIASES)}")
    return key
