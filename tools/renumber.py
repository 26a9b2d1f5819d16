"""Give chapters, equations and exercises other numbers, everywhere at once.

    python tools/renumber.py 12=14                        # a chapter, with its equations and exercises
    python tools/renumber.py 11_echo_chamber=11_echo      # another name, the same number
    python tools/renumber.py --equations 11.10=12.1 11.11=12.2 --exercises 11.2=12.1

All moves of one call are made together: `4=5 5=4` swaps two chapters. Equations are known by the
registry, exercises by their modules; other numbers that look like them stay. What lies in data, in
`vendor` and in CHANGELOG.md stays too. The old address of a page leads to the new one.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TABLE = "vmtl_core/lab/data/equations.toml"
MOVED = "_ext/moved.txt"
TEXTS = (".py", ".js", ".md", ".ipynb", ".yml", ".cff", ".css")
KEPT = ("vendor/", "CHANGELOG.md", "tools/renumber.py", "tools/reveal/")
MADE_UP = ("test_renumber.py", "test_registry.py", "test_handouts.py")
"""Tests whose numbers are examples of their own."""

CITED = re.compile(r"(?<![\w\])])\(([1-9]\d?\.[1-9]\d?[a-z]?)\)")
ROLE = re.compile(
    r"(?<=\{equation\}`)([1-9]\d?\.[1-9]\d?[a-z]?)(?=`)|(?<=tag\{)([\d.]+[a-z]?)(?=\})"
)
ANCHOR = re.compile(r"(?:(\d\d_\w+)(\.(?:ipynb|html)))?(#?)\beq-([1-9]\d?)-([1-9]\d?[a-z]?)\b")
CHAPTERS = re.compile(
    r"\b[Cc]hapter\s+(?:#\s+)?\d+\b(?!\.\d)"
    r"|\b[Cc]hapters\s+(?:#\s+)?\d+(?:\s*(?:,(?:\s+and)?|\band|\bto|\bor|–|-)\s*\d+)*\b(?!\.\d)"
)
FOREIGN = re.compile(r"(?:\d{4}|\{cite[^`]*`[^`]*`),\s*$")
EXERCISE = re.compile(r"\b((?:[Ee]xercises?|[Ss]olution of) )((?:\d+\.\d+(?:, | and | to )?)+)")
QUOTED = re.compile(r"""(?<=["'])([1-9]\d?\.[1-9]\d?)(?=\\?["'])""")
NAMED = re.compile(r"(?<=[a-z])_([1-9]\d?)_([1-9]\d?)(?!\d)")
PLANNED = re.compile(r"(?:(?<=\| )|(?<=, )|(?<=or ))([1-9]\d?\.[1-9]\d?)(?=[ ,])")
ROW = re.compile(r"(?<=^\| )\d+(?= \| )", re.M)
BETWEEN = re.compile(r"(?<=_\d\d_)(\d\d)(?=\.py$)")


@dataclass
class Moves:
    """What becomes what.

    Args:
        stems: names of notebooks without suffix.
        chapters: numbers of chapters, of those whose number changes.
        equations, exercises: numbers.
    """

    stems: dict[str, str] = field(default_factory=dict)
    chapters: dict[int, int] = field(default_factory=dict)
    equations: dict[str, str] = field(default_factory=dict)
    exercises: dict[str, str] = field(default_factory=dict)
    homes: dict[int, str] = field(default_factory=dict)
    """The notebook of each chapter, by the new number."""


def pairs(texts: list[str]) -> dict[str, str]:
    """`["a=b"]` as a dict.

    Raises:
        ValueError: if one isn't of that form, or two have one source or one target.
    """
    found = [text.split("=") for text in texts]
    if bad := [
        text for text, pair in zip(texts, found, strict=True) if len(pair) != 2 or not all(pair)
    ]:
        raise ValueError(f"a move must look like old=new; got {bad[0]!r}")
    for side in (0, 1):
        names = [pair[side] for pair in found]
        if len(set(names)) < len(names):
            raise ValueError(f"a number can move once, and to a place of its own; got {texts}")
    return {pair[0]: pair[1] for pair in found}


def plan(root: Path, chapters: list[str], equations: list[str], exercises: list[str]) -> Moves:
    """Check what is asked for against what is there.

    Raises:
        ValueError: if what is to move doesn't exist, or what exists and stays is in its place.
    """
    stems = {path.stem for path in (root / "book").glob("[0-9][0-9]_*.ipynb")}
    by_number = {int(stem[:2]): stem for stem in stems}
    moves = Moves()
    for old, new in pairs(chapters).items():
        stem = by_number.get(int(old)) if old.isdigit() else old
        if stem not in stems:
            raise ValueError(f"there is no chapter {old!r}; there are {sorted(stems)}")
        target = f"{int(new):02d}{stem[2:]}" if new.isdigit() else new
        moves.stems[stem] = target
        if target[:2] != stem[:2]:
            moves.chapters[int(stem[:2])] = int(target[:2])
    table = tomllib.loads((root / TABLE).read_text("utf-8"))
    registered = [number for entries in table.values() for number in entries]
    asked = numbers_of_exercises(root)
    moves.equations = whole(moves.chapters, registered) | pairs(equations)
    moves.exercises = whole(moves.chapters, asked) | pairs(exercises)
    vacant("equation", moves.equations, registered)
    vacant("exercise", moves.exercises, asked)
    vacant("chapter", moves.stems, sorted(stems))
    vacant("chapter", moves.chapters, list(by_number))
    moves.homes = {int(name[:2]): name for name in (moves.stems.get(stem, stem) for stem in stems)}
    for number in moves.equations.values():
        if int(number.split(".")[0]) not in moves.homes:
            raise ValueError(f"no chapter for equation {number}: write its notebook first")
    return moves


def whole(chapters: dict[int, int], numbers: list[str]) -> dict[str, str]:
    """The numbers of the chapters that move."""
    split = [(number, *number.split(".")) for number in numbers]
    return {n: f"{chapters[int(a)]}.{b}" for n, a, b in split if int(a) in chapters}


def vacant(what: str, moves: dict[Any, Any], there: list[Any]) -> None:
    """Refuse moves of what isn't there, and onto what stays."""
    if missing := [old for old in moves if old not in there]:
        raise ValueError(f"there is no {what} {missing[0]}")
    if taken := [new for new in moves.values() if new in there and new not in moves]:
        raise ValueError(f"{what} {taken[0]} exists and doesn't move")


def numbers_of_exercises(root: Path) -> list[str]:
    """Every exercise's number, from the modules' text."""
    files = (root / "vmtl_core/lab/exercises").glob("chapter_*.py")
    return [n for path in files for n in re.findall(r'number="([\d.]+)"', path.read_text("utf-8"))]


def renumber_text(text: str, path: str, moves: Moves) -> str:
    """One file's text with the new numbers; `path` is relative to the root."""
    name = path.rsplit("/", 1)[-1]
    if name in MADE_UP:
        return text
    to = moves.equations

    def chapter(found: re.Match[str]) -> str:
        if FOREIGN.search(text[max(0, found.start() - 40) : found.start()]):
            return found[0]
        return re.sub(r"\d+", lambda n: str(moves.chapters.get(int(n[0]), int(n[0]))), found[0])

    def anchor(found: re.Match[str]) -> str:
        number = f"{found[4]}.{found[5]}"
        new = to.get(number, number)
        page = found[1] and (moves.homes[int(new.split(".")[0])] if number in to else found[1])
        return f"{page or ''}{found[2] or ''}{found[3]}eq-{new.replace('.', '-')}"

    text = CHAPTERS.sub(chapter, text)
    text = ANCHOR.sub(anchor, text)
    text = CITED.sub(lambda m: f"({to.get(m[1], m[1])})", text)
    text = ROLE.sub(lambda m: to.get(m[0], m[0]), text)
    swap: Callable[[re.Match[str]], str] = lambda m: moves.exercises.get(m[0], m[0])  # noqa: E731
    text = EXERCISE.sub(lambda m: m[1] + re.sub(r"\d+\.\d+", swap, m[2]), text)
    if name.endswith(".ipynb") or path.startswith(("vmtl_core/lab/exercises/", "tests/book/")):
        text = QUOTED.sub(swap, text)
        text = NAMED.sub(
            lambda m: (
                "_" + moves.exercises.get(f"{m[1]}.{m[2]}", f"{m[1]}.{m[2]}").replace(".", "_")
            ),
            text,
        )
    if path == "book/teaching.md":
        text = PLANNED.sub(swap, text)
    if path == "book/intro.md":
        text = ROW.sub(lambda m: str(moves.chapters.get(int(m[0]), int(m[0]))), text)
    text = re.sub(
        r"\bchapter_(\d\d)\b",
        lambda m: f"chapter_{moves.chapters.get(int(m[1]), int(m[1])):02d}",
        text,
    )
    text = re.sub(
        r"(?<=_\d\d_)\d\d(?= import\b)|(?<=_\d\d_)\d\d(?=\.py\b)", lambda m: last(m, moves), text
    )
    return names(text, moves)


def last(found: re.Match[str], moves: Moves) -> str:
    """The last chapter of a range in a module's name, `answers_06_12`."""
    return f"{moves.chapters.get(int(found[0]), int(found[0])):02d}"


def names(text: str, moves: Moves) -> str:
    """Names of notebooks, and the titles that begin with their numbers."""
    if not moves.stems:
        return text
    stem = re.compile(
        r"(?<![\w/-])(book/)?(" + "|".join(map(re.escape, moves.stems)) + r")(?![\w-])"
    )
    text = stem.sub(lambda m: (m[1] or "") + moves.stems[m[2]], text)
    return re.sub(
        r"\[(\d+)(\. [^\]\n]*\]\()((?:book/)?(\d\d)_)",
        lambda m: f"[{int(m[4])}{m[2]}{m[3]}" if int(m[1]) in moves.chapters else m[0],
        text,
    )


def renumber_table(text: str, moves: Moves) -> str:
    """The registry, in the new order."""
    head, *sections = re.split(r"^\[(\w+)\]\n", text, flags=re.M)
    stems = dict(moves.homes)
    for stem in sections[::2]:  # a section whose notebook isn't written yet
        stems.setdefault(int(stem[:2]), stem)
    blocks: dict[str, str] = {}
    for body in sections[1::2]:
        parts = re.split(r'^(?="[\d.]+[a-z]?"(?:\.title)? = )', body, flags=re.M)
        for part in filter(str.strip, parts):
            found = re.match(r'"([\d.]+[a-z]?)"', part)
            assert found is not None, part
            new = moves.equations.get(found[1], found[1])
            blocks[new] = part.replace(f'"{found[1]}"', f'"{new}"').rstrip() + "\n"
    made, current = [head], 0
    for number in sorted(blocks, key=key):
        if key(number)[0] != current:
            current = key(number)[0]
            made.append(("" if len(made) == 1 else "\n") + f"[{stems[current]}]\n")
        made.append(blocks[number])
    return "".join(made)


def key(number: str) -> tuple[int, int, str]:
    """Sorts "4.4" before "4.4a" and that before "4.10"."""
    found = re.fullmatch(r"(\d+)\.(\d+)([a-z]?)", number)
    assert found is not None, number
    return int(found[1]), int(found[2]), found[3]


def renumber_title(text: str, number: int) -> str:
    """A notebook whose title begins with this number."""
    return re.sub(r'(?<=")# \d+(?=\. )', f"# {number}", text, count=1)


def sort_contents(text: str) -> str:
    """The table of contents with its chapters in order."""
    line = re.compile(r"^ *- file: book/\d\d_\w+\n", re.M)
    ordered = iter(sorted(line.findall(text)))
    return line.sub(lambda _: next(ordered), text)


def forward(text: str, moves: Moves) -> str:
    """The list of moved pages: no chains, and nothing that is a page again."""
    known = dict(line.split() for line in text.splitlines())
    moved = {f"book/{old}": f"book/{new}" for old, new in moves.stems.items()}
    known = {old: moved.get(new, new) for old, new in known.items()} | moved
    pages = {f"book/{stem}" for stem in moves.homes.values()}
    return "".join(f"{old} {new}\n" for old, new in sorted(known.items()) if old not in pages)


def renamed(path: str, moves: Moves) -> str:
    """A file's path after the moves."""
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.partition(".")
    if folder == "book" and stem in moves.stems:
        name = moves.stems[stem] + dot + suffix
    elif found := re.fullmatch(r"chapter_(\d\d)\.py", name):
        name = f"chapter_{moves.chapters.get(int(found[1]), int(found[1])):02d}.py"
    elif path.startswith("tests/"):
        name = BETWEEN.sub(lambda m: last(m, moves), name)
    return f"{folder}/{name}" if folder else name


def files(root: Path) -> list[str]:
    """Files that git knows or would take, without data."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout
    return [
        path
        for path in dict.fromkeys(found.splitlines())
        if path.endswith(TEXTS) and not path.startswith(KEPT) and (root / path).is_file()
    ]


def renumber(root: Path, moves: Moves) -> list[str]:
    """Rewrite and rename files below `root`; returns what was changed, by its new path."""
    made: dict[str, str] = {}
    removed: list[str] = []
    for path in files(root):
        before, new = (root / path).read_text("utf-8"), renamed(path, moves)
        after = renumber_text(before, path, moves)
        if new != path and new.endswith(".ipynb"):
            after = renumber_title(after, int(new.rsplit("/", 1)[-1][:2]))
        if path == "_toc.yml":
            after = sort_contents(after)
        if new != path:
            removed.append(path)
        if new != path or after != before:
            made[new] = after
    table = root / TABLE
    made[TABLE] = renumber_table(table.read_text("utf-8"), moves)
    if moves.stems:
        known = root / MOVED
        made[MOVED] = forward(known.read_text("utf-8") if known.is_file() else "", moves)
    for path in removed:
        (root / path).unlink()
    for path, text in made.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    return sorted(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("chapters", nargs="*", metavar="OLD=NEW")
    parser.add_argument("--equations", nargs="*", default=[], metavar="OLD=NEW")
    parser.add_argument("--exercises", nargs="*", default=[], metavar="OLD=NEW")
    asked = parser.parse_args()
    try:
        moves = plan(ROOT, asked.chapters, asked.equations, asked.exercises)
    except ValueError as error:
        sys.exit(str(error))
    for path in renumber(ROOT, moves):
        print(path)


if __name__ == "__main__":
    main()
