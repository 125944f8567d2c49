"""config.example.toml shows every key, and is itself a valid configuration."""

from pathlib import Path

from kwhost.core.config.host import _KEYS, config_file, load_host_config


def test_the_example_is_valid_and_complete(project: Path, tmp_path: Path) -> None:
    text = (project / "config.example.toml").read_text()
    environment = {"HOME": str(tmp_path)}
    target = config_file(environment, 1000)
    target.parent.mkdir(parents=True)
    target.write_text(text)

    load_host_config(environment, 1000)

    assert all(f"\n{key} = " in text for key in _KEYS)
