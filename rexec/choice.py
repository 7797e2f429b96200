"""Values out of a fixed set, each with a name: what `enum` does, without its import.

`enum` costs the one-shot client 5 ms, a fifth of all its time (docs/decisions/0012). Type checkers see
its classes here, and tell which values a `match` forgot.
"""

from __future__ import annotations

__all__ = ["Choice", "IntChoice"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enum import Enum as Choice
    from enum import IntEnum as IntChoice
else:

    class ChoiceType(type):
        """Turn the numbers and texts of a class body into the only instances there will be."""

        def __new__(mcs, name, bases, namespace):
            values = {k: v for k, v in namespace.items() if k[0] != "_" and isinstance(v, int | str)}
            cls = super().__new__(mcs, name, bases, {k: v for k, v in namespace.items() if k not in values})
            cls.__members__ = {key: _made(cls, key, value) for key, value in values.items()}
            cls._by_value = {member.value: member for member in cls}
            for key, member in cls.__members__.items():
                setattr(cls, key, member)
            return cls

        def __call__(cls, value):
            if isinstance(value, cls):
                return value
            try:
                return cls._by_value[value]
            except (KeyError, TypeError):
                raise ValueError(f"{value!r} is not a valid {cls.__name__}") from None

        def __getitem__(cls, name):
            return cls.__members__[name]

        def __iter__(cls):
            return iter(cls.__members__.values())

        def __contains__(cls, value):
            return isinstance(value, cls) or value in cls._by_value

        def __len__(cls):
            return len(cls.__members__)

    def _made(cls, name, value):
        member = int.__new__(cls, value) if issubclass(cls, int) else object.__new__(cls)
        member.name = name
        member.value = value
        return member

    class Choice(metaclass=ChoiceType):
        """A value that equals itself and nothing else."""

        def __repr__(self):
            return f"<{type(self).__name__}.{self.name}: {self.value!r}>"

        def __reduce__(self):  # a copy is the same
            return type(self), (self.value,)

    class IntChoice(int, metaclass=ChoiceType):
        """A value that is a number too."""

        __repr__ = Choice.__repr__
        __reduce__ = Choice.__reduce__
        __str__ = int.__repr__
