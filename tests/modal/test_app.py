"""The app as it is deployed, what is refused before it is, and the service's own containers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import modal
import pytest
from modal_proto import api_pb2 as pb
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr
from typer.testing import CliRunner

from functions import catalog
from functions.errors import InvalidInput
from functions.model.money import EntryKind
from functions.model.people import Role
from infra.cli import app as command
from infra.doctor import examine
from infra.modal.billing import BillComparison, Verdict, compare_bills
from infra.modal.limits import require_known_gpu, require_service, require_trainer, synchronous
from infra.modal.names import Names
from infra.modal.service import create_web_app, require_settings, run_loops
from infra.modal.verdict import examine_modal
from infra.postgres.database import PostgresDatabase
from infra.settings import Settings
from tests.logins import GROUPS, create_logins, url_as
from tests.modal.conftest import SECRETS, Cloud, deploy, store_model
from tests.scenario.bot_house import BOT_TOKEN
from tests.scenario.house import TEAM, SetClock, job_of, start
from tests.scenario.house import add_demo_file as add_file
from tests.scenario.stage import CHANNEL, SECRET, SIGNING_SECRET, staged
from tests.serving import served
from tests.supabase.conftest import Project, project  # noqa: F401 - a fixture
from tests.supabase.storage_server import SERVICE_KEY

DAY = datetime(2026, 11, 20, tzinfo=UTC)


def _info(cloud: Cloud, name: str) -> Any:
    return modal.Function.from_name("brightrun", name, client=cloud.client).info()


def test_what_is_deployed(cloud: Cloud) -> None:
    train, web, tick = (_info(cloud, name) for name in ("train", "web", "tick"))

    tier = catalog.tier("modal-h100")
    assert [gpu for gpu, _ in train.gpus] == [tier.gpu, *tier.fallbacks]
    assert (train.timeout, train.max_retries, train.single_use_containers) == (86_400, 2, True)
    assert not train.secrets
    root = cloud.settings.modal_mount_root
    assert {path: mount.read_only for path, mount in train.volumes.items()} == {
        f"{root}/runs": False,
        f"{root}/models": True,
    }
    for service in (web, tick):
        assert service.nonpreemptible
        assert not service.gpus
        assert len(service.secrets) == 1
    assert tick.schedule == "Cron('* * * * *', UTC)"
    data = next(data for data in cloud.plane.state.data.values() if data.function_name == "web")
    assert data.ranked_functions[0].function.autoscaler_settings.min_containers == 1


def test_the_trainers_image_has_no_secret_and_its_own_names(cloud: Cloud) -> None:
    deployed = list(cloud.plane.state.functions.values())
    # Calls of it with options of their own may be there as well; they have its image.
    train = next(function for function in deployed if function.single_use_containers)
    (tick,) = (function for function in deployed if function.function_name == "tick")

    environment = cloud.plane.state.environment_of(train)

    assert not SECRETS.keys() & environment.keys()
    assert environment["BRIGHTRUN_MODAL_MOUNT_ROOT"] == cloud.settings.modal_mount_root
    service = cloud.plane.state.environment_of(tick)
    assert service["BRIGHTRUN_COMPUTE"] == "modal"
    assert service.items() >= SECRETS.items()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"timeout": 25 * 3600}, "after 24 hours"),
        ({"retries": 11}, "at most 10 times"),
        ({"gpu": "H1000"}, "no GPU called 'H1000:1'"),
        ({"gpu": None}, "has no GPU"),
        ({"single_use_containers": False}, "fresh process"),
        ({"secrets": [modal.Secret.from_dict({"A": "b"})]}, "its job's token and nothing else"),
        ({"nonpreemptible": True}, "taken away"),
    ],
)
def test_what_modal_would_only_refuse_later_is_refused_at_import(wrong: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"gpu": "H100", "timeout": 86_400, "retries": 2, "single_use_containers": True}
    app = modal.App("wrong", include_source=False)

    def made(options: dict[str, Any]) -> Any:
        return app.function(serialized=True, **options)(lambda: None).info()

    require_trainer(made(good))
    with pytest.raises(InvalidInput, match=says):
        require_trainer(made(good | wrong))
    with pytest.raises(InvalidInput, match="not taken away"):
        require_service(made(good), "web")


def test_an_async_trainer_is_refused() -> None:
    async def train() -> None:
        return None

    with pytest.raises(InvalidInput, match="must not be async"):
        synchronous(train)
    for name in ("H100:0", "H100:two", "h100"):
        with pytest.raises(InvalidInput):
            require_known_gpu(name)
    require_known_gpu("H100!:8")


def test_fallbacks_hold_what_was_quoted() -> None:
    for tier in catalog.tiers_of("modal"):
        assert bool(tier.fallbacks) == bool(tier.fallbacks_source)
        for gpu in (tier.gpu, *tier.fallbacks):
            require_known_gpu(gpu)


def _configure(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, folder: Path, **values: str) -> None:
    given = {
        "DATA_DIR": str(folder / "service"),
        "SECRET": SECRET,
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "PUBLIC_URL": "https://brightrun.example.com",
        "COMPUTE": "modal",
        "MODAL_APP": "probe",
        "RECONCILE_SECONDS": "0.2",
    }
    for name, value in (given | values).items():
        monkeypatch.setenv(f"BRIGHTRUN_{name}", value)
    monkeypatch.setenv("MODAL_TOKEN_ID", "ak-test")
    monkeypatch.setenv("MODAL_TOKEN_SECRET", "as-test")


def _logins(database_url: str) -> dict[str, str]:
    """The logins of the processes; the owner's address is not among them."""
    create_logins(database_url)
    return {
        f"{name}_DATABASE_URL": url_as(database_url, group)
        for name, group in zip(("BOT", "FUNCTIONS", "INGEST"), GROUPS, strict=True)
    }


@pytest.fixture
def living_there(
    db: PostgresDatabase,
    database_url: str,
    tmp_path: Path,
    project: Project,  # noqa: F811 - the fixture of that name
) -> Iterator[Settings]:
    """What the service's containers are given where the bot lives at Modal."""
    urls: dict[str, Any] = {name.lower(): SecretStr(url) for name, url in _logins(database_url).items()}
    with staged(db, tmp_path, files=project.files) as stage:
        yield Settings(
            _env_file=None,
            data_dir=tmp_path / "service",
            secret=SecretStr(SECRET),
            slack_bot_token=SecretStr(BOT_TOKEN),
            slack_signing_secret=SecretStr(SIGNING_SECRET),
            slack_api_url=f"{stage.workspace.api_url}/",
            public_url="https://brightrun.example.com",
            supabase_url=project.url,
            supabase_service_key=SecretStr(SERVICE_KEY),
            compute="modal",
            modal_app="probe",
            reconcile_seconds=0.2,
            **urls,
        )


def test_the_services_containers_answer_and_keep_things_going(
    cloud: Cloud,
    db: PostgresDatabase,
    database_url: str,
    tmp_path: Path,
    demo_file: Path,
    project: Project,  # noqa: F811 - the fixture of that name
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with staged(db, tmp_path, files=project.files) as stage:
        _configure(
            cloud,
            monkeypatch,
            tmp_path,
            **_logins(database_url),
            SLACK_API_URL=f"{stage.workspace.api_url}/",
            SUPABASE_URL=project.url,
            SUPABASE_SERVICE_KEY=SERVICE_KEY,
        )
        clock = SetClock()
        job = start(db, stage.files, add_file(db, stage.files, demo_file, clock), clock, tier="local")
        with db.transaction() as tx:
            changed = job.configuration.model_copy(update={"tier": "modal-h100"})
            tx.jobs._run("update training_jobs set configuration = %s where id = %s", changed.model_dump_json(), job.id)
        before = set(cloud.plane.state.calls)

        run_loops(4.0)

        assert len(set(cloud.plane.state.calls) - before) >= 1
        assert job_of(db, job.id).attempt >= 1
        assert any("A run" in str(message) for message in stage.client.all_messages(CHANNEL))
        with served(create_web_app()) as url:
            assert httpx.get(f"{url}/health").json() == {"ok": True}
            assert httpx.post(f"{url}/slack/events", content=b"{}").status_code == 401
            assert httpx.post(f"{url}/ingest/{job.id}/events", content=b"{}").status_code == 401


def test_a_container_without_its_settings_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="BRIGHTRUN_SECRET, BRIGHTRUN_SLACK_BOT_TOKEN"):
        require_settings(Settings(_env_file=None))


def test_without_the_service_the_gpu_function_is_all_there_is(cloud: Cloud, tmp_path: Path) -> None:
    alone = cloud.settings.model_copy(
        update={"modal_app": "alone", "modal_secret": "never-made", "modal_service": False}
    )
    deploy(cloud.plane.url, alone, "-m", "infra.modal.app")

    state = cloud.plane.state
    assert set(state.layouts[state.apps["alone"]].function_ids) == {"train"}
    assert set(state.layouts[state.apps[cloud.settings.modal_app]].function_ids) == {"train", "web", "tick"}


def test_a_container_asks_for_each_login_also_where_it_is_given_the_owners() -> None:
    wanted = "BRIGHTRUN_BOT_DATABASE_URL, BRIGHTRUN_FUNCTIONS_DATABASE_URL, BRIGHTRUN_INGEST_DATABASE_URL"
    with pytest.raises(InvalidInput, match=f"lacks {wanted}, BRIGHTRUN_SECRET"):
        require_settings(Settings(_env_file=None, database_url=SecretStr("postgresql://owner")))


def test_no_container_is_the_owner_of_the_tables(living_there: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    opened = PostgresDatabase.__init__

    def remember(self: PostgresDatabase, url: str, **given: Any) -> None:
        opened(self, url, **given)
        seen.add(str(conninfo_to_dict(url)["user"]).removesuffix("_login"))

    monkeypatch.setattr("infra.modal.service.read_settings", lambda: living_there)
    monkeypatch.setattr(PostgresDatabase, "__init__", remember)

    create_web_app()
    assert seen == {"brightrun_ingest", "brightrun_bot"}
    seen.clear()
    run_loops(0.1)
    assert seen == {"brightrun_functions", "brightrun_bot"}


def test_the_roles_in_the_settings_are_given_where_the_bot_lives_at_modal(
    db: PostgresDatabase, living_there: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"admins": ("U0FIRST", "U0CHOSEN"), "managers": ("U0SECOND",), "viewers": ("U0THIRD",)}
    entries = {field: tuple(f"{TEAM}:{user}" for user in users) for field, users in named.items()}
    monkeypatch.setattr("infra.modal.service.read_settings", lambda: living_there.model_copy(update=entries))
    with db.transaction() as tx:
        tx.people.set_role(TEAM, "U0CHOSEN", Role.MEMBER, by="U0SOMEBODY")

    for _ in range(2):  # every minute anew
        run_loops(0.1)

    with db.transaction() as tx:
        roles = tx.people.roles(TEAM)
    assert (roles["U0FIRST"], roles["U0SECOND"], roles["U0THIRD"]) == (Role.ADMIN, Role.MANAGER, Role.VIEWER)
    assert roles["U0CHOSEN"] is Role.MEMBER  # an admin said so in Slack


def test_the_doctor_on_modal(cloud: Cloud) -> None:
    settings = cloud.settings.model_copy(update={"public_url": "https://brightrun.example.com"})
    store_model(cloud)

    verdict = examine_modal(settings, client=cloud.client)
    assert verdict.ok
    assert verdict.detail.startswith("brightrun is deployed on H100; base models there: ")
    assert "modal run -m infra.modal.models --model" in verdict.detail

    cloud.plane.state.volume("empty").live.mkdir(parents=True, exist_ok=True)
    empty = examine_modal(settings.model_copy(update={"modal_models_volume": "empty"}), client=cloud.client)
    assert not empty.ok
    assert "no base model is stored there" in empty.detail
    assert "modal run -m infra.modal.models --model" in empty.detail
    without = examine_modal(settings.model_copy(update={"modal_secret": "unmade"}), client=cloud.client)
    assert not without.ok
    assert "the secret unmade is missing" in without.detail

    inside = examine_modal(cloud.settings, client=cloud.client)
    assert not inside.ok
    assert "BRIGHTRUN_PUBLIC_URL" in inside.detail
    elsewhere = examine_modal(settings.model_copy(update={"modal_app": "nowhere"}), client=cloud.client)
    assert not elsewhere.ok
    assert "modal deploy -m infra.modal.app" in elsewhere.detail


def test_the_doctor_names_modal_only_where_it_is_chosen(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)

    assert "Compute" in {finding.name for finding in examine(settings)}
    findings = {f.name: f for f in examine(settings.model_copy(update={"compute": "modal"}))}
    assert findings["Modal"].broken


def _bill(cost: str, by_resource: dict[str, str], app: str = "brightrun") -> pb.WorkspaceBillingReportItem:
    item = pb.WorkspaceBillingReportItem(object_id="ap-1", description=app, cost=cost, cost_by_resource=by_resource)
    item.interval.FromDatetime(DAY)
    return item


def test_the_bill_is_compared_with_what_was_charged(
    cloud: Cloud, db: PostgresDatabase, database_url: str, tmp_path: Path, demo_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    names = Names.of(cloud.settings)

    def compared(end: datetime = DAY + timedelta(days=1)) -> BillComparison:
        return compare_bills(names, database_url, start=DAY, end=end, client=cloud.client)

    with staged(db, tmp_path) as stage:
        clock = SetClock(DAY)
        job = start(db, stage.files, add_file(db, stage.files, demo_file, clock), clock)
    with db.transaction() as tx:
        tx.jobs._run("update training_jobs set tier = 'modal-h100' where id = %s", job.id)
        tx.ledger.append(
            team_id=TEAM, job_id=job.id, kind=EntryKind.SETTLE, cents=395, at=DAY + timedelta(hours=3), key="s"
        )

    without = compared()
    assert (without.verdict, without.charged_cents, without.difference_cents) == (Verdict.NO_REPORT, 395, None)
    assert "Team or Enterprise plan" in without.detail
    _configure(cloud, monkeypatch, tmp_path, DATABASE_URL=database_url)
    said = CliRunner().invoke(command, ["bill", "--days", "90"])
    assert (said.exit_code, "no report. This Modal plan has no billing report" in said.output) == (0, True), said.output
    monkeypatch.setenv("BRIGHTRUN_COMPUTE", "local")
    assert "nobody bills for it" in CliRunner().invoke(command, ["bill"]).output

    ours = _bill("5.00", {"H100": "3.95", "CPU": "0.80", "Memory": "0.25"})
    monkeypatch.setattr(cloud.plane.api, "bill", [ours, _bill("99", {"H100": "99"}, app="another")])
    same = compared()
    assert (same.verdict, same.modal_cents, same.modal_gpu_cents) == (Verdict.AGREES, 500, 395)

    monkeypatch.setattr(cloud.plane.api, "bill", [_bill(str(Decimal("4.54")), {"H200": "4.54"})])
    dearer = compared()
    assert (dearer.verdict, dearer.difference_cents) == (Verdict.DIFFERS, 59)
    assert "rates.json" in dearer.detail
    with pytest.raises(InvalidInput):
        compared(end=DAY)
