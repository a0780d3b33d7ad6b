"""Modules beside a model, for that model alone: several models may each have their own predictor.py and helpers.

They are imported into a package that is named after no other, so two models' `helpers` never meet. The code in them
still says `import helpers`: its own `__import__` looks beside the model first, whenever it runs. A pickle's names mean
them too, while it is read. Only a multi-model server needs this: names that are put into sys.modules while a model is
loaded, and taken out again, would give a function that imports later another model's module, silently.
"""

from __future__ import annotations

import builtins
import importlib
import itertools
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

_numbers = itertools.count(1)


class OwnModules:
    """The modules in one directory. Nothing is imported before somebody asks for it."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.package = directory, f"_model_{next(_numbers)}"
        self.names = {path.stem for path in directory.glob("*.py")}
        self.names |= {path.parent.name for path in directory.glob("*/__init__.py")}
        self.builtins = {**vars(builtins), "__import__": self._import}
        module = ModuleType(self.package)
        module.__path__ = [str(directory)]
        sys.modules[self.package] = module
        _finder.owners[self.package] = self

    def has(self, name: str) -> bool:
        """Whether the module is one in the directory, or in a package there."""
        return name.partition(".")[0] in self.names

    def load(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.package}.{name}")

    def forget(self) -> None:
        """Lets go of the modules, so that their memory is freed with the model's."""
        _finder.owners.pop(self.package, None)
        for name in [n for n in list(sys.modules) if n.partition(".")[0] == self.package]:
            del sys.modules[name]
        sys.path_importer_cache.pop(str(self.directory), None)

    @contextmanager
    def found_by_pickle(self) -> Iterator[None]:
        """Within it, in this thread, `import helpers` from anywhere finds the module beside the model."""
        hidden = self._take_out()
        _finder.reading[threading.get_ident()] = self
        try:
            yield
        finally:
            del _finder.reading[threading.get_ident()]
            self._take_out()
            sys.modules.update(hidden)

    def _take_out(self) -> dict[str, ModuleType]:
        """Takes out of sys.modules what has a name that is ours."""
        ours = [name for name in list(sys.modules) if self.has(name)]
        return {name: sys.modules.pop(name) for name in ours}

    def _import(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] | None = (), level: int = 0
    ) -> ModuleType:
        """What `import` calls in these modules."""
        if level or not self.has(name):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self.load(name)
        if fromlist:
            return builtins.__import__(module.__name__, globals, locals, fromlist, 0)
        return sys.modules[f"{self.package}.{name.partition('.')[0]}"]


class _Source(SourceFileLoader):
    """Runs a module with the `__import__` of its owner. No byte code is kept: the directory is not ours."""

    owner: OwnModules

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self.owner.builtins
        super().exec_module(module)

    def path_stats(self, path: str | bytes) -> dict[str, Any]:
        raise OSError


class _Alias(Loader):
    """A module under its bare name, for pickle."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import has set the alias'


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self.owners: dict[str, OwnModules] = {}
        self.reading: dict[int, OwnModules] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if owner := self.owners.get(fullname.partition(".")[0]):
            spec = PathFinder.find_spec(fullname, path)
            if spec is not None and isinstance(spec.loader, SourceFileLoader):
                spec.loader = _Source(fullname, spec.loader.path)
                spec.loader.owner = owner
            return spec
        reading = self.reading.get(threading.get_ident())
        if reading is None or not reading.has(fullname):
            return None
        return ModuleSpec(fullname, _Alias(reading.load(fullname)))


_finder = _Finder()
sys.meta_path.insert(0, _finder)
