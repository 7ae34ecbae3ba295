"""The database layer of simulated nodes: SQLAlchemy's own compiled statements, run with less ceremony.

What a statement compiles to, how its values are bound and how its rows are read stays SQLAlchemy's. Only the execution
context, which is made anew for each call and costs several times what SQLite does, is left out, and so is the pool
around a connection that was left in order; whatever is not one of the plain cases (text, RETURNING, defaults made in
Python, rows of different columns, `yield_per`) goes SQLAlchemy's own way. Rows are read at once: a loop that changes
what it reads would not be noticed. That both ways send the same bytes is tested on whole seeds.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import CompoundSelect, Connection, Delete, Engine, Insert, Select, Update, event
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import WARN_LINTING, SQLCompiler

_Processor = Callable[[Any], Any] | None
_Expansion = tuple[str, tuple[tuple[str, int | None, _Processor], ...]]
_PLAIN = (Select, CompoundSelect, Insert, Update, Delete)


class _Bind(NamedTuple):
    """Where the value of one placeholder comes from: the parameter `given` of the call, or the literal at `position` of
    the statement's own ones, or `value`."""

    name: str
    given: str | None
    position: int | None
    value: Any
    process: _Processor


@dataclass(frozen=True, slots=True)
class _Plan:
    compiled: SQLCompiler
    text: str
    binds: tuple[_Bind, ...]
    lists: tuple[str, ...]
    """The parameters of IN, whose placeholders depend on how many values there are."""
    expanded: dict[tuple[int, ...], _Expansion]
    """The text, and what goes where, by how many values each of them has."""
    metadata: SimpleResultMetaData | None
    """How rows are read; None: the statement gives none."""


@dataclass(slots=True)
class Written:
    """What a statement without rows gives."""

    rowcount: int


class QuickConnection(Connection):
    """A Connection whose plain statements take the short way; the engine keeps what it runs on for the next one."""

    def __init__(self, engine: Engine, *_: Any) -> None:
        kept = engine._kept  # type: ignore[attr-defined]
        super().__init__(engine, kept.pop() if kept else engine.raw_connection(), True)
        self.dispatch = engine.dispatch  # nobody listens to one connection alone

    def close(self) -> None:
        unspoilt = False
        try:
            if self._transaction:
                self._transaction.close()
            unspoilt = True
        finally:
            conn, self._dbapi_connection = self._dbapi_connection, None
            if conn is not None:
                self._Connection__can_reconnect = False  # closed for good, as the real one is
                if unspoilt and conn.is_valid and not conn.dbapi_connection.in_transaction:  # type: ignore[union-attr]
                    self.engine._kept.append(conn)  # type: ignore[attr-defined]
                else:
                    conn.close()

    def _execute_clauseelement(self, elem: Any, parameters: Any, options: Any) -> Any:
        key = elem._generate_cache_key() if isinstance(elem, _PLAIN) else None
        if key is None or key.params or options or elem._execution_options or self._dbapi_connection is None:
            return super()._execute_clauseelement(elem, parameters, options)
        names, many = tuple(parameters[0]) if parameters else (), len(parameters) > 1
        known = _plans_of(elem, key)
        plan = known.get((names, many), _UNKNOWN)
        if plan is _UNKNOWN:
            at = (key.key, names, many)
            plan = _PLANS.get(at, _UNKNOWN)
            if plan is _UNKNOWN:
                plan = _PLANS[at] = _plan(self, elem, key, names, many)
            known[names, many] = plan
        if plan is None or (many and any(row.keys() != parameters[0].keys() for row in parameters)):
            return super()._execute_clauseelement(elem, parameters, options)
        return self._run(plan, key.bindparams, parameters, many)

    def exec_driver_sql(self, statement: str, parameters: Any = None, execution_options: Any = None) -> Any:
        """BEGIN has nothing to bind and gives nothing back."""
        if not statement.startswith("BEGIN") or self._dbapi_connection is None:
            return super().exec_driver_sql(statement, parameters, execution_options)
        cursor = self._dbapi_connection.cursor()
        try:
            cursor.execute(statement)
        except sqlite3.Error as error:
            self._handle_dbapi_exception(error, statement, None, cursor, None)
        cursor.close()
        return None

    def _run(self, plan: _Plan, literals: Sequence[Any], rows: Sequence[Mapping[str, Any]], many: bool) -> Any:
        if self._transaction is None:
            self._autobegin()
        text, values = plan.text, None
        try:
            if plan.lists:
                text, values = _expand(plan, literals, rows[0] if rows else {})
            elif many:
                values = [_values(plan.binds, literals, row) for row in rows]
            else:
                values = _values(plan.binds, literals, rows[0] if rows else {})
        except Exception as error:
            self._handle_dbapi_exception(error, text, None, None, None)
        cursor = self._dbapi_connection.cursor()  # type: ignore[union-attr]
        try:
            self.engine._before(text)  # type: ignore[attr-defined]
            if many:
                cursor.executemany(text, values)
            else:
                cursor.execute(text, values)
            found = cursor.fetchall() if plan.metadata else ()
        except sqlite3.Error as error:
            self._handle_dbapi_exception(error, text, None, cursor, None)
        except BaseException:
            cursor.close()
            raise
        count = cursor.rowcount
        cursor.close()
        return IteratorResult(plan.metadata, iter(found)) if plan.metadata else Written(count)


_UNKNOWN: Any = object()
_PLANS: dict[Any, _Plan | None] = {}
"""By cache key, names of parameters, and whether there are several rows of them; all nodes speak one dialect."""


def make_quick(engine: Engine, before: Callable[[str], None]) -> None:
    """From now on; `before` hears each statement first, whichever way it goes."""
    engine._connection_cls = QuickConnection
    engine._kept = []  # type: ignore[attr-defined]
    event.listen(engine, "engine_disposed", _let_go)
    engine._before = before  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda _conn, _cursor, text, *_: before(text))


def _let_go(engine: Any) -> None:
    for conn in engine._kept:
        conn.invalidate()
    engine._kept = []


def _plans_of(elem: Any, key: Any) -> dict[tuple[tuple[str, ...], bool], _Plan | None]:
    """Those of a statement that is a constant, at the statement itself: a key is a deep tuple that hashing takes apart.

    What is made from the statement gets a copy of all that hangs on it, but a key of its own.
    """
    kept = elem.__dict__.get("_quick_plans")
    if kept is None or kept[0] is not key:
        kept = elem.__dict__["_quick_plans"] = (key, {})
    plans: dict[tuple[tuple[str, ...], bool], _Plan | None] = kept[1]
    return plans


def _plan(conn: Connection, elem: Any, key: Any, names: tuple[str, ...], many: bool) -> _Plan | None:
    """None where only SQLAlchemy itself should run it."""
    compiled = elem._compile_w_cache(
        conn.dialect,
        compiled_cache=conn.engine._compiled_cache,
        column_keys=list(names),
        for_executemany=many,
        linting=conn.dialect.compiler_linting | WARN_LINTING,
    )[0]
    writes = compiled.isinsert or compiled.isupdate or compiled.isdelete
    if writes and (compiled.effective_returning or compiled.insert_prefetch or compiled.update_prefetch):
        return None
    if compiled.literal_execute_params or compiled._collect_params or (many and compiled.post_compile_params):
        return None
    labels = [column.keyname for column in compiled._result_columns]
    if len(set(labels)) < len(labels):
        return None
    bound = compiled._cache_key_bind_match[0]
    placed = {bind: n for n, literal in enumerate(compiled.cache_key[1]) for bind in bound[literal]}
    by_name = {}
    lists = tuple(name for bind, name in compiled.bind_names.items() if bind in compiled.post_compile_params)
    for bind, name in compiled.bind_names.items():
        if bind.callable or (bind.required and not {bind.key, name} & set(names)):
            return None
        process = None if lists else compiled._bind_processors.get(name)  # those wait for the expanded names
        given = bind.key if bind.key in names else name if name in names else None
        by_name[name] = _Bind(name, given, placed.get(bind), bind.value, process)
    binds = tuple(by_name.values() if lists else (by_name[name] for name in compiled.positiontup))
    return _Plan(compiled, compiled.string, binds, lists, {}, None if writes else _metadata(conn, compiled))


def _metadata(conn: Connection, compiled: SQLCompiler) -> SimpleResultMetaData:
    columns = compiled._result_columns
    processors = [column.type._cached_result_processor(conn.dialect, None) for column in columns]
    return SimpleResultMetaData(
        [column.keyname for column in columns], [column.objects for column in columns], _processors=processors
    )


def _values(binds: Sequence[_Bind], literals: Sequence[Any], row: Mapping[str, Any]) -> tuple[Any, ...]:
    found = []
    for _, given, position, value, process in binds:
        if given is not None:
            value = row[given]
        elif position is not None:
            value = literals[position].value
        found.append(process(value) if process else value)
    return tuple(found)


def _expand(plan: _Plan, literals: Sequence[Any], row: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """The text with as many placeholders as there are values, as SQLAlchemy writes it, and the values."""
    given = dict(zip((bind.name for bind in plan.binds), _values(plan.binds, literals, row), strict=True))
    sizes = tuple(len(given[name]) for name in plan.lists)
    if sizes not in plan.expanded:
        plan.expanded[sizes] = _expansion(plan, given)
    text, places = plan.expanded[sizes]
    found = []
    for name, index, process in places:
        value = given[name] if index is None else given[name][index]
        found.append(process(value) if process else value)
    return text, tuple(found)


def _expansion(plan: _Plan, given: dict[str, Any]) -> _Expansion:
    state = plan.compiled._process_parameters_for_postcompile(dict(given))
    processors = {**plan.compiled._bind_processors, **state.processors}
    places: dict[str, tuple[str, int | None]] = {name: (name, None) for name in given}
    for name, parts in state.parameter_expansion.items():
        places.update((part, (name, index)) for index, part in enumerate(parts))
    return state.statement, tuple((*places[name], processors.get(name)) for name in state.positiontup or ())
