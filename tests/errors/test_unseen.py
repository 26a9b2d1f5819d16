"""Tensors behind functions are named, and the two sets of posteriors share none of them unnoticed."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

import vmtl_core as vmtl
from vmtl_core._unseen import trainable_names, unseen_leaves

X = torch.arange(12.0).reshape(6, 2) / 10
TASK = torch.tensor([0, 0, 0, 1, 1, 1])


def model(likelihood: Any = None, **options: Any) -> vmtl.MultiTaskELBO:
    defaults: dict[str, Any] = {
        "likelihood": likelihood or vmtl.LinearGaussian(),
        "weights": vmtl.GaussianWeights(2, (2,)),
        "task_sizes": [3, 3],
        "sources": "previous",
    }
    return vmtl.MultiTaskELBO(**({"sources": "own"} | defaults | options))


def unseen(one: vmtl.MultiTaskELBO) -> list[str]:
    return unseen_leaves(one(X, X.sum(-1), TASK).loss, one)


def noisy(log_noise: Tensor) -> Callable[[Tensor, Tensor], Distribution]:
    return lambda z, w: Normal((z * w).sum(-1), log_noise.exp())


def scaled(z: Tensor, w: Tensor, log_noise: Tensor) -> Distribution:
    return Normal((z * w).sum(-1), log_noise.exp())


def test_nothing_is_unseen_in_modules() -> None:
    assert unseen(model()) == []
    assert unseen(model(sources="own", latents=vmtl.GaussianEncoder(2, 2, 2))) == []


def test_a_parameter_behind_a_function() -> None:
    one = model(noisy(nn.Parameter(torch.zeros(()))))
    assert unseen(one) == ["`log_noise` of shape ()"]
    one.register_parameter("noise", nn.Parameter(torch.zeros(3)))  # another one: no cure
    assert unseen(one) == ["`log_noise` of shape ()"]


def test_a_tensor_without_gradient_is_no_parameter() -> None:
    assert unseen(model(noisy(torch.zeros(())))) == []


def test_parameters_of_weights_latents_and_base_prior() -> None:
    loc = [nn.Parameter(torch.zeros(2)) for _ in range(2)]
    weights = [Independent(Normal(one, 1.0), 1) for one in loc]
    assert unseen(model(weights=weights)) == ["a tensor of shape (2,)"] * 2
    layer = nn.Linear(2, 2)
    latents = lambda x: Independent(Normal(layer(x).expand(2, -1, -1), 1.0), 1)  # noqa: E731
    found = unseen(model(latents=latents))
    assert sorted(found) == ["`layer.bias` of shape (2,)", "`layer.weight` of shape (2, 2)"]
    centre = torch.zeros(2, requires_grad=True)
    base = Independent(Normal(centre, 1.0), 1)
    assert unseen(model(base_prior=base)) == ["a tensor of shape (2,)"]


def test_a_loss_without_graph_and_one_that_is_a_leaf() -> None:
    leaf = torch.zeros((), requires_grad=True)
    assert unseen_leaves(torch.zeros(()), nn.Linear(1, 1)) == []
    assert unseen_leaves(leaf, nn.Linear(1, 1)) == ["a tensor of shape ()"]


def test_a_function_shared_by_the_two_sets_is_named() -> None:
    """Own-data posteriors need a noise scale of their own: a function can't be copied."""
    log_noise = nn.Parameter(torch.zeros(()))
    for likelihood in (noisy(log_noise), [noisy(log_noise), vmtl.LinearGaussian()]):
        with pytest.warns(UserWarning, match="`likelihood`.*`log_noise`.*`own_likelihood=`"):
            model(likelihood, sources="own")
    layer = nn.Linear(2, 2)

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = lambda x: layer(x)

        def forward(self, x: Tensor) -> Distribution:
            return Independent(Normal(self.network(x).expand(2, -1, -1), 1.0), 1)

    with pytest.warns(UserWarning, match="`latents`.*`layer.bias`, `layer.weight`.*`own_latents=`"):
        model(latents=Encoder(), sources="own")


def test_functions_without_trainable_tensors_are_shared_silently() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(noisy(torch.zeros(())), sources="own")
        model(partial(scaled, log_noise=torch.zeros(())), sources="own")
        model(noisy(nn.Parameter(torch.zeros(()))), sources="joint")
    assert trainable_names(partial(noisy(nn.Parameter(torch.zeros(()))))) == {"`log_noise`"}


def test_sets_that_share_parameters_are_refused() -> None:
    encoder, likelihood = vmtl.GaussianEncoder(2, 2, 2), vmtl.LinearGaussian()
    with pytest.raises(ValueError, match=r"`own_latents`.*0\.matrices\.0.*first set"):
        model(latents=encoder, own_latents=nn.Sequential(encoder), sources="own")
    with pytest.raises(ValueError, match=r"`own_likelihood`.*log_scale.*first set"):
        model(likelihood, own_likelihood=likelihood, sources="own")
    fixed = vmtl.LinearGaussian(scale=0.5)
    model(fixed, own_likelihood=fixed, sources="own")


class Tied(nn.Module):
    """An encoder whose noise is the likelihood's."""

    def __init__(self, likelihood: vmtl.LinearGaussian) -> None:
        super().__init__()
        self.likelihood, self.layer = likelihood, nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Distribution:
        scale = self.likelihood.log_scale.exp()
        return Independent(Normal(self.layer(x).expand(2, -1, -1), scale), 1)


def test_what_is_tied_in_one_set_is_tied_in_its_copy() -> None:
    likelihood = vmtl.LinearGaussian()
    one = model(likelihood, latents=Tied(likelihood), sources="own")
    own: Any = one.own
    assert own.likelihood is own.latents.likelihood
    assert own.likelihood is not likelihood


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "cached"])
def test_encoders_that_can_not_be_copied(kind: str) -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.Linear(2, 2)
            wrap = getattr(nn.utils, kind, lambda one: one)
            self.layer = wrap(layer)
            self.last = self.layer(X) if kind == "cached" else None

        def forward(self, x: Tensor) -> Distribution:
            self.last = self.layer(x)
            return Independent(Normal(self.last.expand(2, -1, -1), 1.0), 1)

    encoder = Encoder()
    encoder(X)
    with pytest.raises(ValueError, match=r"`latents`.*Encoder.*`own_latents=`"):
        model(latents=encoder, sources="own")
    model(latents=encoder, own_latents=Encoder(), sources="own")
