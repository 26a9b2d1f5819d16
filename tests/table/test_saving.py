"""Files of fitted models: equal predictions in another process; bad files are clear errors."""

import datetime
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import vmtl_core as vmtl
from tests.conftest import ROOT
from tests.table.tables import INPUTS
from vmtl_core.saving import FORMAT, VERSION
from vmtl_core.table import VMTLClassifier, VMTLCounter, VMTLRegressor

FITS: dict[str, tuple[Any, dict[str, Any]]] = {
    "numbers": (VMTLRegressor, {"target": "score"}),
    "groups": (VMTLRegressor, {"target": "score", "sources": "groups"}),
    "two classes": (VMTLClassifier, {"target": "better"}),
    "three classes": (VMTLClassifier, {"target": "outcome"}),
    "counts": (VMTLCounter, {"target": "visits", "exposure": "hours"}),
}


@pytest.mark.parametrize("name", FITS)
def test_a_loaded_model_is_the_saved_one(table: pd.DataFrame, tmp_path: Path, name: str) -> None:
    estimator, arguments = FITS[name]
    arguments = {"sources": "own"} | arguments
    model = estimator(task="clinic", seed=2, sources=arguments.pop("sources"))
    model.fit(table, inputs=INPUTS, **arguments)
    model.save(tmp_path / "model")
    again = vmtl.load(tmp_path / "model")
    assert again.get_params() == model.get_params()
    pd.testing.assert_frame_equal(again.predict(table), model.predict(table))
    pd.testing.assert_frame_equal(again.coefficients(), model.coefficients())
    assert again.summary() == model.summary()
    assert again.score(table) == model.score(table)
    again.save(tmp_path / "again")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["again", "model"]


def test_in_another_process(table: pd.DataFrame, tmp_path: Path) -> None:
    model = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=INPUTS)
    model.save(tmp_path / "model")
    table.to_pickle(tmp_path / "table")
    program = (
        "import sys, pandas, vmtl_core\n"
        "model = vmtl_core.load(sys.argv[1] + '/model')\n"
        "model.predict(pandas.read_pickle(sys.argv[1] + '/table')).to_pickle(sys.argv[1] + '/answer')"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    found = pd.read_pickle(tmp_path / "answer")
    assert np.abs(found.to_numpy() - model.predict(table).to_numpy()).max() < 1e-9


def test_names_of_all_kinds(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    names = [
        3,
        "3",
        2.5,
        True,
        ("a", 1),
        datetime.date(2026, 1, 2),
        pd.Timestamp("2026-01-02 03:04"),
    ]
    task = pd.Series([names[i % 7] for i in range(70)], dtype=object, name=("task", 0))
    x = draw.normal(size=(70, 2))
    model = VMTLRegressor(sources="own").fit(x, x.sum(1) + draw.normal(size=70), task=task)
    model.save(tmp_path / "model")
    again = vmtl.load(tmp_path / "model")
    assert again.tasks_ == model.tasks_
    assert [type(one) for one in again.tasks_] == [type(one) for one in model.tasks_]
    assert np.array_equal(again.predict(x, task), model.predict(x, task))
    odd = pd.Series([names[i % 7] if i else object() for i in range(70)], dtype=object)
    model = VMTLRegressor(sources="own").fit(x, x[:, 0], task=odd)
    with pytest.raises(ValueError, match="to be saved; got <object"):
        model.save(tmp_path / "odd")
    assert not (tmp_path / "odd").exists()


Data = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def core() -> tuple[vmtl.MultiTaskELBO, Data]:
    draw = torch.Generator().manual_seed(0)
    x, task = torch.randn(40, 2, generator=draw), torch.arange(40) % 4
    y = x.sum(1) + torch.randn(40, generator=draw)
    weights = vmtl.GaussianWeights(4, (2,))
    return vmtl.MultiTaskELBO(vmtl.LinearGaussian(), weights, task_sizes=[10] * 4, sources="own"), (
        x,
        y,
        task,
    )


@pytest.mark.parametrize("method", ["coordinate", "adam"])
def test_a_fit_goes_on_from_a_file(tmp_path: Path, method: str) -> None:
    """The numbers are those of a fit that never stopped: state, history and optimiser are there."""
    steps = 2 if method == "coordinate" else 20
    arguments: Any = {"method": method, "progress": False, "tolerance": None, "lr": 0.03}
    straight, data = core()
    wanted = vmtl.fit(straight, *data, steps=2 * steps, **arguments)
    stopped, _ = core()
    history = vmtl.fit(stopped, *data, steps=steps, **arguments)
    vmtl.save(stopped, tmp_path / "model", history)
    model, _ = core()
    found = vmtl.load(tmp_path / "model", model)
    found = vmtl.fit(model, *data, steps=2 * steps, resume=found, **arguments)
    assert found.terms == wanted.terms
    for a, b in zip(model.parameters(), straight.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_model_without_its_history(tmp_path: Path) -> None:
    model, _ = core()
    vmtl.save(model, tmp_path / "model")
    assert vmtl.load(tmp_path / "model", core()[0]) is None


def test_bad_files(tmp_path: Path, table: pd.DataFrame) -> None:
    model = VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=["age"])
    path = tmp_path / "model"
    model.save(path)
    whole = path.read_bytes()
    bad = {
        "truncated or damaged": whole[:-100],
        r"truncated or damaged \(its end\)": whole[: len(whole) // 2],
        "another's": b"clinic,age\n1,2\n",
    }
    for message, content in bad.items():
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            vmtl.load(tmp_path / "bad")
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 1
    (tmp_path / "bad").write_bytes(bytes(flipped))
    with pytest.raises(ValueError, match="truncated or damaged"):
        vmtl.load(tmp_path / "bad")
    with zipfile.ZipFile(tmp_path / "bad", "w") as parts:
        parts.writestr("a.txt", "b")
    with pytest.raises(ValueError, match="another's"):
        vmtl.load(tmp_path / "bad")
    torch.save({"weights": torch.ones(2)}, tmp_path / "bad")
    with pytest.raises(ValueError, match="another's"):
        vmtl.load(tmp_path / "bad")
    with pytest.raises(FileNotFoundError):
        vmtl.load(tmp_path / "none")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code of the file was run",)


def test_no_code_of_a_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = {"format": FORMAT, "version": VERSION, "kind": "table", "header": "{}", "state": Evil()}
    torch.save(whole, tmp_path / "evil", pickle_module=pickle)
    with pytest.raises(ValueError, match="another's, or damaged"):
        vmtl.load(tmp_path / "evil")
    assert "code of the file" not in capsys.readouterr().out


def test_a_newer_file(tmp_path: Path) -> None:
    whole = {"format": FORMAT, "version": VERSION + 1, "kind": "tables"}
    torch.save(whole, tmp_path / "new")
    with pytest.raises(ValueError, match=rf"format {VERSION + 1}, of a newer version.*upgrade"):
        vmtl.load(tmp_path / "new")


def test_of_another_model(tmp_path: Path, table: pd.DataFrame) -> None:
    model, _ = core()
    vmtl.save(model, tmp_path / "model")
    with pytest.raises(ValueError, match="`model` must be a MultiTaskELBO made as"):
        vmtl.load(tmp_path / "model")
    weights = vmtl.GaussianWeights(4, (3,))
    other = vmtl.MultiTaskELBO(vmtl.LinearGaussian(), weights, task_sizes=[10] * 4, sources="own")
    torch.nn.init.normal_(other.prior.mixing.logits)
    before = {name: value.clone() for name, value in other.named_parameters()}
    with pytest.raises(ValueError, match="`model` must be made as the saved one was"):
        vmtl.load(tmp_path / "model", other)
    assert all(torch.equal(value, before[name]) for name, value in other.named_parameters())
    VMTLRegressor(sources="own", task="clinic").fit(table, target="score", inputs=["age"]).save(
        tmp_path / "t"
    )
    with pytest.raises(ValueError, match="`model` must be None"):
        vmtl.load(tmp_path / "t", model)
    for wrong in ("text", None):
        with pytest.raises(ValueError, match="`model` must be a MultiTaskELBO"):
            vmtl.save(wrong, tmp_path / "wrong")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`history` must be what `fit` returned"):
        vmtl.save(model, tmp_path / "wrong", "history")  # type: ignore[arg-type]


def test_an_interrupted_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = core()
    vmtl.save(model, tmp_path / "model")
    old = (tmp_path / "model").read_bytes()

    def half(whole: Any, file: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        vmtl.save(model, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == old
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]
