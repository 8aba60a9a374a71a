"""Models for own classes: what is written of each, and their list on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...network.catalogue import list_models, load_config
from ...network.channels import ModelInput
from ...network.config import LabelClass, ModelConfig, ModelError

if TYPE_CHECKING:
    from ...network import DeformedSegmenter

__all__ = ["SOURCE", "OwnModel", "read_own_models", "write_own_models"]

#: The shipped model whose network models for own classes have.
SOURCE = "generic"
_FILE = "own_models.json"


@dataclass(frozen=True)
class OwnModel:
    """A model for own classes with the network of another one; untrained before it is tuned.

    Parameters
    ----------
    name : str
        As people see it.
    classes : tuple of LabelClass
        In the order of their ids.
    source : str
        The shipped model whose network it has.
    reads : ModelInput, optional
        What it reads of images, where that is not what its source reads.
    """

    name: str
    classes: tuple[LabelClass, ...]
    source: str = SOURCE
    reads: ModelInput | None = None

    @property
    def config(self) -> ModelConfig:
        """Its configuration, without weights.

        Raises
        ------
        ModelError
            If it is impossible, or its source is gone.
        """
        described = f"Own classes on the network of {self.source}. Paint some of each class, then fine-tune."
        config = load_config(self.source).for_other_classes(self.classes)
        config = replace(config, name=self.name, description=described)
        return config if self.reads is None else self.reads.applied(config)

    def load(self, device: str) -> DeformedSegmenter:
        """The model, the same each time."""
        from ...finetuning import with_classes
        from ...network import load_model

        return with_classes(load_model(self.source, device), self.classes, name=self.name, reads=self.reads)

    @property
    def record(self) -> dict[str, Any]:
        """What is written of it."""
        found: dict[str, Any] = {"name": self.name, "classes": [asdict(c) for c in self.classes], "source": self.source}
        return found if self.reads is None else found | {"reads": asdict(self.reads)}

    @classmethod
    def of(cls, record: Any) -> OwnModel:
        """From what is written of it.

        Raises
        ------
        KeyError, TypeError, ValueError
            If that is no model.
        """
        classes = tuple(LabelClass(c["name"], c["color"]) for c in record["classes"])
        reads = ModelInput.of(record["reads"]) if "reads" in record else None
        return cls(str(record["name"]), classes, str(record["source"]), reads)


def read_own_models(folder: Path) -> list[OwnModel] | None:
    """Those that a folder lists and that can be read; None where the list cannot."""
    listed = _listed(folder)
    if listed is None:
        return None
    found, sources = [], list_models()
    for record in listed:
        with suppress(ValueError, KeyError, TypeError):
            model = OwnModel.of(record)
            if model.source in sources and model.config:  # which is possible
                found.append(model)
    return found


def write_own_models(folder: Path, models: Iterable[OwnModel], gone: Sequence[str] = ()) -> None:
    """Have a folder list these and what it lists otherwise, readable or not, but for those that are gone.

    Raises
    ------
    ModelError
        If it cannot be written.
    """
    from ...imaging.atomic import write_atomically
    from ...imaging.json_text import json_text

    models = list(models)
    ours = {*(model.name for model in models), *gone}
    listed = [m for m in _listed(folder) or [] if not isinstance(m, dict) or m.get("name") not in ours]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        records = [*listed, *(model.record for model in models)]
        write_atomically(folder / _FILE, json_text(records, indent=2) + "\n")
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror}.") from error


def _listed(folder: Path) -> list[Any] | None:
    try:
        found: Any = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, list) else None
