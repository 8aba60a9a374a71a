"""`Shelf`: all models that the panel offers: shipped ones, kept versions, own ones, and one on trial."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from ...network.catalogue import list_models, load_config
from ...network.config import LabelClass, ModelConfig, ModelError
from ...versions import VersionStore
from ..correct.keeping import data_folder
from .own_models import OwnModel, read_own_models, write_own_models

if TYPE_CHECKING:
    from ...network import DeformedSegmenter
    from ...network.channels import ModelInput
    from ...versions import Version

__all__ = ["Shelf"]


@dataclass(frozen=True)
class _Shelved:
    config: Callable[[], ModelConfig]
    load: Callable[[str], DeformedSegmenter]
    base: str
    version: Version | None = None
    own: OwnModel | None = None
    stamp: str = field(default_factory=lambda: uuid4().hex)


class Shelf:
    """Models by the names that people see.

    Parameters
    ----------
    folder : Path, optional
        Where versions and own models are kept; `data_folder` without it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or data_folder()
        self._own: dict[str, _Shelved] = {}
        self._versions: dict[str, _Shelved] = {}
        self._trials: dict[str, _Shelved] = {}
        # of all versions that there have been, and all models that were asked for
        self._bases: dict[str, str] = {}
        self._classes: dict[str, tuple[LabelClass, ...]] = {}
        self._read_own()
        self.refresh()

    def names(self) -> list[str]:
        """All models: shipped ones, own ones, versions, the one on trial."""
        return [*list_models(), *self._own, *self._versions, *self._trials]

    def config(self, name: str) -> ModelConfig:
        """Configuration of a model, without its weights.

        Raises
        ------
        ModelError
            If there is none, or its description is broken.
        """
        found = self._find(name)
        config = load_config(name) if found is None else found.config()
        self._classes[name] = config.classes
        return config

    def classes(self, name: str) -> tuple[LabelClass, ...]:
        """Classes of a model; those of one that is gone are known still, if they were asked for before.

        Raises
        ------
        ModelError
            As for `config`.
        """
        try:
            return self.config(name).classes
        except ModelError:
            if name not in self._classes:
                raise
            return self._classes[name]

    def load(self, name: str, device: str) -> DeformedSegmenter:
        """A model, ready to be used."""
        found = self._find(name)
        if found is not None:
            return found.load(device)
        if name in self._bases:
            raise ModelError(f"{name} is not there any more. Choose another model, and run again.")
        from ...network import load_model

        return load_model(name, device)

    def stamp(self, name: str) -> str:
        """What tells the model that a name stands for now from another one that had the name before."""
        found = self._find(name)
        return "" if found is None else found.stamp

    def base(self, name: str) -> str:
        """What a fine-tuning of a model starts from: the model that its versions were made from, or itself.

        That of a version which is gone is known still.
        """
        found = self._find(name)
        base = self._bases.get(name, name) if found is None else found.base
        return base if base in self.names() else name

    # ---- versions

    def family(self, name: str) -> str:
        """The base model that versions of a model are kept under; it need not be here, as with imported ones."""
        base = self.base(name)
        version = self.version(base)
        return base if version is None else version.base

    def store(self, base: str) -> VersionStore:
        """The versions of a base model."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", base)[:60]
        if plain != base or not plain.strip("."):
            plain += "-" + hashlib.sha256(base.encode()).hexdigest()[:8]
        return VersionStore(self.folder / "versions" / plain)

    def version(self, name: str) -> Version | None:
        """The version that a name stands for, if it is one."""
        found = self._versions.get(name)
        return None if found is None else found.version

    def name_of(self, version: Version) -> str:
        """The name that a version has here."""
        return next((n for n, v in self._versions.items() if v.version == version), "")

    def refresh(self) -> None:
        """Look for versions on disk; those that were there already go on under the names that they have here."""
        known = {_key(s.version): name for name, s in self._versions.items() if s.version is not None}
        found = [(store, version) for store in self._stores() for version in store.list()]
        self._versions = {}
        for store, version in sorted(found, key=lambda pair: _key(pair[1]) not in known):
            name = known.get(_key(version), f"{version.base}: {version.name}")
            if self._find(name) is not None:
                name += f" ({version.created[:16].replace('T', ' ')}, {version.id[-8:]})"
            self._versions[name] = self._shelved(store, version)
            self._bases[name] = version.base

    def last_used(self) -> str:
        """The version that was last taken into use, in this session or an earlier one; empty: a base model."""
        store = max(self._stores(), key=lambda store: store.activated, default=None)
        id = None if store is None else store.active
        found = [name for name, s in self._versions.items() if s.version is not None and s.version.id == id]
        return found[0] if found else ""

    def _stores(self) -> list[VersionStore]:
        parent = self.folder / "versions"
        return [VersionStore(folder) for folder in sorted(parent.iterdir())] if parent.is_dir() else []

    def _shelved(self, store: VersionStore, version: Version) -> _Shelved:
        return _Shelved(
            lambda: load_config(store.path(version.id)),
            lambda device: store.load(version.id, device),
            version.base,
            version,
            stamp=version.id,
        )

    # ---- models that lie in no folder

    def add_trial(self, name: str, model: DeformedSegmenter, base: str) -> None:
        """A model in memory, until it is kept or discarded."""
        self._trials[name] = _Shelved(lambda: model.config, lambda device: _moved(model, device), base)

    def drop_trials(self) -> None:
        """Forget what is on trial."""
        self._trials = {}

    def add_own(self, name: str, classes: Sequence[LabelClass], reads: ModelInput | None = None) -> str:
        """A model for one's own classes with the network of `generic`; kept, and untrained before it is tuned.

        Parameters
        ----------
        name : str
            The model's; it may come with spaces around it.
        classes : sequence of LabelClass
            In the order of their ids.
        reads : ModelInput, optional
            What it reads of images, see `finetuning.input_for`.

        Returns
        -------
        str
            The name that it got.

        Raises
        ------
        ModelError
            If the name is taken or none, there are fewer than two classes, two have one name, or it cannot be kept.
        """
        name = self.check_own(name, classes)
        self._add_own(OwnModel(name, tuple(classes), reads=reads))
        self._write_own()
        return name

    def check_own(self, name: str, classes: Sequence[LabelClass]) -> str:
        """Whether `add_own` will do, and the name that it will give; raises what that raises."""
        name = " ".join(name.split())
        if not name or len(name) > 60 or not name.isprintable():
            raise ModelError("A model's name is one line of 1 to 60 characters.")
        self._read_own()
        if name in self.names():
            raise ModelError(f"There is a model {name} already. Choose another name.")
        if len({c.name for c in classes}) < len(classes) or len(classes) < 2:
            raise ModelError("A model has two classes or more, each with a name of its own.")
        return name

    def remove_own(self, name: str) -> None:
        """Forget one of the own models; its versions stay."""
        self._read_own()
        self._own.pop(name, None)
        self._write_own([name])

    def is_own(self, name: str) -> bool:
        """Whether a model was made for own classes."""
        return name in self._own

    def _add_own(self, model: OwnModel) -> None:
        self._own[model.name] = _Shelved(lambda: model.config, model.load, model.name, own=model)

    def _read_own(self) -> None:
        """What this and other windows have added and removed; those that stay are the same as before."""
        listed = read_own_models(self.folder)
        if listed is None:
            return
        before, self._own = self._own, {}
        for model in listed:
            known = before.get(model.name)
            if known is not None and known.own == model:
                self._own[model.name] = known
            else:
                self._add_own(model)

    def _write_own(self, gone: Sequence[str] = ()) -> None:
        write_own_models(self.folder, [s.own for s in self._own.values() if s.own is not None], gone)

    def _find(self, name: str) -> _Shelved | None:
        return self._own.get(name) or self._versions.get(name) or self._trials.get(name)


def _key(version: Version) -> tuple[str, str, str]:
    return version.base, version.id, version.name


def _moved(model: DeformedSegmenter, device: str) -> DeformedSegmenter:
    from ...network import pick_device

    return model.to(pick_device(device))
