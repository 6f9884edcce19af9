"""What is written down once of OULU-NPU and Replay-Mobile, for their readers and for the sets simulated like them.

OULU-NPU: Boulkenafet et al., FG 2017. Replay-Mobile: Costa-Pazo et al., BIOSIG 2016. It stands apart from `layouts.py`
because a reader would otherwise load the whole simulation.
"""

from dataclasses import dataclass

OULU_USERS = {"Train": range(1, 21), "Dev": range(21, 36), "Test": range(36, 56)}
OULU_PHONES = (
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
)  # and the folds of protocols 3 and 4: the phone kept for the test


@dataclass(frozen=True)
class OuluVideos:
    """The videos that a protocol of OULU-NPU takes of a part: `sessions` and `files` have a digit for each, "" is all.

    `kept` is None for every phone, True for the fold's alone and False for the others.
    """

    sessions: str = ""
    files: str = ""
    kept: bool | None = None

    def has(self, fold: str, phone: str, session: str, file: str) -> bool:
        """Return whether the video of these digits is among them, in the fold `fold`."""
        return (
            session in (self.sessions or session)
            and file in (self.files or file)
            and (self.kept is None or self.kept == (phone == fold))
        )


# by protocol: what train and dev have, and what test has; files 2 and 4 are printer 1 and display 1, 3 and 5 the others
OULU_PROTOCOLS = {
    "1": (OuluVideos(sessions="12"), OuluVideos(sessions="3")),
    "2": (OuluVideos(files="124"), OuluVideos(files="135")),
    "3": (OuluVideos(kept=False), OuluVideos(kept=True)),
    "4": (OuluVideos("12", "124", kept=False), OuluVideos("3", "135", kept=True)),
}

REPLAY_MOBILE_CLIENTS = {
    "train": (1, 3, 8, 11, 12, 16, 18, 20, 26, 34, 37, 38),
    "devel": (5, 6, 13, 14, 15, 23, 24, 25, 28, 29, 31, 32, 35, 36, 39, 40),
    "test": (2, 4, 7, 9, 10, 17, 19, 21, 22, 27, 30, 33),
}
REPLAY_MOBILE_ATTACKED_ONLY = 9  # this client took part in the first recording only: no bona fide video

# How far RetinaFace's box reaches from the middle between the eyes to the side, up and down, in distances between them
# (the median of 70 frontal portraits, spread 0.1).
BOX_ASIDE, BOX_ABOVE, BOX_BELOW = 1.08, 1.22, 1.81
