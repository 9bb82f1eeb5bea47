"""What other packages add: found by the entry points that they declare, loaded when it is named.

A package declares, for example in its pyproject.toml,

    [project.entry-points."clusterseq.encoders"]
    mean = "my_package:MeanEncoder"

and wherever it is installed, ``model.encoder=mean`` can be said. Nothing of a package runs before
somebody names what it adds. Names of our own can't be taken over: they are looked up first.

Knows nothing about: what the extensions are, who uses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeAlias, get_args

from clusterseq.errors import ConfigError

Kind: TypeAlias = Literal[
    "baselines", "stores", "readers", "encoders", "conditioners", "clusterers"
]
"""The groups are called ``clusterseq.baselines`` and so on."""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Extension:
    """Something that an installed package adds."""

    kind: Kind
    """What it is."""
    entry: EntryPoint
    """Where the package says it is found."""

    @property
    def name(self) -> str:
        """As users say it."""
        return self.entry.name

    @property
    def origin(self) -> str:
        """The package and its version."""
        package = self.entry.dist
        return "an unknown package" if package is None else f"{package.name} {package.version}"

    def load(self) -> Any:
        """Import it.

        Raises:
            ConfigError: the package can't be imported, or doesn't hold what it declares.
        """
        try:
            return self.entry.load()
        except Exception as error:  # whatever a foreign module does when it is imported
            raise ConfigError(
                f"{self}: can't be loaded ({type(error).__name__}: {error}); mend the package or "
                "uninstall it",
                code="extension",
            ) from error

    def refused(self, why: str) -> ConfigError:
        """The error for something that isn't what its group asks for."""
        return ConfigError(
            f"{self}: {why}; docs/extending.md says what it has to be", code="extension"
        )

    def __str__(self) -> str:
        return f'the {self.kind.removesuffix("s")} "{self.name}" of {self.origin}'


def extensions(kind: Kind) -> list[Extension]:
    """All of one kind that are installed, by name."""
    installed = [Extension(kind, entry) for entry in entry_points(group=f"clusterseq.{kind}")]
    return sorted(installed, key=lambda plugin: (plugin.name, plugin.origin))


def extension(kind: Kind, name: str) -> Extension | None:
    """The one of that name, if it is installed.

    Raises:
        ConfigError: two packages have one of that name.

    >>> extension("encoders", "of nobody")
    """
    matches = [plugin for plugin in extensions(kind) if plugin.name == name]
    if len(matches) > 1:
        raise ConfigError(
            f"{matches[0]} is also in {matches[1].origin}; uninstall one of the two",
            code="extension",
        )
    return matches[0] if matches else None
