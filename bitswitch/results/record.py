"""What the classes of all files of results have in common: they write what they read."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bitswitch.errors import RecordError
from bitswitch.results import files

TimeKind = Literal["cpu", "wall"]
"""Of measured times: of the process on all its cores, or as a clock shows."""
Finding = Literal["complete", "diverged"]
"""How a job ends; a job that diverged is no failure but found that out."""


class Record(BaseModel):
    """A file of JSON, or a line of one; keys this version does not know are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def content(self) -> dict[str, Any]:
        """Return what the file says: the fields that were given, in the order of the class."""
        return self.model_dump(exclude_unset=True)

    def write(self, path: Path) -> None:
        """Write ``path`` at once."""
        files.write_json(path, self.content())

    @classmethod
    def of(cls, content: Mapping[str, Any], where: str) -> Self:
        """Return ``content`` as a record.

        Args:
            content: As JSON has it.
            where: File, and line there, for messages.

        Raises:
            RecordError: it is none.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"]))
            message = f"'{key}': {problem['msg']}" if key else problem["msg"]
            what = f"no {cls.__name__.lower()} record ({message})"
            raise RecordError(f"{where}: {what}: {str(content)[:80]}\n  {files.REMEDY}") from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the record in ``path``.

        Raises:
            RecordError: there is none.
        """
        return cls.of(files.read_json(path), str(path))

    @classmethod
    def read_lines(cls, path: Path) -> list[Self]:
        """Return the records in ``path``, one per line.

        Raises:
            RecordError: the file is missing, or one of its lines is none.
        """
        return [
            cls.of(content, f"{path}, line {number}")
            for number, content in enumerate(files.read_lines(path), start=1)
        ]


def write_lines(path: Path, records: Iterable[Record]) -> None:
    """Write all ``records`` to ``path`` at once, one per line."""
    files.write_lines(path, [record.content() for record in records])
