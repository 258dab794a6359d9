"""What customers and agents write, composed from phrases whose meaning is known.

The phrases of each language lie in `phrases/<language>.yml`. A text is put together of an opening,
what is said of the topic, a mark of the emotion, a closing; then it is roughened as people do:
typing errors, no capitals, missing accents, emoji. The labels hold by construction.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

LANGUAGES = ("en", "de", "pt", "ru")
SENTIMENTS = ("positive", "neutral", "negative", "mixed")
TOPICS = (
    "delivery", "product_quality", "price", "website", "payment",
    "returns", "support", "assortment", "size_fit", "account",
)  # fmt: skip
EMOTIONS = (
    "joy", "gratitude", "trust", "neutral", "surprise",
    "disappointment", "frustration", "anger", "worry",
)  # fmt: skip
# An emotion a reader could find in words of that sentiment; others are refused.
EMOTIONS_OF = {
    "positive": ("joy", "gratitude", "trust", "surprise", "neutral"),
    "neutral": ("neutral", "trust", "surprise", "worry"),
    "negative": ("disappointment", "frustration", "anger", "worry", "surprise", "neutral"),
    "mixed": (
        "disappointment", "frustration", "worry", "surprise",
        "joy", "gratitude", "trust", "neutral",
    ),
}  # fmt: skip
COMPETITORS_OF = {  # invented shops that customers of that language know
    "en": ("TrailNorth", "Fellgate", "Gipfelwerk"),
    "de": ("Gipfelwerk", "Bergkontor", "TrailNorth"),
    "pt": ("Serra Alta", "Trilha Viva", "TrailNorth"),
    "ru": ("Северный Путь", "Тайга-Маркет", "Gipfelwerk"),
}
COMPETITORS = tuple(sorted({name for names in COMPETITORS_OF.values() for name in names}))

# Shares of customers' texts with each imperfection, and of statements that say two things.
NO_CAPITALS, TYPOS, PLAIN_LETTERS, EMOJI, NO_FULL_STOP = 0.10, 0.10, 0.08, 0.12, 0.15
TWO_CLAUSES, WITH_REQUEST, FORMAL, COMPLAINT, IRONY = 0.45, 0.7, 0.45, 0.6, 0.12

_PHRASES = Path(__file__).parent / "phrases"
_WIDTH = 12  # every list of phrases is repeated to this length: lists of 2, 3, 4, 6 come out even
_UPSET = ("disappointment", "frustration", "anger")  # irony shows one of these
_POLARITIES = ("pos", "neg")
_REGISTERS = ("formal", "informal")


def write(
    rng: np.random.Generator,
    *,
    kind: str,
    language: np.ndarray,
    sentiment: np.ndarray,
    topic: np.ndarray,
    emotion: np.ndarray,
    competitor: np.ndarray | None = None,
) -> np.ndarray:
    """One text a row, as an object array of `str`; the labels are arrays of equal length.

    `kind` is one of `KINDS`. A competitor is named in the text where `competitor` is not null.
    The labels of an agent's reply are those of the message that is answered. A subject or a title
    carries sentiment and topic; its emotion is said in the body.

    Raises:
        ValueError: an unknown kind or label, or an emotion that the sentiment does not allow.
    """
    if kind not in _COMPOSERS:
        raise ValueError(f"words: unknown kind {kind!r}; known are {', '.join(KINDS)}")
    languages = _codes("language", language, LANGUAGES)
    sentiments = _codes("sentiment", sentiment, SENTIMENTS)
    topics = _codes("topic", topic, TOPICS)
    emotions = _codes("emotion", emotion, EMOTIONS)
    _check_emotions(sentiments, emotions)
    names = np.full(len(languages), None, dtype=object)
    if competitor is not None:
        names = np.array([c if isinstance(c, str) and c else None for c in competitor], object)
    texts = np.empty(len(languages), dtype=object)
    for code, name in enumerate(LANGUAGES):
        rows = np.flatnonzero(languages == code)
        if len(rows):
            writer = _Writer(
                rng, _phrases(name), sentiments[rows], topics[rows], emotions[rows], names[rows]
            )
            texts[rows] = _COMPOSERS[kind](writer)
    return texts


def _codes(label: str, values: np.ndarray, known: Sequence[str]) -> np.ndarray:
    position = {name: i for i, name in enumerate(known)}
    try:
        return np.fromiter((position[v] for v in values), dtype=np.int64, count=len(values))
    except KeyError as error:
        raise ValueError(
            f"words: unknown {label} {error.args[0]!r}; known are {', '.join(known)}"
        ) from None


def _check_emotions(sentiments: np.ndarray, emotions: np.ndarray) -> None:
    allowed = np.array([[e in EMOTIONS_OF[s] for e in EMOTIONS] for s in SENTIMENTS])
    wrong = np.flatnonzero(~allowed[sentiments, emotions])
    if len(wrong):
        sentiment, emotion = SENTIMENTS[sentiments[wrong[0]]], EMOTIONS[emotions[wrong[0]]]
        raise ValueError(
            f"words: no {sentiment} text shows {emotion}; "
            f"choose one of {', '.join(EMOTIONS_OF[sentiment])}"
        )


# ---- phrases ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Phrases:
    """The phrases of one language as object arrays; the last axis is `_WIDTH` alternatives."""

    tables: Mapping[str, np.ndarray]
    slots: Mapping[str, np.ndarray]  # values that a {slot} may take
    typos: tuple[tuple[str, str], ...]
    plain: Mapping[int, str]  # for str.translate


@functools.cache
def _phrases(language: str) -> _Phrases:
    raw = yaml.safe_load((_PHRASES / f"{language}.yml").read_text(encoding="utf-8"))
    topics, ticket, review, agent = raw["topics"], raw["ticket"], raw["review"], raw["agent"]

    def by_topic(part: str) -> np.ndarray:
        return _stack(_wide(topics[t][part]) for t in TOPICS)

    def by_sentiment(part: Mapping[str, list[str]]) -> np.ndarray:
        return _stack(_wide(part.get(s) or [""]) for s in SENTIMENTS)

    def by_register(part: Mapping[str, list[str]] | list[str]) -> np.ndarray:
        lists = part if isinstance(part, dict) else dict.fromkeys(_REGISTERS, part)
        return _stack(_wide(lists[r]) for r in _REGISTERS)

    def emotion(sentiment: str, emotion: str) -> np.ndarray:
        marks = raw["emotions"]  # some are said otherwise beside a mixed or neutral statement
        return _wide(marks.get(f"{emotion}_{sentiment}", marks.get(emotion, [""])))

    tables = {
        "clause": _stack(
            _stack(_stack(_wide(a[p]) for p in _POLARITIES) for a in topics[t]["aspects"])
            for t in TOPICS
        ),
        **{
            p: by_topic(p)
            for p in ("nouns", "complaint", "irony", "ask", "tell", "subject", "action")
        },
        "request": _stack(by_register(topics[t]["request"]) for t in TOPICS),
        "emotion": _stack(_stack(emotion(s, e) for e in EMOTIONS) for s in SENTIMENTS),
        "emoji": _stack(_wide(raw["emoji"].get(e, [""])) for e in EMOTIONS),
        **{p: _wide(raw[p]) for p in ("and", "but")},
        **{p: by_sentiment(raw[p]) for p in ("mention", "mention_short")},
        "ticket_subject": by_sentiment(ticket["subject"]),
        "ticket_greeting": by_register(ticket["greeting"]),
        "ticket_opening": _wide(ticket["opening"]),
        "ticket_closing": by_register(ticket["closing"]),
        "review_opening": _wide(review["opening"]),
        "review_closing": by_sentiment(review["closing"]),
        "review_title": by_sentiment(review["title"]),
        "agent_greeting": _wide(agent["greeting"]),
        "agent_notice": by_sentiment(agent["notice"]),
        "agent_mention": _wide(agent["mention"]),
        "agent_closing": _wide(agent["closing"]),
    }
    return _Phrases(
        tables=tables,
        slots=_slots(raw),
        typos=tuple(raw["typos"].items()),
        plain=str.maketrans(raw["plain"]),
    )


def _slots(raw: Mapping[str, Any]) -> dict[str, np.ndarray]:
    amounts = [
        f"{n}{raw['decimal']}{c}" for n in range(7, 250, 3) for c in ("00", "49", "90", "95")
    ]
    values: dict[str, list[str]] = {
        **raw["slots"],
        "amount": [pattern.format(a) for a in amounts for pattern in raw["amount"]],
        "order": [f"#{n}" for n in range(10_007, 99_991, 17)],
        # the numbers of one slot take one grammatical form in every language
        "days": [str(n) for n in range(5, 21)],
        "few": ["2", "3", "4"],
        "years": [str(n) for n in range(5, 13)],
        "minutes": [str(n) for n in range(20, 60, 5)],
        "percent": [str(n) for n in range(10, 45, 5)],
    }
    return {name: np.array(v, dtype=object) for name, v in values.items()}


def _wide(phrases: Sequence[str]) -> np.ndarray:
    return np.resize(np.array(phrases, dtype=object), _WIDTH)


def _stack(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.stack(list(arrays))


# ---- composing ----------------------------------------------------------------------------------
@dataclass
class _Writer:
    """Writes the texts of one language; every array has one element a text."""

    rng: np.random.Generator
    phrases: _Phrases
    sentiment: np.ndarray
    topic: np.ndarray
    emotion: np.ndarray
    competitor: np.ndarray

    def chance(self, share: float) -> np.ndarray:
        return self.rng.random(len(self.topic)) < share

    def pick(self, table: str, *index: np.ndarray) -> np.ndarray:
        """One of the alternatives of a table, by its leading axes."""
        choice = self.rng.integers(_WIDTH, size=len(self.topic))
        return self.phrases.tables[table][(*index, choice)]

    def is_(self, sentiment: str) -> np.ndarray:
        return self.sentiment == SENTIMENTS.index(sentiment)

    def statement(self) -> np.ndarray:
        """What is said of the topic: one clause or two, of different aspects of it."""
        n = len(self.topic)
        first, further = self.rng.integers(3, size=n), self.rng.integers(1, 3, size=n)
        second = (first + further) % 3
        mixed = self.is_("mixed")
        polarity = np.where(self.is_("negative"), 1, 0)
        polarity = np.where(mixed & self.chance(0.4), 1, polarity)  # "…, but on the good side …"
        one = self.pick("clause", self.topic, first, polarity)
        other = self.pick("clause", self.topic, second, np.where(mixed, 1 - polarity, polarity))
        link = np.where(mixed, self.pick("but"), self.pick("and"))
        both = mixed | self.chance(TWO_CLAUSES)
        return np.array(
            [
                _sentence(a + c + (_capital(b) if c == ". " else b) if two else a)
                for a, b, c, two in zip(one, other, link, both, strict=True)
            ],
            dtype=object,
        )

    def told(self) -> np.ndarray:
        """The statement of somebody who reports, or of one who describes without a judgement."""
        plain = _map(_sentence, self.pick("tell", self.topic))
        return np.where(self.is_("neutral"), plain, self.statement())

    def asked(self) -> np.ndarray:
        """The statement of somebody who wants something: a question, a complaint, a report."""
        question = _map(_sentence, self.pick("ask", self.topic))
        complaint = _map(_sentence, self.pick("complaint", self.topic))
        text = np.where(self.is_("neutral"), question, self.statement())
        text = np.where(self.is_("negative") & self.chance(COMPLAINT), complaint, text)
        upset = np.isin(self.emotion, [EMOTIONS.index(e) for e in _UPSET])
        irony = _map(_sentence, self.pick("irony", self.topic))
        return np.where(self.is_("negative") & upset & self.chance(IRONY), irony, text)

    def marker(self) -> np.ndarray:
        return self.pick("emotion", self.sentiment, self.emotion)

    def mention(self, table: str = "mention") -> np.ndarray:
        by = (self.sentiment,) if table != "agent_mention" else ()
        return np.where(self.competitor == None, "", self.pick(table, *by))  # noqa: E711

    def join(self, *parts: np.ndarray, by: str = " ") -> np.ndarray:
        rows = zip(*parts, strict=True)
        return np.array([by.join(p for p in row if p) for row in rows], dtype=object)

    def fill(self, texts: np.ndarray) -> np.ndarray:
        """Put a value into each slot, the same one wherever it occurs in a text."""
        n, speaker = len(texts), self.rng.integers(2, size=len(texts))
        for slot, values in self.phrases.slots.items():
            by_speaker = slot in ("gender", "self")  # endings that tell a woman from a man
            chosen = values[
                speaker % len(values) if by_speaker else self.rng.integers(len(values), size=n)
            ]
            texts = _replace(texts, "{" + slot + "}", chosen)
        return _map(_capital, texts)

    def roughen(self, texts: np.ndarray) -> np.ndarray:
        """The imperfections of people who have better things to do than to write to a shop."""
        plain = self.phrases.plain
        emoji = self.pick("emoji", self.emotion)
        marks = ((NO_CAPITALS, str.lower), (PLAIN_LETTERS, lambda t: t.translate(plain)))
        for share, change in marks:
            texts = np.where(self.chance(share), _map(change, texts), texts)
        typos, n = self.phrases.typos, len(texts)
        rough, offset = self.chance(TYPOS), self.rng.integers(len(typos), size=n)
        for row in np.flatnonzero(rough):
            words = typos[offset[row] :] + typos[: offset[row]]
            texts[row] = _misspell(texts[row], words)
        texts = np.where(self.chance(NO_FULL_STOP), _map(lambda t: t.rstrip("."), texts), texts)
        return np.where(self.chance(EMOJI), self.join(texts, emoji), texts)

    def finish(self, texts: np.ndarray, *, rough: bool = True) -> np.ndarray:
        texts = self.fill(texts)
        if rough:
            texts = self.roughen(texts)
        # last, so that a name is written as its owner writes it
        return _replace(texts, "{competitor}", self.competitor)


def _ticket_message(w: _Writer) -> np.ndarray:
    register = np.where(w.chance(FORMAL), 0, 1)
    wants = ~w.is_("positive") & ~w.is_("neutral") & w.chance(WITH_REQUEST)
    body = w.join(
        w.pick("ticket_opening"),
        w.asked(),
        w.marker(),
        w.mention(),
        np.where(wants, w.pick("request", w.topic, register), ""),
    )
    greeting, closing = w.pick("ticket_greeting", register), w.pick("ticket_closing", register)
    return w.finish(w.join(greeting, body, closing, by="\n\n"))


def _ticket_subject(w: _Writer) -> np.ndarray:
    text = w.pick("ticket_subject", w.sentiment)
    text = _replace(text, "{subject}", w.pick("subject", w.topic))
    return _short(w, text)


def _review_title(w: _Writer) -> np.ndarray:
    return _short(w, w.pick("review_title", w.sentiment))


def _short(w: _Writer, text: np.ndarray) -> np.ndarray:
    mention = w.mention("mention_short")
    text = np.where(mention == "", text, text + ", " + mention)
    return w.finish(_replace(text, "{topic}", w.pick("nouns", w.topic)))


def _survey_comment(w: _Writer) -> np.ndarray:
    return w.finish(w.join(w.told(), w.marker(), w.mention()))


def _review_body(w: _Writer) -> np.ndarray:
    return w.finish(
        w.join(
            w.pick("review_opening"),
            w.told(),
            w.marker(),
            w.mention(),
            w.pick("review_closing", w.sentiment),
        )
    )


def _agent_reply(w: _Writer) -> np.ndarray:
    body = w.join(
        w.pick("agent_notice", w.sentiment), w.pick("action", w.topic), w.mention("agent_mention")
    )
    text = w.join(w.pick("agent_greeting"), body, w.pick("agent_closing"), by="\n\n")
    return w.finish(text, rough=False)


_COMPOSERS: dict[str, Callable[[_Writer], np.ndarray]] = {
    "ticket_subject": _ticket_subject,
    "ticket_message": _ticket_message,
    "agent_reply": _agent_reply,
    "survey_comment": _survey_comment,
    "review_title": _review_title,
    "review_body": _review_body,
}
KINDS = tuple(_COMPOSERS)


def _map(change: Callable[[str], str], texts: np.ndarray) -> np.ndarray:
    return np.array([change(t) for t in texts], dtype=object)


def _replace(texts: np.ndarray, slot: str, values: np.ndarray) -> np.ndarray:
    pairs = zip(texts, values, strict=True)
    return np.array([t.replace(slot, v) if slot in t else t for t, v in pairs], dtype=object)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return _capital(text) if text.endswith(("?", "!", ".")) else _capital(text) + "."


def _misspell(text: str, words: Sequence[tuple[str, str]]) -> str:
    """The first two of the words that stand in the text, misspelt once each."""
    changed = 0
    for right, wrong in words:
        if f" {right} " in text:
            text = text.replace(f" {right} ", f" {wrong} ", 1)
            changed += 1
        if changed == 2:
            break
    return text
