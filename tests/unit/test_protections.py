"""What is told about the protections of an instance of the engine `process`."""

from kwhost.core.model.protections import ALL_HOLD, Protection, Protections


def test_every_protection_says_what_it_means() -> None:
    assert all(protection.meaning for protection in Protection)


def test_what_is_not_missing_holds() -> None:
    protections = Protections(missing={Protection.PIDS: "user namespaces are refused"})

    assert not protections.holds(Protection.PIDS)
    assert set(protections.holding) == set(Protection) - {Protection.PIDS}
    assert set(ALL_HOLD.holding) == set(Protection)
