"""Where settings come from, which wins, and what is refused."""

import re
from pathlib import Path

import pytest

from nimbi.settings import FRONTENDS, SETTINGS, USUAL_FRONTENDS, Settings, SettingsError, load


def file_of(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "nimbi.toml"
    file.write_text(text)
    return file


def test_defaults_are_those_of_the_original_server() -> None:
    settings = load({}, {})
    assert (settings.host, settings.port, settings.frontends[0]) == (
        "localhost",
        3001,
        "deltacloud",
    )
    assert settings.driver is None


def test_the_api_of_accounts_is_served_to_who_has_accounts_unless_others_are_named() -> None:
    assert load({}, {}).frontends == USUAL_FRONTENDS
    assert load({"driver": "nimbi"}, {}).frontends == FRONTENDS
    assert load({"driver": "nimbi", "frontends": ("consoles",)}, {}).frontends == ("consoles",)
    assert load({"frontends": ("consoles",)}, {}).frontends == ("consoles",)


def test_flags_win_over_variables_which_win_over_the_file(tmp_path: Path) -> None:
    file = file_of(tmp_path, '[server]\nport = 1\nhost = "file"\nprovider = "file"\n')
    environment = {"API_PORT": "2", "API_HOST": "variable"}
    settings = load({"port": 3}, environment, file)
    assert (settings.port, settings.host, settings.provider) == (3, "variable", "file")


def test_a_flag_that_is_not_given_hides_nothing() -> None:
    assert load({"port": None}, {"API_PORT": "2"}).port == 2


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({}, {"API_PROVIDER": "", "API_PORT": ""}) == Settings()


def test_a_drivers_part_is_kept_as_it_is(tmp_path: Path) -> None:
    file = file_of(tmp_path, '[drivers.mock]\nstorage = "/x"\n[drivers.mock.calls]\nattempts = 2\n')
    assert load({}, {}, file).drivers == {"mock": {"storage": "/x", "calls": {"attempts": 2}}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[server]\nprot = 1\n",
            r"nimbi\.toml: \[server\]: unknown key 'prot'; did you mean 'port'",
        ),
        ("[server]\nport = 'x'\n", r"nimbi\.toml: \[server\]: port: Expected `int`"),
        ("[server]\nport = 70000\n", r"nimbi\.toml: \[server\]: port: .* <= 65535"),
        ("[server]\nworkers = 0\n", r"workers: .* >= 1"),
        ("[serve]\n", r"unknown part \[serve\]; did you mean 'server'"),
        ("server = 1\n", r"\[server\] must be a table"),
        ("[drivers]\nmock = 1\n", r"\[drivers\.mock\] must be a table"),
        ("[server\n", "not a TOML file"),
        ("[server]\nfrontends = ['cimi']\n", "unknown front end 'cimi'; there are: deltacloud"),
        ("[server]\nfrontends = []\n", "no front end"),
        ("[server]\nfrontends = [1]\n", "frontends: Expected `str`"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load({}, {}, file_of(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read"):
        load({}, {}, tmp_path / "none.toml")


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="variable API_PORT: port"):
        load({}, {"API_PORT": "many"})


@pytest.mark.parametrize("given", [{"tls_cert": "a"}, {"tls_key": "a"}])
def test_half_of_https_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="both a certificate"):
        load(given, {})


@pytest.mark.parametrize("given", [{"API_USER": "a"}, {"API_PASSWORD": "a"}])
def test_half_of_a_login_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="both a user and a password"):
        load({}, given)


def test_several_front_ends_are_one_list() -> None:
    assert load({"frontends": ("deltacloud, deltacloud", "deltacloud")}, {}).frontends == (
        "deltacloud",
    )


def test_secrets_are_in_no_repr() -> None:
    settings = Settings(user="u", password="hunter2", drivers={"mock": {"key": "hunter2"}})
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in f"{settings} {[settings]}"


def test_secrets_have_no_flag() -> None:
    assert not SETTINGS["password"].flags


def test_state_is_in_the_xdg_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert Settings().state_path() == tmp_path / "nimbi"


def test_state_is_where_the_variable_says(tmp_path: Path) -> None:
    assert load({}, {"NIMBI_STATE_DIR": str(tmp_path)}).state_path() == tmp_path


def test_each_setting_is_explained_in_a_sentence_and_has_a_variable() -> None:
    assert [s.key for s in SETTINGS.values() if not re.fullmatch(r"[A-Z].+\.", s.text)] == []
    assert [s.key for s in SETTINGS.values() if not s.env] == []
    assert len({s.env for s in SETTINGS.values()}) == len(SETTINGS)
