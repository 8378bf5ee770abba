"""Hypothesis strategies for everything a cable may say."""

from __future__ import annotations

from hypothesis import strategies as st

from crypto_msg.cable import Addressee, Attachment, Classification, Draft, Precedence, Relation, RelationKind

BENGALI = "র\u200d্যাব ও ক্ষমতা, শক্\u200cতি: ১২৩ দূতবার্তা"
"""With zero-width joiner and non-joiner, and not in NFC."""

texts = st.one_of(
    st.just(BENGALI), st.text(alphabet="অআকখগরয়্\u200d\u200cা ি", min_size=1, max_size=20), st.text(max_size=20)
)
words = texts.filter(bool)
ids = st.binary(min_size=32, max_size=32)
codes = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
precedences = st.sampled_from(list(Precedence))

kinds = [one for one in RelationKind if one != RelationKind.WITHDRAWS]
"""Of what a cable may say; a withdrawal is no cable."""
relations = st.builds(Relation, st.sampled_from(kinds), ids)
attachments = st.builds(Attachment, words, texts, st.integers(0, 1 << 20), ids)


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Any draft within its bounds."""
    names = draw(st.lists(codes, min_size=1, max_size=5, unique=True))
    everybody = [Addressee(name, draw(precedences)) for name in names]
    split = draw(st.integers(1, len(everybody)))
    return Draft(
        cable_id=draw(st.binary(min_size=16, max_size=16)),
        post=draw(codes),
        action=tuple(everybody[:split]),
        info=tuple(everybody[split:]),
        precedence=max(one.precedence for one in everybody),
        classification=draw(st.sampled_from(list(Classification))),
        caveats=tuple(draw(st.lists(words, max_size=2))),
        subject=draw(texts),
        tags=tuple(draw(st.lists(words, max_size=2))),
        references=tuple(draw(st.lists(words, max_size=3))),
        paragraphs=tuple(draw(st.lists(texts, max_size=4))),
        attachments=tuple(draw(st.lists(attachments, max_size=3))),
        relations=tuple(draw(st.lists(relations, max_size=2))),
    )
