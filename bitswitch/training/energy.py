"""What a run takes in energy, across interruptions."""

from typing import TYPE_CHECKING, Any

from bitswitch.runtime.energy import Meter, MeterError, Source, meter_of

if TYPE_CHECKING:
    import torch


class Energy:
    """Adds up the energy of each phase of a run, or knows why that cannot be done.

    Args:
        device: Where the model is.
    """

    def __init__(self, device: "torch.device") -> None:
        self.spent: dict[str, float] = {}
        """Joules by phase."""
        self.missing = ""
        """Why they are not known; they are where it is empty."""
        self._meter: Meter | None = None
        self._shared_before = False
        try:
            self._meter = meter_of(device)
        except MeterError as error:
            self.missing = str(error)

    def read(self, phase: str) -> None:
        """Count what was taken since the last call for ``phase``."""
        if self._meter is None or self.missing:
            return
        try:
            self.spent[phase] = self.spent.get(phase, 0.0) + self._meter.read()
        except MeterError as error:
            self.missing = str(error)

    @property
    def source(self) -> Source | None:
        """What the counter is of."""
        return self._meter.source if self._meter else None

    @property
    def is_shared(self) -> bool:
        """Whether others have had a part in it."""
        return self._shared_before or (self._meter is not None and self._meter.is_shared())

    def fields(self) -> dict[str, Any]:
        """Return what the result of a run says of it."""
        if self.missing:
            return {"no_energy": self.missing}
        return {
            "energy_j": sum(self.spent.values()),
            "train_energy_j": self.spent.get("train", 0.0),
            "energy_source": self.source,
            "energy_shared": self.is_shared,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what was counted so far."""
        known = {"source": self.source, "shared": self.is_shared, "missing": self.missing}
        return {"spent": dict(self.spent), **known}

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Add what was counted before an interruption.

        Args:
            state: None: an earlier version of bitswitch began the run.
        """
        if state is None or state["missing"]:
            why = state["missing"] if state else "an earlier version of bitswitch began the run"
            self.missing = f"not known of all parts of the run: {why}"
            return
        if not self.missing and state["source"] != self.source:
            self.missing = f"begun on another counter: {state['source']}, then {self.source}"
        self._shared_before = state["shared"]
        for phase, joules in state["spent"].items():
            self.spent[phase] = self.spent.get(phase, 0.0) + joules
