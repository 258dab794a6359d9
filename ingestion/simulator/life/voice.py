"""What a customer's words carry: sentiment, topic, emotion and rivals, before they are written."""

import numpy as np

from ingestion.simulator import words
from ingestion.simulator.life.cast import Cast
from ingestion.simulator.life.columns import Array, Columns, draw, pick

TOPICS = words.TOPICS
_WEIGHTS = {  # of EMOTIONS, by sentiment
    "positive": (4, 4, 3, 0, 1, 0, 0, 0, 0),
    "neutral": (0, 0, 1, 8, 1, 0, 0, 0, 1),
    "negative": (0, 0, 0, 0, 0.5, 4, 4, 3, 2),
    "mixed": (0.5, 1, 0.5, 2, 2, 3, 2, 0, 1),
}


def labels(
    rng: np.random.Generator, cast: Cast, person: Array, feeling: Array, topic: Array
) -> Columns:
    """Labels of one text a row; `feeling` in 0 (bad) to 1 (good), `topic` a position in TOPICS."""
    n = len(person)
    felt = feeling + rng.normal(0, 0.08, n)
    sentiment = np.select([felt > 0.66, felt > 0.42], [0, 1], 2)
    reserved = rng.random(n) > 0.45 + 0.5 * cast.expressiveness[person]
    sentiment = np.where(reserved & (np.abs(felt - 0.55) < 0.2), 1, sentiment)
    sentiment = np.where((felt > 0.4) & (felt < 0.75) & (rng.random(n) < 0.2), 3, sentiment)
    emotion = np.zeros(n, np.int64)
    for code, name in enumerate(words.SENTIMENTS):
        of = np.flatnonzero(sentiment == code)
        emotion[of] = draw(rng, _WEIGHTS[name], len(of))
    named = rng.random(n) < np.where(sentiment == 2, 0.09, 0.03)
    choice = rng.random(n)
    rival = np.full(n, None, object)  # one that is known where the person lives
    for language, rivals in words.COMPETITORS_OF.items():
        of = np.flatnonzero(named & (cast.language[person] == language))
        rival[of] = np.array(rivals, object)[(choice[of] * len(rivals)).astype(np.int64)]
    return {
        "language": cast.language[person],
        "sentiment": pick(words.SENTIMENTS, sentiment),
        "topic": pick(TOPICS, topic),
        "emotion": pick(words.EMOTIONS, emotion),
        "competitor": rival,
    }


def write(rng: np.random.Generator, kind: str, of: Columns) -> Array:
    """Texts of one kind with those labels."""
    if not len(of["language"]):
        return np.zeros(0, object)
    return words.write(rng, kind=kind, **of)


def subset(of: Columns, where: Array) -> Columns:
    """The labels of some rows."""
    return {c: v[where] for c, v in of.items()}
