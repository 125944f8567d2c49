"""Files of environment variables, written as Docker's: KEY=VALUE lines, and comments after #."""

from pathlib import Path

from kwhost.core.config.problems import Place

__all__ = ["read_env_file"]

_SIZE_MAX = 1024 * 1024


def read_env_file(path: Path, place: Place) -> dict[str, str]:
    """The variables of a file that the key at `place` names; what is wrong is reported with its own line.

    A value is what follows the first `=`, as it is: quotes and spaces belong to it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_MAX + 1)
    except OSError as error:
        place.report(f"cannot read {path}: {error.strerror}")
        return {}
    if len(data) > _SIZE_MAX:
        place.report(f"cannot read {path}: it has more than {_SIZE_MAX} bytes")
        return {}
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        place.report(f"cannot read {path}: it is not UTF-8 text")
        return {}
    return _parse(text, path, place)


def _parse(text: str, path: Path, place: Place) -> dict[str, str]:
    variables = {}
    for number, line in enumerate(text.split("\n"), 1):
        name, equals, value = line.lstrip().removesuffix("\r").partition("=")
        if (not name.strip() and not equals) or name.startswith("#"):
            continue
        if not equals or not name or any(character.isspace() for character in name) or "\0" in line:
            place.problems.add_elsewhere(place.path, f"{path}:{number}: is no variable: write KEY=VALUE")
            continue
        variables[name] = value
    return variables
