"""Every error has its exit status, and stands in the tree that the module draws."""

from kwhost.core import errors
from kwhost.core.errors import KwhostError


def test_the_tree_is_complete_and_drawn() -> None:
    classes = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, KwhostError)
    ]

    assert errors.__doc__
    for error in classes:
        assert error.__name__ in errors.__all__
        assert error.__name__ in errors.__doc__
        assert error.exit_status in (125, 126, 127)
