"""Experiments: the protocols that a model is trained on, and the one that it is tested on, by name."""

from collections.abc import Iterable
from dataclasses import dataclass

from bonaface.core.errors import InputError
from bonaface.core.records import PLUS
from bonaface.datasets.protocols import Protocol, find_protocol
from bonaface.datasets.registry import open_dataset

_PLUS, _ARROW = PLUS.strip(), "->"


@dataclass(frozen=True)
class Experiment:
    """The training and the test protocol of a model, each as ``oulu-npu/1``.

    If the two differ it is an inter-dataset protocol and its name has an arrow, as in
    ``oulu-npu/1 -> replay-mobile/grandtest``; its thresholds are those of the training protocol's dev set. A model may
    be trained on several sets together: ``oulu-npu/1 + casia-fasd/overall -> replay-attack/grandtest``.
    """

    trained_on: str
    tested_on: str

    def __str__(self) -> str:
        return f" {_ARROW} ".join(dict.fromkeys((self.trained_on, self.tested_on)))

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the protocols that are trained on, one for each set."""
        return tuple(self.trained_on.split(PLUS))

    @classmethod
    def parse(cls, text: str) -> "Experiment":
        """Return the experiment of that name.

        Raises:
            InputError: it is neither ``DATASET/PROTOCOL`` nor two of them with an arrow between, of which the first may
                be several with a plus between.
        """
        ends = text.split(_ARROW)
        try:
            trained_on = PLUS.join(source_names(ends[0]))
        except InputError:
            trained_on = ""
        tested_on = ends[-1].strip()
        if not trained_on or len(ends) > 2 or not _is_protocol(tested_on):
            raise InputError(
                "expected a protocol as DATASET/PROTOCOL, or DATASET/PROTOCOL -> DATASET/PROTOCOL to test the "
                f"models of one on another (several to train on have + between them), got {text!r}"
            )
        return cls(trained_on, tested_on)


@dataclass(frozen=True)
class Source:
    """A set that a model is trained on: by which protocol, and in which of its folds (empty where it has one only)."""

    dataset: str
    protocol: Protocol
    fold: str = ""


def source_names(trained_on: str) -> tuple[str, ...]:
    """Return the protocols that ``oulu-npu/1 + casia-fasd/overall`` names, each as ``oulu-npu/1``.

    Raises:
        InputError: one is not of that form, or two are of one set.
    """
    names = tuple(name.strip() for name in trained_on.split(_PLUS))
    if not all(map(_is_protocol, names)):
        raise InputError(
            "expected what to train on as DATASET/PROTOCOL, or several of them with + between, as in "
            f"'oulu-npu/1 + casia-fasd/overall', got {trained_on!r}"
        )
    sets = [name.partition("/")[0] for name in names]
    if len(set(sets)) < len(sets):
        raise InputError(f"expected every set once among those to train on, got {trained_on!r}")
    return names


def find_sources(trained_on: str, fold: str = "") -> tuple[Source, ...]:
    """Return the sources that `trained_on` names, in its order.

    `fold` is that of the source whose protocol has folds; where several have, theirs in order, as ``1 + 3``.

    Raises:
        UnknownNameError: there is no such set or protocol.
        InputError: `trained_on` is no name of sources, or `fold` names more folds than there are sources with folds.
    """
    pairs = [name.partition("/")[::2] for name in source_names(trained_on)]
    protocols = [find_protocol(open_dataset(dataset).protocols, name) for dataset, name in pairs]
    if len(protocols) == 1:
        return (Source(pairs[0][0], protocols[0], fold),)
    folded = [protocol for protocol in protocols if len(protocol.folds) > 1]
    given = [each.strip() for each in fold.split(_PLUS)] if fold else []
    if len(given) > len(folded):
        raise InputError(
            f"{trained_on}: expected a fold for each protocol that has several, {len(folded)} in all, got {fold!r}"
        )
    left = iter(given)
    return tuple(
        Source(dataset, protocol, next(left, "") if len(protocol.folds) > 1 else "")
        for (dataset, _), protocol in zip(pairs, protocols, strict=True)
    )


def joined_folds(folds: Iterable[str]) -> str:
    """Return the folds of several sources as `find_sources` takes them; empty where a protocol has one only."""
    return PLUS.join(filter(None, folds))


def _is_protocol(text: str) -> bool:
    dataset, _, name = text.partition("/")
    return bool(dataset.strip() and name.strip()) and not any(sign in text for sign in (_PLUS, _ARROW))
