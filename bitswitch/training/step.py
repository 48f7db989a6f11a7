"""One training step: every pass of the method on one batch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bitswitch.contracts.data import Batch
from bitswitch.contracts.method import (
    EarlierLogits,
    HostRequest,
    Pass,
    PassContext,
    StepInfo,
)
from bitswitch.errors import SpecError
from bitswitch.nn.alrs import mean_clipped
from bitswitch.nn.model import QuantizedModel
from bitswitch.quant.grid import at_least_float32
from bitswitch.runtime.products import multiplying
from bitswitch.runtime.ranks import Ranks
from bitswitch.spec.training import TrainingSpec
from bitswitch.training.health import all_positive, by_scales, check_loss
from bitswitch.training.state import TrainState
from bitswitch.training.updates.optimizers import Rate, Rates, drop_gradients
from bitswitch.training.updates.pass_gradients import PassGradients
from bitswitch.training.updates.scale_gradients import ScaleGradients


class PassResult(NamedTuple):
    """What one pass gave."""

    bits: int | None
    """None: it mixed several."""
    loss: float
    """Mean over the batch."""
    headline: float
    """The task's headline on the batch, times its size; NaN: it has none in training."""
    mean_gradient: float | None
    """Mean over scales of the largest clipped gradient, in [0, 1]; None: not recorded."""
    scale_learning_rate: float
    """In the update that follows; conventional training takes that of the last pass."""


@dataclass
class _Step:
    """What the passes of one step share."""

    batch: Batch
    targets: Tensor
    rate: float
    """lambda, the scheduled learning rate."""
    info: StepInfo
    results: list["PassResult"]
    """Of the passes that have been read."""
    last_readers: list[int]
    """Which pass is the last that reads the logits of each, by position."""
    earlier: list[tuple[Tensor, ...] | None]
    """Detached logits of every pass so far, part by part of the batch; None: nobody reads them."""

    @property
    def is_read(self) -> bool:
        """Whether logits of the present pass are read once it is done."""
        return self.last_readers[len(self.earlier)] > len(self.earlier)

    @property
    def is_done(self) -> bool:
        """Whether the last pass is finished."""
        return len(self.earlier) == len(self.last_readers)

    def finish(self, logits: tuple[Tensor, ...]) -> None:
        """Keep ``logits`` of the present pass as long as they are read, and drop all others."""
        done = len(self.earlier)
        kept = zip([*self.earlier, logits], self.last_readers, strict=False)
        self.earlier = [one if last > done else None for one, last in kept]


@dataclass
class _Found:
    """What a pass found, when it is read. Holds on to no example."""

    train_state: TrainState
    current: Pass
    step: int
    scale_learning_rate: Rate
    """Of the update that follows."""
    scales: Tensor | None
    """All of them as the pass used them; None: nothing changes them before it is read."""
    results: list[PassResult]
    """Of the passes of the step that have been read."""

    def receive(self, sent: list[float]) -> None:
        """Take what ``_sent`` sends.

        Raises:
            Diverged: the loss is not finite.
        """
        loss, headline, *largest = sent
        if not self.train_state.ranks.alone:
            self.train_state.ranks.stopped = largest.pop(0) > 0
        place = f"at {self.current} in step {self.step}"
        check_loss(loss, place, self.train_state.model, self.scales)
        rate = self.scale_learning_rate
        rate = largest.pop() if isinstance(rate, Tensor) else rate
        gradients = torch.tensor(largest, dtype=torch.float64)
        mean = mean_clipped(gradients).item() if self.train_state.gradients else None
        self.results.append(PassResult(self.current.bits, loss, headline, mean, rate))


def train_step(
    train_state: TrainState, batch: Batch, rate: float, step_info: StepInfo
) -> list[PassResult]:
    """Take a step, and wait for what it found; see ``queue_step``.

    Returns:
        One result per pass.
    """
    results: list[PassResult] = []
    queue_step(train_state, batch, rate, step_info, results.extend)
    train_state.unread.read()
    return results


def queue_step(
    train_state: TrainState,
    batch: Batch,
    rate: float,
    step_info: StepInfo,
    receive: Callable[[list[PassResult]], None],
) -> None:
    """Run all passes on ``batch`` and update the model.

    A pass that updates steps both optimizers and clears the gradients (huang2025nearly,
    Alg. A.2). Otherwise gradients add up until the last pass, and one step at ``rate`` follows
    (Alg. A.1).

    What is found stays ``unread`` on the device, unless the next update depends on it or reading
    costs nothing. A training that has diverged goes on until it is read.

    Args:
        train_state: Is changed.
        batch: n examples.
        rate: lambda, the scheduled learning rate.
        step_info: Of this step.
        receive: Called with one result per pass when all of them are read.

    Raises:
        Diverged: a loss that is not finite, or a scale that is not positive, of this step or of
            one before it.
    """
    passes = train_state.method.passes(train_state.training, step_info, train_state.layers)
    train_state.model.begin_step(_capturable(train_state, passes))
    targets = train_state.distillation.targets(batch, step_info.epoch)
    step = _Step(batch, targets, rate, step_info, [], _last_readers(train_state, passes), [])
    scale_rate: Rate = rate
    for current in passes:
        scale_rate = _run_pass(train_state, step, current)
        if current.update:
            _update(train_state, current, rate, scale_rate)
    if train_state.apart is not None:
        products = train_state.apart.products(f"in step {step_info.step}")
        train_state.apart.put_back(train_state.method.pass_weights(products))
    if not passes[-1].update:
        train_state.step(Rates.of(rate, scale_rate))
    for current, logits in zip(passes, step.earlier, strict=True):
        if logits is not None and current.bits == train_state.model.bitset[0]:
            train_state.distillation.remember(_whole(logits), step_info.epoch)
    _end_step(train_state, step, passes, receive)


def _capturable(train_state: TrainState, passes: Sequence[Pass]) -> list[int] | None:
    """Return the bit-width of every batch, or part of one, that passes the network in a step.

    None: these are not for capturing. Single layers take bit-widths drawn anew, or several
    processes share the run.
    """
    if not train_state.ranks.alone or any(current.policy is not None for current in passes):
        return None
    parts = range(train_state.training.accumulate)
    return [current.bits for current in passes if current.bits is not None for _ in parts]


def _last_readers(train_state: TrainState, passes: Sequence[Pass]) -> list[int]:
    """Return which pass is the last that reads the logits of each, itself where none does.

    The number of passes stands for the end of the step, when predictions are remembered.
    """
    last = list(range(len(passes)))
    for position, current in enumerate(passes):
        if train_state.method.reads_all_logits:
            last[:position] = [position] * position
        if current.teacher is not None:
            last[current.teacher] = position
        if train_state.distillation.remembers and current.bits == train_state.model.bitset[0]:
            last[position] = len(passes)
    return last


def _run_pass(train_state: TrainState, step: _Step, current: Pass) -> Rate:
    """Add the gradients of one pass; its detached logits are kept as long as they are read.

    Returns:
        The learning rate of the scales in the update that follows.
    """
    _switch(train_state.model, current)
    unread = bool(train_state.scales) and not train_state.reads_at_once
    scales = train_state.flat_scales() if unread else None
    gradients = _gradients(train_state, current)
    before = None if gradients is None else gradients.vector()
    tf32 = train_state.training.precision == "tf32"
    with multiplying(tf32=True) if tf32 else nullcontext():
        values, requests = _backward(train_state, step, current)
    values, largest = _counted(train_state.ranks, values, gradients, before)
    rate = train_state.method.scale_learning_rate(
        train_state.training, current, train_state.scale_rate(step.rate), largest
    )
    if train_state.apart is not None:
        _keep_apart(train_state, train_state.apart, current)
        requests += [train_state.apart.request()] if step.is_done else []

    found = _Found(train_state, current, step.info.step, rate, scales, step.results)
    train_state.unread.add(_sent(values, largest, rate), found.receive)
    for request in requests:
        train_state.unread.add(*request)
    if requests or train_state.reads_at_once:
        train_state.unread.read()
    return rate


def _sent(values: Tensor, largest: Tensor, rate: Rate) -> Tensor:
    """Return what a pass found: ``values``; max |gradient|; a ``rate`` that is on the device."""
    rates = [rate.reshape(1)] if isinstance(rate, Tensor) else []
    more = [one for one in (largest, *rates) if len(one)]
    return torch.cat([values, *more]) if more else values


def _counted(
    ranks: Ranks, values: Tensor, gradients: ScaleGradients | None, before: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Add up over the ranks what one pass gave, and count its scale gradients.

    Args:
        ranks: Of the run.
        values: Loss and headline of this rank, [2].
        gradients: What counts them; None: nobody asks.
        before: Their vector before the pass.

    Returns:
        Loss and headline; where there are other ranks, how many were asked to stop. And max
        |gradient| of every scale in use, [scales]; [0] where nobody asks.
    """
    if not ranks.alone:
        values = torch.cat([values, values.new_full((1,), float(ranks.stopping))])
    if gradients is None or before is None:
        ranks.total([values])
        return values, values[:0]
    gradient = gradients.vector() - before
    ranks.total([values, gradient])
    gradients.add(gradient)
    return values, gradients.largest(gradient)


def _backward(
    train_state: TrainState, step: _Step, current: Pass
) -> tuple[Tensor, list[HostRequest]]:
    """Add the gradients of one pass, part by part of the batch.

    Returns:
        Loss and headline, [2], and what the method wants to know.

    Raises:
        SpecError: the method wants to know something of the whole batch, which has several parts.
    """
    method, is_read = train_state.method, step.is_read
    ranks = train_state.ranks.count
    parts = train_state.ranks.parts(train_state.training.accumulate)
    parts = min(parts, len(step.batch.inputs))
    losses, headlines, outputs = [], [], []
    requests: list[HostRequest] = []
    for some, learned, earlier in _parts(parts, step):
        with _products(train_state.training, some.inputs.device):
            logits = at_least_float32(train_state.model(some.inputs))
        before = EarlierLogits(earlier)
        context = PassContext(
            current,
            logits,
            learned,
            some,
            before,
            train_state.model,
            step.info,
            requests,
            train_state.ranks,
        )
        loss = method.loss(context)
        share = len(some.inputs) / (len(step.batch.inputs) * ranks)
        loss = loss if share == 1 else loss * share
        loss.backward()  # type: ignore[no-untyped-call]
        logits = logits.detach()
        losses.append(loss.detach())
        headlines.append(method.task.headline_sum(logits, some.targets))
        outputs += [logits] if is_read else []
        del context, logits, loss  # before the next part makes its own
    if requests and parts > 1:
        raise SpecError(
            f"{type(method).__name__} looks at the whole batch, and training.accumulate "
            f"{train_state.training.accumulate} cuts it.\n  Leave accumulate out."
        )
    train_state.ranks.average([request.values for request in requests])
    step.finish(tuple(outputs))
    return torch.stack([_total(losses), _total(headlines)]), requests


def _total(values: list[Tensor]) -> Tensor:
    """Return the sum of ``values``, all []."""
    return values[0] if len(values) == 1 else torch.stack(values).sum()


def _parts(parts: int, step: _Step) -> Iterator[tuple[Batch, Tensor, list[Tensor | None]]]:
    """Yield parts of a batch, their targets, and what earlier passes said of them."""
    earlier = [logits or (None,) * parts for logits in step.earlier]
    cut = [
        (one,) if parts == 1 else torch.tensor_split(one, parts)
        for one in (*step.batch, step.targets)
    ]
    for inputs, labels, indices, learned, *before in zip(*cut, *earlier, strict=True):
        yield Batch(inputs, labels, indices), learned, before


def _whole(parts: Sequence[Tensor]) -> Tensor:
    """Return the batch that was cut into ``parts``."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _products(training: TrainingSpec, device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which a forward pass has the precision of the recipe."""
    if training.precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def _end_step(
    train_state: TrainState,
    step: _Step,
    passes: Sequence[Pass],
    receive: Callable[[list[PassResult]], None],
) -> None:
    """Count the scales that were mirrored in a step, stop where one is not positive, and tell."""
    model, results, place = train_state.model, step.results, f"after step {step.info.step}"
    names = list(map(str, passes))
    scales = train_state.flat_scales() if train_state.scales else None

    def receive_health(sent: list[float]) -> None:
        if scales is not None:
            positive, crossed = sent
            train_state.reflections += int(crossed)
            if not positive:
                rates = (one.scale_learning_rate for one in results)
                raise by_scales(model, place, dict(zip(names, rates, strict=True)), scales)
        receive(results)

    health = train_state.crossed.new_zeros(0)
    if scales is not None:
        health = torch.stack([all_positive(scales), train_state.crossed])
        train_state.crossed.zero_()
    train_state.unread.add(health, receive_health)
    if train_state.reads_at_once:
        train_state.unread.read()


def _keep_apart(train_state: TrainState, apart: PassGradients, current: Pass) -> None:
    """Take over the gradients of a pass.

    Raises:
        SpecError: a step is to follow the pass, though its weight is known after the last alone.
    """
    if current.update:
        raise SpecError(
            f"{type(train_state.method).__name__} weighs the passes of a step against each other, "
            f"and training.update 'separate' takes a step after each.\n"
            f"  Set training.update to 'conventional'."
        )
    apart.take()
    train_state.ranks.total(apart.kept[-1])


def _switch(model: QuantizedModel, current: Pass) -> None:
    """Run at the bit-widths of a pass from now on.

    Raises:
        ValueError: a pass that has neither bit-width nor policy.
    """
    policy = current.bits if current.policy is None else current.policy
    if policy is None:
        raise ValueError("a pass needs bits or a policy")
    model.switch(policy)
    if current.setup is not None:
        current.setup(model)


def _gradients(train_state: TrainState, current: Pass) -> ScaleGradients | None:
    """Return where a pass counts its scale gradients; None where nobody asks for them.

    Where a pass has a policy, sums over the epoch are not kept: it is another one in every step.
    """
    if not train_state.gradients:
        return None
    if current.policy is None and current.bits in train_state.gradients:
        return train_state.gradients[current.bits]
    return ScaleGradients(train_state.model.active_scales(), train_state.crossed.device)


def _update(train_state: TrainState, current: Pass, rate: float, scale_rate: Rate) -> None:
    """Step after one pass; parameters of other bit-widths stay as they are."""
    known = train_state.idle.get(current.bits) if current.policy is None and current.bits else None
    drop_gradients(train_state.model.inactive_parameters() if known is None else known)
    train_state.step(Rates.of(rate, scale_rate, train_state.training.alrs))
