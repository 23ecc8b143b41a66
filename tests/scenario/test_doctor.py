"""What `brightrun doctor` says of a real Slack, its roles and the public address; whose an imported file is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from functions.errors import InvalidInput
from functions.model.people import Role
from infra.address_doctor import examine_address
from infra.cli import app as command
from infra.doctor import examine, render
from infra.postgres.database import PostgresDatabase
from infra.roles_doctor import examine_roles
from infra.seeding import seed_roles
from infra.settings import LOCAL_TEAM, Settings
from infra.slack_doctor import examine_slack
from tests.scenario.stage import free_port
from tests.serving import served

BOT, APP, TEAM = "xoxb-live", "xapp-live", "T0LIVE"
GROUPS = {"S0BOSSES": ["U0BOSS"]}


@dataclass
class LiveSlack:
    """A team that is not the local workspace's, as far as the doctor and the command ask it."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/api/{method}", self._call, methods=["POST", "GET"])])

    async def _call(self, request: Request) -> Response:
        method = request.path_params["method"]
        if method in self.answers:
            return JSONResponse({"ok": False, "error": self.answers[method]})
        token = request.headers["authorization"].removeprefix("Bearer ")
        wanted = APP if method == "apps.connections.open" else BOT
        if token != wanted:
            return JSONResponse({"ok": False, "error": "invalid_auth"})
        if method == "usergroups.users.list":
            group = (await request.form()).get("usergroup") or request.query_params.get("usergroup")
            users = GROUPS.get(str(group))
            return JSONResponse({"ok": True, "users": users} if users else {"ok": False, "error": "no_such_subteam"})
        return JSONResponse({"ok": True, "user": "brightrun", "team": "Live", "team_id": TEAM, "url": "wss://x"})


@pytest.fixture
def slack() -> Iterator[LiveSlack]:
    """Slack on this machine."""
    live = LiveSlack()
    with served(live.app()) as url:
        live.url = f"{url}/api/"
        yield live


def settings(folder: Path, slack: LiveSlack | None = None, **given: Any) -> Settings:
    """Settings of a live installation, where there is a Slack."""
    live = {"slack_bot_token": BOT, "slack_signing_secret": "s", "slack_api_url": slack.url} if slack else {}
    return Settings(_env_file=None, data_dir=folder, **(live | given))  # type: ignore[arg-type]


def test_slack_by_socket_mode_and_by_http(slack: LiveSlack, tmp_path: Path) -> None:
    by_socket = examine_slack(settings(tmp_path, slack, slack_app_token=APP))
    assert by_socket == ("ok", "brightrun in Live (T0LIVE), by Socket Mode", False)
    by_http = examine_slack(settings(tmp_path, slack, public_url="https://b.test"))
    assert by_http == ("ok", "brightrun in Live (T0LIVE), which has to call https://b.test/slack/events", False)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "Slack has no way to the bot. Set BRIGHTRUN_SLACK_APP_TOKEN for Socket Mode"),
        ({"slack_app_token": "xapp-old"}, "Slack refuses the app token: invalid_auth. Set BRIGHTRUN_SLACK_APP_TOKEN"),
        ({"slack_app_token": BOT}, "Slack refuses the app token: invalid_auth."),
        ({"slack_bot_token": "xoxb-old"}, "Slack refuses the bot token: invalid_auth. Set BRIGHTRUN_SLACK_BOT_TOKEN"),
        ({"slack_signing_secret": None}, "BRIGHTRUN_SLACK_SIGNING_SECRET is missing"),
        ({"slack_api_url": "slack.test/"}, "BRIGHTRUN_SLACK_API_URL is not an address"),
        ({"slack_api_url": "http://127.0.0.1:9/"}, "Slack cannot be reached"),
        ({"slack_bot_token": None}, "BRIGHTRUN_SLACK_SIGNING_SECRET without BRIGHTRUN_SLACK_BOT_TOKEN"),
    ],
)
def test_a_slack_that_cannot_work(slack: LiveSlack, tmp_path: Path, given: dict[str, Any], says: str) -> None:
    found = examine_slack(settings(tmp_path, slack, **given))
    assert found.broken
    assert says in found.detail
    assert "xoxb" not in found.detail.replace("xoxb-…", "")


def test_slacks_own_trouble_is_not_blamed_on_the_token(slack: LiveSlack, tmp_path: Path) -> None:
    slack.answers["auth.test"] = "internal_error"
    found = examine_slack(settings(tmp_path, slack, slack_app_token=APP))
    assert found == ("broken", "Slack does not do as it is asked: internal_error. Try again.", True)
    del slack.answers["auth.test"]
    slack.answers["apps.connections.open"] = "missing_scope"
    found = examine_slack(settings(tmp_path, slack, slack_app_token=APP))
    assert "Slack refuses the app token: missing_scope. Set" in found.detail
    assert "connections:write" in found.detail


def test_roles_that_settings_and_the_user_group_give(slack: LiveSlack, database_url: str, tmp_path: Path) -> None:
    def found(**given: Any) -> tuple[str, str, bool]:
        return examine_roles(settings(tmp_path, slack, database_url=SecretStr(database_url), **given))

    state, detail, broken = found()
    assert broken
    assert "nobody is admin or manager: requests reach nobody" in detail
    assert "Set BRIGHTRUN_ADMINS to your member ID" in detail
    assert found(admins=("T0LIVE:U1", "T0LIVE:U2"), managers=("T0LIVE:U3",)) == ("ok", "2 admins, 1 manager", False)
    assert found(admins=("T0LIVE:U1",))[1:] == (
        "1 admin, 0 managers; nobody decides their own request, so name a second person",
        False,
    )
    state, detail, broken = found(managers_group="S0BOSSES")
    assert (state, broken) == ("no admin", False)
    assert detail.startswith("0 admins, 1 manager: nobody can give roles. Set BRIGHTRUN_ADMINS to")
    assert "everybody else is admin" in found(default_role="admin")[1]

    assert found(admins=("U1",), managers=("T0LIVE:U3",)) == ("ok", "1 admin, 1 manager", False)
    state, detail, broken = found(admins=("T0OTHER:U1",))
    assert broken
    assert "(T0OTHER:U1: of another team)" in detail
    state, detail, broken = found(managers_group="S0NONE", admins=("T0LIVE:U1",))
    assert broken
    assert detail.startswith("BRIGHTRUN_MANAGERS_GROUP=S0NONE: Slack does not do as it is asked: no_such_subteam")


def test_a_person_named_without_a_team_is_of_the_teams_own_slack(
    slack: LiveSlack, db: PostgresDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"admins": ("U1",), "managers": ("T0OTHER:U2",)}
    slack.answers["auth.test"] = "internal_error"
    seed_roles(db, settings(tmp_path, slack, **given))
    assert "no role from the settings for U1: Slack does not do as it is asked: internal_error" in caplog.text
    with db.transaction() as tx:
        assert tx.people.role(TEAM, "U1") is None
        assert tx.people.role("T0OTHER", "U2") is Role.MANAGER
    del slack.answers["auth.test"]
    seed_roles(db, settings(tmp_path, slack, **given))
    with db.transaction() as tx:
        assert tx.people.role(TEAM, "U1") is Role.ADMIN
        assert tx.people.role(LOCAL_TEAM, "U1") is None


def test_roles_that_an_admin_gave_go_before_the_settings(
    slack: LiveSlack, db: PostgresDatabase, database_url: str, tmp_path: Path
) -> None:
    given = settings(tmp_path, slack, database_url=SecretStr(database_url), admins=("T0LIVE:U1",))
    with db.transaction() as tx:
        tx.people.seed_role(TEAM, "U9", Role.ADMIN)
    assert examine_roles(given).detail == "2 admins, 0 managers"
    with db.transaction() as tx:
        tx.people.set_role(TEAM, "U1", Role.MEMBER, by="U9")
        tx.people.set_role(TEAM, "U9", Role.MANAGER, by="U9")
        tx.people.seed_role("T0OTHER", "U5", Role.ADMIN)
    assert examine_roles(given).state == "no admin"


def test_roles_that_cannot_be_looked_at(slack: LiveSlack, tmp_path: Path, bare_database_url: str) -> None:
    behind = settings(tmp_path, slack, database_url=SecretStr(bare_database_url))
    assert examine_roles(behind)[::2] == ("not looked at", False)
    assert examine_roles(settings(tmp_path, slack, slack_bot_token="xoxb-old")).state == "not looked at"
    assert examine_roles(settings(tmp_path)).state == "local workspace"
    # No database was made yet: the settings are all there is.
    assert examine_roles(settings(tmp_path, slack)).broken


def answering(answer: Response) -> Starlette:
    async def health(request: Request) -> Response:
        return answer

    return Starlette(routes=[Route("/health", health)])


OURS = JSONResponse({"ok": True})


@pytest.mark.parametrize(
    ("answer", "state", "says"),
    [
        (OURS, "ok", "/health answers as it should"),
        (
            PlainTextResponse("Welcome"),
            "broken",
            "/health answers 200, but not as Bright Run does. Set BRIGHTRUN_PUBLIC",
        ),
        (JSONResponse({}, 404), "broken", "/health answers 404, but not as Bright Run does"),
        (Response(None, 301, {"location": "https://b.test"}), "broken", "/health leads elsewhere, to https://b.test."),
        (PlainTextResponse("Bad gateway", 502), "no answer", "/health answers 502, and nothing runs here. Start"),
    ],
)
def test_what_comes_back_from_the_public_address(tmp_path: Path, answer: Response, state: str, says: str) -> None:
    with served(answering(answer)) as url:
        found = examine_address(settings(tmp_path, public_url=f"{url}/", http_port=free_port()))
    assert (found.state, found.broken) == (state, state == "broken")
    assert says in found.detail


def test_a_public_address_that_does_not_lead_to_the_service_that_runs_here(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with served(answering(OURS)) as own:
        port = int(own.rpartition(":")[2])
        found = examine_address(settings(tmp_path, public_url=away, http_port=port))
        assert found.broken
        assert "the service runs here: its proxy or tunnel does not lead to it" in found.detail
        assert "names another" in examine_address(settings(tmp_path)).detail
    assert examine_address(settings(tmp_path, public_url=away, http_port=port)).state == "no answer"


@pytest.mark.parametrize("address", ["b.test", "ftp://b.test", "http://b.test:x", "https://nowhere.invalid"])
def test_a_public_address_that_is_none(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    found = examine_address(settings(tmp_path, public_url=address, http_port=free_port()))
    assert found.broken, found


def test_a_public_address_with_the_wrong_certificate(tmp_path: Path) -> None:
    with served(answering(OURS)) as plain:
        found = examine_address(settings(tmp_path, public_url=plain.replace("http:", "https:"), http_port=free_port()))
    assert found.broken
    assert "SSL" in found.detail


def test_the_command_prints_every_line_and_fails_where_one_is_broken(
    slack: LiveSlack, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(tmp_path, slack, database_url=SecretStr(database_url), slack_app_token=APP)
    text = render(examine(given))
    assert "✓ Slack           ok: brightrun in Live (T0LIVE), by Socket Mode" in text
    assert "✗ Roles           broken: nobody is admin or manager" in text
    configure(monkeypatch, slack, database_url, tmp_path)
    said = CliRunner().invoke(command, ["doctor"])
    assert (said.exit_code, "✗ Roles" in said.output) == (1, True), said.output


def configure(monkeypatch: pytest.MonkeyPatch, slack: LiveSlack, database_url: str, folder: Path) -> None:
    """A live installation, as the command finds it."""
    given = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_url,
        "SLACK_BOT_TOKEN": BOT,
        "SLACK_SIGNING_SECRET": "s",
        "SLACK_API_URL": slack.url,
    }
    monkeypatch.chdir(folder)
    for name, value in given.items():
        monkeypatch.setenv(f"BRIGHTRUN_{name}", value)


def test_an_imported_file_is_the_live_teams(
    slack: LiveSlack, db: PostgresDatabase, database_url: str, tmp_path: Path, demo_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def files_of(team: str) -> int:
        with db.transaction() as tx:
            return len(tx.files.search(team, "", 10))

    configure(monkeypatch, slack, database_url, tmp_path)
    slack.answers["auth.test"] = "token_revoked"
    refused = CliRunner().invoke(command, ["import", str(demo_file)])
    assert refused.exit_code == 1
    assert "brightrun: Slack refuses the bot token: token_revoked. Set BRIGHTRUN_SLACK_BOT_TOKEN" in refused.output
    assert files_of(TEAM) == files_of(LOCAL_TEAM) == 0

    slack.answers.clear()
    added = CliRunner().invoke(command, ["import", str(demo_file)])
    assert (added.exit_code, "Added." in added.output) == (0, True), added.output
    assert (files_of(TEAM), files_of(LOCAL_TEAM)) == (1, 0)

    monkeypatch.delenv("BRIGHTRUN_SLACK_BOT_TOKEN")
    assert CliRunner().invoke(command, ["import", str(demo_file)]).exit_code == 0
    assert files_of(LOCAL_TEAM) == 1


@pytest.mark.parametrize("arguments", [["up"], ["migrate"], ["backup", "b"], ["import", "a.json"]])
@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://me:s3cret@127.0.0.1:9/x", "The database cannot be reached: connection failed: "),
        ("postgres//me:s3cret@127.0.0.1:9/x", "The database's address cannot be read. It should look like postgresql"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_in_a_sentence(
    slack: LiveSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], address: str, says: str
) -> None:
    configure(monkeypatch, slack, address, tmp_path)
    said = CliRunner().invoke(command, arguments)
    assert said.exit_code == 1
    assert isinstance(said.exception, SystemExit), said.exception
    assert said.output.startswith(f"brightrun: {says}")
    assert "s3cret" not in said.output


def test_a_pool_does_not_log_an_address_that_it_cannot_read(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidInput, match="cannot be read") as refused:
        PostgresDatabase("postgres//me:s3cret@127.0.0.1:9/x", default_limit_cents=1)
    assert "s3cret" not in str(refused.value) + caplog.text
