"""Texts say what their labels say: each cell is written, in its script, with the names asked."""

import itertools
import re

import numpy as np
import pytest
import yaml

from ingestion.simulator import words

MOST_DISTINCT = {
    "ticket_subject": 0.02, "review_title": 0.01, "agent_reply": 0.05,
    "ticket_message": 0.80, "survey_comment": 0.25, "review_body": 0.70,
}  # fmt: skip
CELLS = list(itertools.product(words.LANGUAGES, words.SENTIMENTS, words.TOPICS))


def column(value: object, n: int) -> np.ndarray:
    return np.full(n, value, dtype=object)


def cell(
    kind: str,
    language: str,
    sentiment: str,
    topic: str,
    *,
    n: int = 40,
    emotion: str | None = None,
    competitor: np.ndarray | None = None,
    seed: int = 3,
) -> list[str]:
    allowed = [emotion] if emotion else words.EMOTIONS_OF[sentiment]
    return list(
        words.write(
            np.random.default_rng(seed),
            kind=kind,
            language=column(language, n),
            sentiment=column(sentiment, n),
            topic=column(topic, n),
            emotion=np.resize(np.array(allowed, dtype=object), n),
            competitor=competitor,
        )
    )


@pytest.mark.parametrize("kind", words.KINDS)
def test_every_cell_has_text_without_open_slots(kind: str) -> None:
    rows = np.array([c for c in CELLS for _ in range(12)], dtype=object)
    emotion = np.array([words.EMOTIONS_OF[s][i % 3] for i, (_, s, _) in enumerate(rows)], object)
    texts = words.write(
        np.random.default_rng(1), kind=kind, language=rows[:, 0], sentiment=rows[:, 1],
        topic=rows[:, 2], emotion=emotion, competitor=None,
    )  # fmt: skip
    assert texts.dtype == object and len(texts) == len(rows)
    for text, labels in zip(texts, rows, strict=True):
        assert isinstance(text, str) and len(text.strip()) >= 3, labels
        assert not re.search(r"[{}]|  |\.\.| [,.]", text), (labels, text)


@pytest.mark.parametrize(("kind", "least"), MOST_DISTINCT.items())
def test_few_texts_of_a_cell_are_equal(kind: str, least: float) -> None:
    for language, sentiment in itertools.product(words.LANGUAGES, words.SENTIMENTS):
        texts = cell(kind, language, sentiment, "delivery", n=1000)
        assert len(set(texts)) >= least * 1000, (language, sentiment, len(set(texts)))


@pytest.mark.parametrize("kind", words.KINDS)
@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_competitor_is_named_exactly_where_asked(kind: str, language: str) -> None:
    asked = np.resize(
        np.array([None, *words.COMPETITORS_OF[language], "", float("nan")], object), 600
    )
    for sentiment in words.SENTIMENTS:
        texts = cell(kind, language, sentiment, "price", n=600, competitor=asked)
        for text, name in zip(texts, asked, strict=True):
            named = {c for c in words.COMPETITORS if c.lower() in text.lower()}
            assert named == ({name} if isinstance(name, str) and name else set()), text
            assert not named or name in text, text


def test_each_language_is_written_in_its_script() -> None:
    for kind, sentiment in itertools.product(words.KINDS, words.SENTIMENTS):
        for language in words.LANGUAGES:
            text = " ".join(cell(kind, language, sentiment, "returns", n=200))
            letters = [c for c in text if c.isalpha()]
            cyrillic = sum("а" <= c.lower() <= "я" or c in "ёЁ" for c in letters) / len(letters)
            assert cyrillic > 0.75 if language == "ru" else cyrillic == 0, (kind, language)
    german = " ".join(cell("survey_comment", "de", "positive", "size_fit", n=300))
    brazilian = " ".join(cell("survey_comment", "pt", "negative", "returns", n=300))
    assert set("äöüß") <= set(german) and set("ãçéó") <= set(brazilian)


def test_equal_generators_write_equal_texts() -> None:
    assert cell("review_body", "de", "mixed", "price") == cell(
        "review_body", "de", "mixed", "price"
    )
    assert cell("review_body", "de", "mixed", "price", seed=4) != cell(
        "review_body", "de", "mixed", "price"
    )


def test_customers_differ_in_how_they_write() -> None:
    texts = cell("ticket_message", "en", "negative", "support", n=2000)
    lower = np.mean([t == t.lower() for t in texts])
    assert 0.05 < lower < 0.2
    assert any(re.search(r"\bteh\b|\bcostumer\b|\bwiht\b", t) for t in texts)
    assert any("\U0001f600" <= c <= "\U0001f92f" for t in texts for c in t)
    replies = cell("agent_reply", "en", "negative", "support", n=500)
    assert not any(t == t.lower() for t in replies)


def test_german_customers_stay_with_sie_or_with_du() -> None:
    for text in cell("ticket_message", "de", "negative", "price", n=1500, emotion="neutral"):
        formal = re.search(r"\bSie\b|Sehr geehrte", text)
        assert not (formal and re.search(r"\b(ihr|euch|könnt)\b", text)), text


def test_the_emotion_is_said_in_the_text() -> None:
    """A reader who knows the phrases finds the emotion, whatever the sentiment around it."""
    for language in words.LANGUAGES:
        raw = yaml.safe_load((words._PHRASES / f"{language}.yml").read_text(encoding="utf-8"))
        for sentiment, emotions in words.EMOTIONS_OF.items():
            for emotion in set(emotions) - {"neutral"}:
                marks = raw["emotions"].get(f"{emotion}_{sentiment}", raw["emotions"][emotion])
                parts = [re.split(r"\{\w+\}", m)[0].rstrip(".").lower() for m in marks]
                texts = cell(
                    "survey_comment", language, sentiment, "website", n=200, emotion=emotion
                )
                found = np.mean([any(p in t.lower() for p in parts) for t in texts])
                assert found > 0.8, (language, sentiment, emotion, found)  # the rest is misspelt


def test_a_mixed_text_says_something_of_either_kind() -> None:
    for language, topic in itertools.product(words.LANGUAGES, words.TOPICS):
        raw = yaml.safe_load((words._PHRASES / f"{language}.yml").read_text(encoding="utf-8"))
        sides = {
            p: [
                re.sub(r"\\\{\w+\\\}", ".+", re.escape(c))
                for aspect in raw["topics"][topic]["aspects"]
                for c in aspect[p]
            ]
            for p in ("pos", "neg")
        }
        texts = cell("review_body", language, "mixed", topic, n=100, emotion="neutral")
        both = [
            all(any(re.search(c, t, re.IGNORECASE) for c in side) for side in sides.values())
            for t in texts
        ]
        assert np.mean(both) > 0.75, (language, topic)  # the rest is misspelt


def test_keywords_alone_do_not_give_the_sentiment() -> None:
    """Negation and irony: praise with words of complaint, complaint with words of praise."""
    praise = " ".join(cell("survey_comment", "en", "positive", "returns", n=200))
    blame = " ".join(
        cell("ticket_message", "en", "negative", "returns", n=400, emotion="frustration")
    )
    assert re.search(r"no haggling|no problem|no effort", praise)
    assert re.search("wonderful", blame, re.IGNORECASE)


def test_the_phrases_of_all_languages_have_one_structure() -> None:
    def shape(node: object) -> object:
        return {k: shape(v) for k, v in node.items()} if isinstance(node, dict) else type(node)

    of = {
        language: yaml.safe_load((words._PHRASES / f"{language}.yml").read_text(encoding="utf-8"))
        for language in words.LANGUAGES
    }
    for topic in words.TOPICS:
        shapes = [set(of[language]["topics"][topic]) for language in words.LANGUAGES]
        assert all(s == shapes[0] for s in shapes)
        assert all(len(of[language]["topics"][topic]["aspects"]) == 3 for language in of)
    assert shape(of["en"]["emotions"]) == shape(of["ru"]["emotions"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "poem"}, "unknown kind 'poem'"),
        ({"language": column("fr", 1)}, "unknown language 'fr'"),
        ({"topic": column(None, 1)}, "unknown topic None"),
        ({"emotion": column("anger", 1)}, "no positive text shows anger"),
    ],
)
def test_unknown_labels_are_refused(change: dict, message: str) -> None:
    labels = {
        "kind": "review_body", "language": column("en", 1), "sentiment": column("positive", 1),
        "topic": column("price", 1), "emotion": column("joy", 1),
    }  # fmt: skip
    with pytest.raises(ValueError, match=re.escape(message)):
        words.write(np.random.default_rng(1), **{**labels, **change})


def test_no_rows_give_no_texts() -> None:
    assert len(cell("review_title", "en", "positive", "price", n=0)) == 0
