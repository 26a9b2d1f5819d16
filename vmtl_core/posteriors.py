"""Variational posteriors of all tasks at once: q(w|D_t) and q(z|x, D_t)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from vmtl_core._checks import (
    finite,
    long_format,
    one_of,
    positive_int,
    positive_scale,
    require,
    room,
    sizes,
    table,
)
from vmtl_core._precision import widest
from vmtl_core._rows import place_in_task, rows_per_task
from vmtl_core.distributions import correlated, gaussian, map_parameters

SMALLEST_SCALE = 1e-5
FULL_ROWS, FULL_NUMBERS = 256, 10_000_000
"""`GaussianWeights` has full covariances up to so many rows of w, and numbers in all of them."""
WASTE, STEP = 1.5, 1.25
"""Encoders take all tasks in one pass if that takes so many times the rows at most; else tasks whose
numbers of rows are within the second factor of each other."""
GATHERED, WIDE = 20, 4
"""Compiled, a row takes a copy of its task's layers if there are more tasks than the first, and more than
inputs by the second; else every row goes through all layers."""


class GaussianWeights(nn.Module):
    """q(w_t|D_t), a Gaussian with free parameters for every task. Equation (2.1).

    Called without arguments it returns a Distribution of batch shape (T,).

    Args:
        tasks: T, at least 2.
        event_shape: shape of one task's w; `()` for a scalar.
        initial_scale: standard deviation that every coordinate starts from; means start at 0.
        covariance: "full" for N(mean_t, L_t L_t^T), L_t lower triangular. Of event shape (D, P),
            each of the P columns has a covariance of its own, D x D; columns are independent.
            T P D (D + 1) / 2 parameters for the spread, and O(T P D^3) work a step. "diagonal"
            for N(mean_t, diag(sd_t^2)), mean field, too narrow where inputs are correlated or a
            task has about as many weights as examples. None takes "full" for events of one or two
            dimensions, D up to 256 and T P D^2 up to ten million, else "diagonal".

    Raises:
        ValueError: for fewer than two tasks, a scale that isn't above 0 or whose square no float
            holds, or a full covariance of an event that is neither a vector nor a matrix.

    Example:
        >>> GaussianWeights(tasks=3, event_shape=(2,))().covariance_matrix.shape
        torch.Size([3, 2, 2])
        >>> GaussianWeights(tasks=3, event_shape=(2,), covariance="diagonal")()
        Independent(Normal(loc: torch.Size([3, 2]), scale: torch.Size([3, 2])), 1)
    """

    def __init__(
        self,
        tasks: int,
        event_shape: Sequence[int],
        initial_scale: float = 0.3,
        covariance: str | None = None,
    ):
        super().__init__()
        positive_int("tasks", tasks, least=2)
        positive_scale("initial_scale", initial_scale)
        one_of("covariance", covariance, (None, "diagonal", "full"))
        self.event_shape = sizes("event_shape", event_shape)
        if covariance is None:
            most = self.event_shape[0] if len(self.event_shape) in (1, 2) else math.inf
            numbers = tasks * most * math.prod(self.event_shape)
            small = most <= FULL_ROWS and numbers <= FULL_NUMBERS
            covariance = "full" if small else "diagonal"
        room("`tasks` and `event_shape`", tasks, *self.event_shape)
        full = covariance == "full"
        if full:
            require(
                len(self.event_shape) in (1, 2),
                "`covariance='full'` needs an `event_shape` of one or two dimensions, (D,) or "
                f"(D, P); got {self.event_shape}",
            )
            rows, columns = self.event_shape[0], math.prod(self.event_shape[1:])
            room("`tasks` and `event_shape`, squared,", tasks, columns, rows, rows)
        self.loc = nn.Parameter(torch.zeros(tasks, *self.event_shape))
        self.log_scale = nn.Parameter(torch.full_like(self.loc, math.log(initial_scale)))
        self.below: nn.Parameter | None = None
        if full:
            self.below = nn.Parameter(torch.zeros(tasks, columns, rows, rows))

    def forward(self) -> Distribution:
        tasks, scale = len(self.loc), self.log_scale.exp()
        if self.below is None:
            return gaussian(self.loc.reshape(tasks, -1), scale.reshape(tasks, -1), self.event_shape)
        rows = self.event_shape[0]
        loc, scale = (t.reshape(tasks, rows, -1).mT for t in (self.loc, scale))
        unit = self.below.tril(-1) + torch.eye(scale.shape[-1]).to(scale)
        return correlated(loc, unit * scale.unsqueeze(-1), self.event_shape)


class GaussianEncoder(nn.Module):
    """q(z|x, D_t): one encoder per task, every encoder applied to every row. Equation (5.1d).

    A multilayer perceptron per task ends in the mean and standard deviation of z. All T run in one
    batched pass. They start from the same parameters, so that the tasks' latent spaces start
    aligned.

    Args:
        tasks: T, at least 2.
        in_features: numbers in one row of x (rows are flattened).
        latent_features: size of z.
        hidden: widths of the hidden layers, each followed by ReLU; empty for a linear encoder.
        initial_scale: standard deviation of z to start from.

    Example:
        >>> encoder = GaussianEncoder(tasks=3, in_features=4, latent_features=2, hidden=(8,))
        >>> encoder(torch.zeros(5, 4)).mean.shape
        torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        tasks: int,
        in_features: int,
        latent_features: int,
        hidden: Sequence[int] = (),
        initial_scale: float = 0.1,
    ):
        super().__init__()
        positive_int("tasks", tasks, least=2)
        positive_int("in_features", in_features)
        positive_int("latent_features", latent_features)
        positive_scale("initial_scale", initial_scale)
        self.tasks, self.latent_features = tasks, latent_features
        widths = [in_features, *sizes("hidden", hidden), 2 * latent_features]
        for a, b in pairwise(widths):
            room("`tasks`, `in_features`, `hidden` and `latent_features`", tasks, a, b)
        first = [nn.Linear(a, b) for a, b in pairwise(widths)]
        self.matrices = nn.ParameterList(one.weight.detach().T.repeat(tasks, 1, 1) for one in first)
        self.biases = nn.ParameterList(one.bias.detach().repeat(tasks, 1, 1) for one in first)
        with torch.no_grad():
            self.matrices[-1][..., latent_features:] = 0
            self.biases[-1][..., latent_features:] = inverse_softplus(initial_scale)

    def forward(self, x: Tensor) -> Distribution:
        """Distribution of batch shape (T, B), event shape (latent_features,), for x (B, ...)."""
        return self._gaussian(self._layers(self._flat(x).expand(self.tasks, -1, -1)))

    def own_rows(self, x: Tensor, task: Tensor) -> Distribution:
        """q(z|x_n, D_t) of every row under its own task's encoder alone, batch shape (B,).

        The same as picking those out of `forward`, without the work of the other T - 1 encoders.
        """
        if torch.compiler.is_compiling():  # the padded shape depends on the data
            if self.tasks > max(GATHERED, self.matrices[0].shape[1] // WIDE):
                return self._gaussian(self._layers(self._flat(x).unsqueeze(1), task).squeeze(1))
            every = self(x)
            return map_parameters(
                every, lambda t: t[task, torch.arange(len(task), device=t.device)]
            )
        return self._gaussian(self._each(self._flat(x), task.long()))

    def _each(self, x: Tensor, task: Tensor) -> Tensor:
        """What its task's encoder makes of every row, (B, 2 latent_features).

        Tasks are padded to one number of rows; if that wastes much, in sets of about as many.
        """
        place, counts = place_in_task(task, self.tasks), rows_per_task(task, self.tasks)
        most = int(counts.max())
        if self.tasks * most <= WASTE * len(x):
            return self._padded(x, task, place, most)
        size = widest(counts.clamp_min(1)).log().div(math.log(STEP)).long()
        order = size[task].argsort(stable=True)
        found = []
        for one in order.split(rows_per_task(size[task], int(size.max()) + 1).tolist()):
            if len(one):
                members, among = task[one].unique(return_inverse=True)
                most = int(counts[members].max())
                found.append(self._padded(x[one], among, place[one], most, members))
        return torch.cat(found)[order.argsort()]

    def _padded(
        self, x: Tensor, task: Tensor, place: Tensor, most: int, members: Tensor | None = None
    ) -> Tensor:
        """Every row through its task's layers, (B, 2 latent_features).

        Args:
            x, task, place: rows, whose each is among the members, and which of theirs it is.
            most: rows of a task.
            members: the tasks that there are; None for all.
        """
        shape = self.tasks if members is None else len(members), most, x.shape[1]
        padded = x.new_zeros(shape)
        padded[task, place] = x
        return self._layers(padded, members)[task, place]

    def _flat(self, x: Tensor) -> Tensor:
        """Rows of numbers, (B, in_features), in the parameters' dtype."""
        found = f"{x.dtype}, {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        is_table = isinstance(x, Tensor) and x.ndim > 0 and not x.is_complex()
        require(is_table, f"`x` must be a tensor of real numbers, shape (B, ...); got {found}")
        wanted = self.matrices[0].shape[1]
        require(
            x.shape[1:].numel() == wanted,
            f"`x` must have {wanted} numbers in a row; got shape {tuple(x.shape)}",
        )
        return x.reshape(len(x), wanted).to(self.matrices[0].dtype)

    def _layers(self, h: Tensor, members: Tensor | None = None) -> Tensor:
        """All T perceptrons at once, or some, (T, B, in_features) to (T, B, 2 latent_features)."""
        for i, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            if members is not None:
                matrix, bias = matrix[members], bias[members]
            h = torch.baddbmm(bias, F.relu(h) if i else h, matrix)
        return h

    def _gaussian(self, h: Tensor) -> Distribution:
        """Means, then raw standard deviations, side by side; contiguous, softplus is slow else."""
        h = h.to(self.matrices[0].dtype)  # where autocast made it less
        loc, raw = (half.contiguous() for half in h.split(self.latent_features, -1))
        return gaussian(loc, F.softplus(raw) + SMALLEST_SCALE, (self.latent_features,))


class AmortizedWeights(nn.Module):
    """q(w|D_t) generated by a shared network from the mean features of each class (VMTL-AC).

    Column c of task t's w, for `LinearCategorical`, is Gaussian with mean and standard deviation
    computed from the mean of that task's examples of class c. One network serves all classes and
    tasks. Equation (10.1a).

    Args:
        x: training features, shape (N, F).
        y: class labels 0...C-1, shape (N,).
        task: task ids, shape (N,).
        latent_features: rows of w, the size of z.
        hidden: widths of the hidden layers.
        tasks, classes: T and C; taken from the data if None.

    A task without an example of a class uses the mean over all tasks' examples of that class.

    Raises:
        ValueError: bad columns, or a class with no example in any task.

    Example:
        >>> x, y, task = torch.eye(4), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
        >>> AmortizedWeights(x, y, task, latent_features=3)().event_shape
        torch.Size([3, 2])
    """

    class_means: Tensor

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        task: Tensor,
        latent_features: int,
        hidden: Sequence[int] = (32,),
        tasks: int | None = None,
        classes: int | None = None,
    ):
        super().__init__()
        task = table(x, task, y)
        require(y.ndim == 1, f"`y` must hold one label for each row; got shape {tuple(y.shape)}")
        tasks = int(task.max()) + 1 if tasks is None else tasks
        classes = int(y.max()) + 1 if classes is None else classes
        positive_int("tasks", tasks, least=2)
        positive_int("classes", classes, least=2)
        long_format(tasks, x, task, y)
        self.latent_features = positive_int("latent_features", latent_features)
        self.register_buffer("class_means", class_means(x, y, task, tasks, classes))
        widths = [self.class_means.shape[-1], *sizes("hidden", hidden), 2 * latent_features]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            room("`hidden` and `latent_features`", a, b)
            layers += [nn.Linear(a, b), nn.ReLU()]
        last = layers[-2]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight[latent_features:] = 0
            last.bias[latent_features:] = inverse_softplus(0.3)
        self.network = nn.Sequential(*layers[:-1]).to(self.class_means.dtype)

    def forward(self) -> Distribution:
        features = self.network(self.class_means).to(self.class_means.dtype)  # as before autocast
        loc, raw = features.split(self.latent_features, -1)
        scale = F.softplus(raw) + SMALLEST_SCALE
        loc, scale = (t.transpose(1, 2).flatten(1) for t in (loc, scale))
        return gaussian(loc, scale, (self.latent_features, self.class_means.shape[1]))


def class_means(x: Tensor, y: Tensor, task: Tensor, tasks: int, classes: int) -> Tensor:
    """Mean features of each class in each task, shape (T, C, F), in float32 at least."""
    finite("x", x)
    least = torch.float32 if x.is_floating_point() else torch.get_default_dtype()
    x = x.to(torch.promote_types(x.dtype, least))  # sums of bytes or of halves would overflow
    labels = y.long()
    inside = bool(((labels == y) & (labels >= 0) & (labels < classes)).all())
    require(inside, f"`y` must hold class labels 0...{classes - 1}; got {y.unique().tolist()[:10]}")
    features = x.reshape(len(x), -1)
    cell = task * classes + labels
    room("`tasks` and `classes`", tasks, classes, features.shape[1])
    sums = features.new_zeros(tasks * classes, features.shape[1]).index_add(0, cell, features)
    counts = rows_per_task(cell, tasks * classes).to(x.dtype)
    sums, counts = sums.view(tasks, classes, -1), counts.view(tasks, classes, 1)
    absent = (counts.sum(0).flatten() == 0).nonzero().flatten().tolist()
    require(not absent, f"`y` must hold every class 0...{classes - 1}; {absent} have no example")
    pooled = (sums.sum(0) / counts.sum(0)).expand_as(sums)
    return torch.where(counts > 0, sums / counts.clamp_min(1), pooled)


def inverse_softplus(value: float) -> float:
    """The number whose softplus is `value`, for any value above 0."""
    return value + math.log(-math.expm1(-value))
