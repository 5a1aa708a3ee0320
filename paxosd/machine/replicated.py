"""A machine made of an ordinary class: each public method is a command, or a question if it is marked with `@query`.

    @replicated(version=1)
    class Bank:
        def __init__(self): self.accounts = {}
        def deposit(self, name, amount): ...
        @query
        def balance(self, name): ...
        def dump(self): return self.accounts            # the whole state, as values of msgpack
        def load(self, state): self.accounts = state

Laws:
1. What travels is the version of the class, the name of a method, and values of msgpack: numbers, texts, bytes, lists,
   dicts, None. Nothing that is sent names any other code.
2. A method that raises ends with a result that says so, and so does what is no call. The name of the exception is told,
   and its text only where the class means it (`Rejected`): other texts may differ from node to node. What it had
   changed by then stays changed, alike on every node: so a method looks first and changes then.
3. A command means for ever what it meant: one that was made for an earlier version is done by the method that was there
   in it (`@since`).
4. The state is written as a whole, in rows of which those that differ are written. It is meant for states of a few MiB;
   a larger one keeps `machine/base.py` by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, ClassVar, TypeVar

import msgpack

from paxosd.core.agent import require
from paxosd.core.options import COMMAND_BYTES_MAX
from paxosd.core.types import Revision
from paxosd.machine.base import Changes, QueryRefused

DIGEST_BYTES = 16
ROW_BYTES = 64 * 1024
TEXT_MAX = 1000
"""How much is told of what `Rejected` says."""
ITEMS_MAX = 1 << 17
"""How many items one array or map of a call may have."""
DEPTH_MAX = 32
"""How deep arguments may be nested: what is kept must be written again, in what the class has around it."""
RESULT_BYTES_MAX = COMMAND_BYTES_MAX + 64 * 1024
NUMBER_BYTES_MAX = 1024
"""How long an integer among arguments may be; to reckon with longer ones takes long."""
RESULT, FAILED = 1, 2
_LARGE_NUMBER = 1
"""The code of an integer that has more than 64 bits."""

_F = TypeVar("_F", bound=Callable[..., Any])


class Rejected(Exception):
    """What a method raises to say no; whoever called is told the text. It must be the same on every node."""


class CallFailed(Exception):
    """A call did nothing useful: the method raised, or there is none. `name` is the exception's, `text` what `Rejected`
    said."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}" if text else name)
        self.name = name
        self.text = text


def query(method: _F) -> _F:
    """This method only reads; it is asked, and is in no log."""
    method.paxosd_query = True  # type: ignore[attr-defined]
    return method


def since(version: int, name: str) -> Callable[[_F], _F]:
    """From this version of the class on, this method is what `name` means; commands of earlier ones mean what they
    meant."""

    def mark(method: _F) -> _F:
        method.paxosd_since = version, name  # type: ignore[attr-defined]
        return method

    return mark


def replicated(version: int = 1) -> Callable[[type], type[ReplicatedMachine]]:
    """Make a machine of a class; its instances keep `machine/base.py`, and `plain` is the class itself."""

    def make(plain: type) -> type[ReplicatedMachine]:
        for needed in ("dump", "load"):
            if not callable(getattr(plain, needed, None)):
                raise TypeError(f"{plain.__name__} has no method `{needed}`")
        of_class = {"__doc__": plain.__doc__, "__module__": plain.__module__, "__qualname__": plain.__qualname__}
        methods = _methods(plain, version)
        return type(
            plain.__name__, (ReplicatedMachine,), {**of_class, "plain": plain, "version": version, "methods": methods}
        )

    return make


Methods = dict[str, list[tuple[int, str, bool]]]
"""For each name that is called: from which version on, which method is meant, and whether it only reads; the first
first."""


def _methods(plain: type, version: int) -> Methods:
    found: Methods = {}
    for attribute, method in inspect.getmembers(plain, inspect.isfunction):
        if attribute.startswith("_") or attribute in ("dump", "load", "upgrade"):
            continue
        first, name = getattr(method, "paxosd_since", (1, attribute))
        if not 1 <= first <= version:
            raise TypeError(f"{plain.__name__}.{attribute} is since {first}, and the class is of version {version}")
        found.setdefault(name, []).append((first, attribute, hasattr(method, "paxosd_query")))
    for name, meanings in found.items():
        meanings.sort()
        if len({first for first, _, _ in meanings}) < len(meanings):
            raise TypeError(f"{plain.__name__}.{name} has two meanings in one version")
    return found


class ReplicatedMachine:
    """Keeps `machine/base.py` for an object of the class `plain`."""

    plain: ClassVar[type]
    version: ClassVar[int]
    methods: ClassVar[Methods]

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._object: Any = self.plain()
        self._dumped: bytes | None = None
        self._written: dict[bytes, bytes] = {}  # rows on the disk, and digests of what stands there

    # ---- for who calls ----

    @classmethod
    def command(cls, name: str, *arguments: object, **named: object) -> bytes:
        """The bytes of a call of a method that changes something; raises TypeError where it does not fit."""
        return cls._call(False, name, arguments, named)

    @classmethod
    def question(cls, name: str, *arguments: object, **named: object) -> bytes:
        """The bytes of a call of a method that only reads."""
        return cls._call(True, name, arguments, named)

    @classmethod
    def _call(cls, reads: bool, name: str, arguments: Sequence[object], named: dict[str, object]) -> bytes:
        attribute = cls._meant(name, cls.version, reads)
        if attribute is None:
            raise TypeError(f"{cls.__name__} has no {'question' if reads else 'command'} {name!r}")
        inspect.signature(getattr(cls.plain, attribute)).bind(None, *arguments, **named)
        return _pack([cls.version, name, list(arguments), named])

    @staticmethod
    def result(content: bytes) -> Any:
        """What a method returned; raises `CallFailed`."""
        number, *fields = _unpack(content)
        if number != RESULT:
            raise CallFailed(*fields)
        return fields[0]

    @classmethod
    def _meant(cls, name: str, version: int, reads: bool) -> str | None:
        """The method that a name means in a version."""
        meant = [(attribute, is_query) for first, attribute, is_query in cls.methods.get(name, ()) if first <= version]
        attribute, is_query = meant[-1] if meant else (None, False)
        return attribute if is_query == reads else None

    # ---- a machine ----

    def apply(self, first_revision: Revision, commands: list[bytes], log_time_ms: int) -> Sequence[bytes]:
        self._dumped = None
        return [self._answer(command, False) for command in commands]

    def query(self, question: bytes, revision: Revision, log_time_ms: int) -> bytes:
        answer = self._answer(question, True)
        if answer == _NO_CALL:
            raise QueryRefused(f"{type(self).__name__} has no such question")
        return answer

    def _answer(self, call: bytes, reads: bool) -> bytes:
        found = self._read(call, reads)
        if found is None:
            return _NO_CALL
        attribute, arguments, named = found
        try:
            result = _pack([RESULT, getattr(self._object, attribute)(*arguments, **named)])
            return result if len(result) <= RESULT_BYTES_MAX else _TOO_LARGE
        except Rejected as rejected:
            return _pack([FAILED, type(rejected).__name__, str(rejected)[:TEXT_MAX]])
        except Exception as error:  # whatever somebody's method raises
            return _pack([FAILED, type(error).__name__, ""])

    def _read(self, call: bytes, reads: bool) -> tuple[str, list[Any], dict[str, Any]] | None:
        """The method that is called, and its arguments; None: this is no call."""
        try:
            version, name, arguments, named = _unpack(
                call, max_array_len=ITEMS_MAX, max_map_len=ITEMS_MAX, max_ext_len=NUMBER_BYTES_MAX
            )
            _require_shallow([arguments, named], DEPTH_MAX)
        except (ValueError, TypeError):
            return None
        if type(version) is not int or type(name) is not str or type(arguments) is not list or type(named) is not dict:
            return None
        attribute = self._meant(name, version, reads) if version <= self.version else None
        is_named = all(type(each) is str for each in named)
        return (attribute, arguments, named) if attribute is not None and is_named else None

    @property
    def due_ms(self) -> int | None:
        return None

    def expire(self, revision: Revision, log_time_ms: int) -> None:
        """Nothing in it runs out."""

    # ---- its state ----

    def _dump(self) -> bytes:
        if self._dumped is None:
            self._dumped = _pack([self.version, self._object.dump()])
        return self._dumped

    def _rows(self) -> dict[bytes, bytes]:
        dumped = self._dump()
        places = range(0, len(dumped), ROW_BYTES)
        return {number.to_bytes(4, "big"): dumped[place : place + ROW_BYTES] for number, place in enumerate(places)}

    def digest(self) -> bytes:
        return _digest(self._dump())

    @property
    def changed_rows(self) -> int:
        if self._dumped is None:
            return max(1, len(self._written))
        return sum(1 for key, content in self._rows().items() if self._written.get(key) != _digest(content))

    def changes(self) -> Changes:
        rows = self._rows()
        put = [(key, content) for key, content in rows.items() if self._written.get(key) != _digest(content)]
        delete = [key for key in self._written if key not in rows]
        self._written = {key: _digest(content) for key, content in rows.items()}
        return Changes(put, delete)

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self._begin()
        found = dict(rows)
        if not found:
            return
        self._written = {key: _digest(content) for key, content in found.items()}
        version, state = _unpack(b"".join(found[key] for key in sorted(found)))
        if version != self.version:
            upgrade: Any = getattr(self._object, "upgrade", None)
            may = upgrade is not None and version < self.version
            require(may, f"the state is of version {version} and {type(self).__name__} of {self.version}")
            state = upgrade(state, version)
        self._object.load(state)


def _pack(value: object) -> bytes:
    return msgpack.packb(value, default=_other)  # type: ignore[no-any-return]


def _other(value: object) -> msgpack.ExtType:
    """What msgpack has no form for."""
    if isinstance(value, int):
        return msgpack.ExtType(_LARGE_NUMBER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    raise TypeError(f"a value of type {type(value).__name__} is no value of msgpack")


def _unpack(content: bytes, **bounds: int) -> Any:
    return msgpack.unpackb(content, strict_map_key=False, ext_hook=_of_other, **bounds)


def _of_other(code: int, content: bytes) -> int:
    if code != _LARGE_NUMBER:
        raise ValueError("nobody here knows such a value")
    return int.from_bytes(content, "big", signed=True)


def _require_shallow(value: object, depth: int) -> None:
    """Raise ValueError if this is nested deeper than that."""
    if not isinstance(value, list | dict):
        return
    if not depth:
        raise ValueError("nested too deep")
    for item in value.values() if isinstance(value, dict) else value:
        _require_shallow(item, depth - 1)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()


_NO_CALL = _pack([FAILED, "NoSuchCall", ""])
_TOO_LARGE = _pack([FAILED, "TooLarge", ""])
