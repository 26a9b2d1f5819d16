"""Set the repository's address in every file that names it.

    python tools/address.py owner/name     # `make address REPO=owner/name`
    python tools/address.py --from-remote  # the address of the clone's `origin`; `make address`
    python tools/address.py --none         # no address, as shipped
    python tools/address.py --again        # the same address; for a chapter that is new

The address is kept in `_config.yml`, `repository: url:`; this program carries it to the chapters'
Colab buttons and first cells, README.md, the introduction, pyproject.toml and CITATION.cff. While
none is set those files name no site and no button, and what is there is the same, byte for byte,
after an address was set and taken away again.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com"
REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+")
REMOTE = re.compile(r"^(?:https://(?:[^@/]*@)?github\.com/|(?:ssh://)?git@github\.com[:/])(.+)$")


@dataclass(frozen=True)
class Address:
    """The repository `owner/name` on GitHub, and the pages that it publishes.

    Raises:
        ValueError: if `repo` is not `owner/name`.
    """

    repo: str

    def __post_init__(self) -> None:
        if not REPO.fullmatch(self.repo):
            raise ValueError(f"`REPO` must be owner/name, such as ada/vmtl; got {self.repo!r}")

    @property
    def url(self) -> str:
        """The repository."""
        return GITHUB + self.repo

    @property
    def site(self) -> str:
        """The pages, with a slash at the end."""
        owner, name = self.repo.split("/")
        host = f"{owner.lower()}.github.io"
        return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"

    @property
    def files(self) -> str:
        """What stands before the path of a file in an address that shows the file."""
        return f"{self.url}/blob/main/"

    @property
    def raw(self) -> str:
        """What stands before the path of a file in an address that is the file."""
        return f"https://raw.githubusercontent.com/{self.repo}/main/"

    def colab(self, chapter: str) -> str:
        """The address that opens a chapter, such as "01_one_task", in Colab."""
        return f"{COLAB}/github/{self.repo}/blob/main/book/{chapter}.ipynb"


def first_lines(address: Address | None) -> str:
    """The lines that every chapter's first code cell begins with: they install what is missing."""
    where = "or its clone, or the book's site" if address else "or its clone"
    site = f'    sources += ["-r {address.site}install.txt"]\n' if address else ""
    return f"""\
try:
    import vmtl_core.lab.ready
except ImportError:  # take a wheel uploaded beside this chapter, {where}
    from glob import glob

    sources = [f"{{wheel}}[lab]" for wheel in glob("./vmtl_core-*.whl")]
    sources += ["..[lab]" for _ in glob("../vmtl_core/lab")]
{site}    for source in sources[:1]:
        %pip install -q {{source}}
    try:
        import vmtl_core.lab.ready
    except ImportError as error:
        advice = "upload the wheel of vmtl_core beside this chapter, then run this cell again"
        raise ImportError(f"{{error}}: {{advice}}") from None
"""


FIRST_LINES = re.compile(
    r"\Atry:\n(?:[ \t].*\n|\n(?=[ \t]))+except ImportError.*\n(?:[ \t].*\n|\n(?=[ \t]))+"
)
BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)\n\n")


def notebook(path: Path, address: Address | None) -> str:
    """The chapter in `path` with the button and the first lines for this address."""
    chapter = json.loads(path.read_text("utf-8"))
    title = chapter["cells"][0]
    heading, rest = BADGE.sub("", "".join(title["source"])).split("\n\n", 1)
    button = f"[![Open in Colab]({address.raw}_static/colab-badge.svg)]" if address else ""
    button += f"({address.colab(path.stem)})\n\n" if address else ""
    title["source"] = f"{heading}\n\n{button}{rest}".splitlines(keepends=True)
    code = next(cell for cell in chapter["cells"] if cell["cell_type"] == "code")
    first = first_lines(address) + FIRST_LINES.sub("", "".join(code["source"]))
    code["source"] = first.splitlines(keepends=True)
    return json.dumps(chapter, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


# What a page says while no address is set, and what once one is; an address fills in the names.
Sentence = tuple[str, str]
BUILT = """\
`make book` builds the book into `_build/html`: static pages, in which equations, figures and widgets
work with no Python, offline too. Every chapter is a notebook that runs on its own."""
AT = """\
The book is at <{site}>: static pages, in which equations, figures and widgets
work with no Python, offline too. Every chapter opens in Colab.

[![tests]({url}/actions/workflows/tests.yml/badge.svg)]({url}/actions/workflows/tests.yml)"""
README: list[Sentence] = [
    (BUILT, AT),
    ("in a clone of this repository:", "in a clone of <{url}>:"),
    ("pip install .\n", "pip install git+{url}\n"),
    ('pip install ".[lab]"\n', 'pip install "vmtl-core[lab] @ git+{url}"\n'),
    ("  year   = {{2026}}\n}}\n", "  year   = {{2026}},\n  url    = {{{url}}}\n}}\n"),
]
INTRO: list[Sentence] = [
    (
        "**Run it.** Clone the repository",
        "**Run it.** Press the rocket at the top of a chapter to open it in Colab, or clone the repository",
    )
]
PYPROJECT: list[Sentence] = [
    (
        "[project.urls] # `make address` fills these in\n",
        "[project.urls] # `make address` fills these in\n"
        'Repository = "{url}"\nBook = "{site}"\nChangelog = "{files}CHANGELOG.md"\n',
    )
]
CITATION: list[Sentence] = [
    (
        "# `make address` fills in where it is\n",
        '# `make address` fills in where it is\nrepository-code: "{url}"\nurl: "{site}"\n',
    )
]
CONFIG: list[Sentence] = [
    ('\n  url: ""\n', '\n  url: "{url}"\n'),
    ('\n  colab_url: ""\n', f'\n  colab_url: "{COLAB}"\n'),
    ('\n  baseurl: ""\n', '\n  baseurl: "{site}"\n'),
    ("\n  use_repository_button: false\n", "\n  use_repository_button: true\n"),
    ("\n  use_issues_button: false\n", "\n  use_issues_button: true\n"),
]
SENTENCES: dict[str, list[Sentence]] = {
    "README.md": README,
    "book/intro.md": INTRO,
    "pyproject.toml": PYPROJECT,
    "CITATION.cff": CITATION,
    "_config.yml": CONFIG,
}


def said(sentence: Sentence, address: Address | None) -> str:
    """The sentence's text at this address."""
    if address is None:
        return sentence[0].format()
    names = {"url": address.url, "site": address.site, "files": address.files}
    return sentence[1].format(**names)


def page(path: Path, sentences: list[Sentence], old: Address | None, new: Address | None) -> str:
    """The text of a file whose sentences stand at `old`, with them at `new`.

    Raises:
        ValueError: if a sentence is not there once.
    """
    text = path.read_text("utf-8")
    for sentence in sentences:
        before = said(sentence, old)
        if text.count(before) != 1:
            raise ValueError(f"{path.name} must hold this once, for the address: {before!r}")
        text = text.replace(before, said(sentence, new))
    return links(text, old, new) if path.name == "README.md" else text


def links(text: str, old: Address | None, new: Address | None) -> str:
    """The README's links to files: relative without an address, else such that a package index can."""
    if old is not None:
        text = text.replace(f"]({old.files}", "](").replace(f"]({old.raw}", "](")
    if new is None:
        return text
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{new.raw}", text)
    return re.sub(r"(?<!!)(\[[^\]!]*\]\()(?!https?:|#)", rf"\g<1>{new.files}", text)


def current(root: Path) -> Address | None:
    """The address that `_config.yml` holds, or None."""
    found = re.search(
        r'^repository:\n  url: "(.*)"$', (root / "_config.yml").read_text("utf-8"), re.M
    )
    if found is None:
        raise ValueError(
            '_config.yml must hold `repository:` and, on the next line, `  url: "..."`'
        )
    return Address(found[1].removeprefix(GITHUB)) if found[1] else None


def set_address(root: Path, new: Address | None) -> list[str]:
    """Write the address into the files under `root`; nothing is written if one of them won't do.

    Returns:
        The names of the files that changed.
    """
    old = current(root)
    chapters = sorted((root / "book").glob("*.ipynb"))
    texts = {root / name: page(root / name, pairs, old, new) for name, pairs in SENTENCES.items()}
    texts |= {path: notebook(path, new) for path in chapters}
    changed = {path: text for path, text in texts.items() if text != path.read_text("utf-8")}
    for path, text in changed.items():
        path.write_text(text, "utf-8")
    return [path.relative_to(root).as_posix() for path in changed]


def remote(root: Path) -> Address:
    """The address of the clone's `origin`.

    Raises:
        ValueError: if there is none, or it isn't on GitHub.
    """
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    found = REMOTE.match(ran.stdout.strip())
    if ran.returncode or found is None:
        got = ran.stdout.strip() or "no remote named origin"
        raise ValueError(f"this clone has no address on GitHub ({got}): give it as REPO=owner/name")
    return Address(found[1].removesuffix("/").removesuffix(".git"))


def main(arguments: list[str]) -> int:
    """Set the address; 1 if that can't be done."""
    parser = argparse.ArgumentParser(description="Set the repository's address everywhere.")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("repo", nargs="?", help="owner/name on GitHub")
    for name in ("from-remote", "none", "again"):
        choice.add_argument(f"--{name}", action="store_true")
    given: Any = parser.parse_args(arguments)
    try:
        if given.from_remote:
            address: Address | None = remote(ROOT)
        elif given.again:
            address = current(ROOT)
        else:
            address = None if given.none else Address(given.repo)
        changed = set_address(ROOT, address)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"address: {address.url if address else 'none'}; changed: {', '.join(changed) or 'nothing'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
