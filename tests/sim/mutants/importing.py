"""Puts a mutant in place: the modules it concerns are compiled from changed source when they are imported."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType

from tests.sim.mutants.mutant import ROOT, Misplaced, Mutant, source_of


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """Compiled from the changed source; never read from, or written to, a cache."""
        code: CodeType = compile(self._source, self.path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._sources:
            return None
        file = str(ROOT / (fullname.replace(".", "/") + ".py"))
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, file, self._sources[fullname]))


def put_in_place(mutant: Mutant) -> None:
    """From now on this process runs the mutant. Raises Misplaced."""
    sources: dict[str, str] = {}
    for edit in mutant.edits:
        sources[edit.module] = edit.apply(sources.get(edit.module) or source_of(edit.module))
    if early := [module for module in sources if module in sys.modules]:
        raise Misplaced(f"imported before the mutant was in place: {early}")
    sys.meta_path.insert(0, _Finder(sources))
