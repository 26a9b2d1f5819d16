"""The file beside a notebook in which answers outlive its kernel.

Several notebooks may write it at once: each adds what it alone has to what lies there, while no other
does, and puts the whole in its place at one stroke.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from vmtl_core.lab.exercises.engine import NUMBER

NAME = ".vmtl_answers.json"
SWITCH = "VMTL_ANSWERS"
"""The environment variable that says where the file lies, or "off" for none."""
READERS = ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG")
"""Set where a reader has opened a notebook: by Jupyter's server, and in Colab. A program that executes
notebooks, such as nbconvert, nbval or the build of the book, sets neither, and leaves nothing behind."""
FORMAT = "vmtl_core answers, 1"
VERDICT = re.compile(r"correct|wrong(: .+)?", re.S)
MOST = 2**20
"""Bytes of a file that may be ours."""
PATIENCE, STALE, PAUSE = 2.0, 10.0, 0.02
"""Seconds to wait for another that writes; after which its lock is left over; between two looks."""


class Answer(NamedTuple):
    """The last answer to an exercise."""

    verdict: str
    """"correct", "wrong", or "wrong: convex"."""
    tries: int
    time: str
    """When it was checked, ISO 8601 in UTC."""

    def after(self, earlier: "Answer | None") -> "Answer":
        """This one where there was another before."""
        return self if earlier is None else self._replace(tries=self.tries + earlier.tries)


def place() -> Path | None:
    """Where answers are kept: as `VMTL_ANSWERS` says, else in the working directory of a notebook that
    a reader has opened; None for nowhere.
    """
    told = os.environ.get(SWITCH, "").strip()
    if told:
        return None if told.lower() == "off" else Path(told).expanduser().absolute()
    opened = any(os.environ.get(name) for name in READERS)
    return Path.cwd() / NAME if opened else None


class Unreadable(ValueError):
    """A file that holds something else."""


class Kept:
    """A file of answers; whatever can't be done with it is an OSError.

    Args:
        path: of the file, which need not be there.
    """

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> dict[str, Answer]:
        """The answers by the exercises' numbers.

        Raises:
            Unreadable: if the file holds anything else.
        """
        try:
            with self.path.open("rb") as file:
                text = file.read(MOST + 1)
        except FileNotFoundError:
            return {}
        return answers_in(text)

    def add(self, new: Mapping[str, Answer]) -> dict[str, Answer]:
        """Put answers beside those that are there; returns them all.

        Raises:
            Unreadable: if the file holds anything else.
        """
        with self._alone():
            found = self.read()
            found |= {number: one.after(found.get(number)) for number, one in new.items()}
            self._write(found)
        return found

    def put_aside(self) -> Path | None:
        """Give a file that can't be read another name; None if another notebook has done so meanwhile."""
        with self._alone():
            with suppress(Unreadable):
                self.read()
                return None
            names = (
                self.path.with_name(f"{self.path.stem}.unread-{n}.json") for n in range(1, 1000)
            )
            aside = next(name for name in names if not name.exists())
            return self.path.replace(aside)

    def forget(self) -> None:
        """Take the file away."""
        with self._alone():
            self.path.unlink(missing_ok=True)

    def _write(self, answers: Mapping[str, Answer]) -> None:
        held = {"format": FORMAT, "answers": {k: one._asdict() for k, one in answers.items()}}
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            aside.write_text(json.dumps(held, indent=1) + "\n", "utf-8")
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody else writes."""
        lock = self.path.with_name(f"{self.path.name}.lock")
        begun = time.monotonic()
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                break
            except FileExistsError:
                if _age(lock) > STALE:
                    lock.unlink(missing_ok=True)
                elif time.monotonic() - begun > PATIENCE:
                    raise TimeoutError(f"{lock} is held by another notebook") from None
                else:
                    time.sleep(PAUSE)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def answers_in(text: bytes) -> dict[str, Answer]:
    """The answers that the bytes of a file hold.

    Raises:
        Unreadable: if they hold anything else.
    """
    try:
        held = json.loads(text.decode("utf-8")) if len(text) <= MOST else None
    except (ValueError, RecursionError):
        held = None
    if not (isinstance(held, dict) and held.get("format") == FORMAT):
        raise Unreadable("it is no record of answers")
    every = held.get("answers")
    if not (
        isinstance(every, dict)
        and all(map(NUMBER.fullmatch, every))
        and all(map(_is_answer, every.values()))
    ):
        raise Unreadable("an answer in it is damaged")
    return {number: Answer(**one) for number, one in every.items()}


def _is_answer(one: Any) -> bool:
    if not (isinstance(one, dict) and one.keys() == set(Answer._fields)):
        return False
    verdict, tries, when = (one[name] for name in Answer._fields)
    if not (isinstance(verdict, str) and VERDICT.fullmatch(verdict)):
        return False
    return type(tries) is int and tries > 0 and isinstance(when, str) and _is_time(when)


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
