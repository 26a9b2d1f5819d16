"""Build the package's wheel into a folder, without a network.

    python tools/package.py _build/html     # `make book` does

Once the repository has an address (`make address`), `install.txt` is written beside it, so that
`pip install -r` and the address of that file install the wheel with what the chapters need.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.address import Address, current  # noqa: E402

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_{}(sys.argv[1]))"
SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "vmtl_core")


def copy_source(root: Path, to: Path) -> None:
    """Copy what a distribution is made from, so that building leaves nothing in the repository."""
    for name in SHIPPED:
        if (root / name).is_dir():
            shutil.copytree(root / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(root / name, to)


def build(source: Path, out: Path, kind: str = "wheel") -> Path:
    """Build a distribution, "wheel" or "sdist", of the project in `source`; the file in `out`.

    Raises:
        RuntimeError: if that fails, with what setuptools says.
    """
    command = [sys.executable, "-c", BUILD.format(kind), str(out.resolve())]
    ran = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return out / ran.stdout.strip().splitlines()[-1]


def install_line(address: Address, wheel: str) -> str:
    """The line of `install.txt`."""
    return f"vmtl-core[lab] @ {address.site}{wheel}\n"


def main(out: Path) -> int:
    """Write the wheel, and where to get it, in the place of older ones."""
    for old in (*out.glob("vmtl_core-*.whl"), *out.glob("install.txt")):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        copy_source(ROOT, Path(folder))
        wheel = build(Path(folder), out)
    address = current(ROOT)
    if address is not None:
        (out / "install.txt").write_text(install_line(address, wheel.name), "utf-8")
    print(f"written: {out}/{wheel.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
