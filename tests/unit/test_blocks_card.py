"""What a person reads on a run's card, in its thread, and around it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from blocks.again import ACTION_AGAIN
from blocks.card import ACTION_DETAILS, ACTION_DOWNLOAD, ACTION_REPORT, ACTION_RETRY, job_card
from blocks.datasets import ADD_FILE_ACTION, add_form, file_list, import_report
from blocks.download import download_message
from blocks.errors import error_blocks, unexpected_blocks
from blocks.failure import ACTION_RETRY_FIX, best_fix, change_lines
from blocks.help import help_message
from blocks.home import home_view
from blocks.jobs import job_details, job_list
from blocks.milestones import milestone
from functions.errors import NotEligible, TrainingFileInvalid
from functions.model.events import Planned, Stage
from functions.model.money import BudgetStatus
from functions.model.outbox import Notice
from functions.model.people import Person, Role
from functions.model.progress import Progress
from functions.model.states import JobState
from functions.model.views import CardView, FileListView
from tests.unit import block_views as views


def _texts(blocks: list[dict[str, Any]]) -> str:
    shown = []
    for block in blocks:
        shown += [part["text"] for part in (block.get("text"), *block.get("elements", [])) if isinstance(part, dict)]
    return "\n".join(text for text in shown if isinstance(text, str))


def _card(view: CardView) -> str:
    return _texts(job_card(view)[1])


def _actions(blocks: list[dict[str, Any]]) -> list[str]:
    return [e["action_id"] for block in blocks if block["type"] == "actions" for e in block["elements"]]


def test_the_first_two_lines_tell_where_a_run_stands() -> None:
    first, second, *_ = _card(views.card()).splitlines()
    assert first == "*Elena Morales Financial - Balanced - 2026-12-16*  ·  ● Training"
    assert second == "▓▓▓▓▓▓▓░░░░░░░░░░░░  *42 %*   step 850 of 2,000 · epoch 2 of 3"


def test_a_card_in_training_has_stages_trends_money_and_interruptions() -> None:
    shown = _card(views.card())
    assert (
        "✓ Preprocessing 2 min   ✓ Model loading 11 min   ● Training 1 h 23 m of ~12 h   ○ Finalization ~5 min" in shown
    )
    assert "Loss 0.342 ↓ from 0.389   Held-out 0.358 ↓ from 0.412   1,247 tokens/s, faster than expected" in shown
    assert "   GPU 87 % · 58 of 80 GB" in shown
    assert "$22.18 of $45–55   projected $47.32 ($46–53), on track" in shown
    assert "Interrupted 2 times, recovered, 9 min lost" in shown


def test_money_over_the_estimate_is_said() -> None:
    assert "projected $60 ($46–53), $5.40 over the estimate" in _card(views.card(projected_cents=60_00))
    assert "⚠ $70 of $45–55, over the estimate" in _card(views.card(spent_cents=70_00))


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_has_a_card_even_before_anything_was_heard(state: JobState) -> None:
    text, blocks = job_card(views.card(state=state, progress=Progress(), started_at=None))
    assert text.startswith("Elena Morales Financial - Balanced - 2026-12-16: ")
    assert ACTION_DETAILS in _actions(blocks)


def test_a_stage_that_runs_again_after_a_recovery_is_the_one_that_runs() -> None:
    progress = views.progress()
    again = [
        item.model_copy(update={"status": "active", "started_at": views.NOW - timedelta(seconds=40)})
        if item.stage is Stage.MODEL_LOADING
        else item
        for item in progress.stages
    ]
    stages = tuple(
        item.model_copy(update={"finished_at": None}) if item.stage is Stage.MODEL_LOADING else item for item in again
    )
    shown = _card(views.card(state=JobState.LOADING_MODEL, progress=views.progress(stages=stages)))
    assert "● Model loading 40 s of ~11 min   ○ Training ~12 h" in shown


def test_a_completed_run_is_ready_to_download() -> None:
    text, blocks = job_card(views.completed_card())
    assert text.endswith("completed, ✓ Production ready, $48.91")
    assert "*✓ Production ready*  ·  Perplexity 24.5 → 16.8, 31.4 % lower" in _texts(blocks)
    assert _actions(blocks) == [ACTION_DOWNLOAD, ACTION_REPORT, ACTION_DETAILS]
    button = blocks[-1]["elements"][0]
    assert (button["value"], button["style"]) == (str(views.ARTIFACT_ID), "primary")


def test_a_failed_run_says_what_why_and_what_to_do() -> None:
    _, blocks = job_card(views.failed_card())
    shown = _texts(blocks)
    assert shown.splitlines()[1] == "Out of GPU memory at step 12."
    assert "This run needs about 97 GB; the H100 has 80 GB." in shown
    assert "Stopped at step 12 of 2,000, 6 min in, $0.40 spent" in shown
    assert "1. *Batch 4, accumulate 2*  The same result, a little slower. Needs about 70 GB of 80 GB." in shown
    assert "It worked 19 of 20 times." in shown
    assert "No checkpoint was saved yet" in shown
    assert _actions(blocks) == [ACTION_RETRY_FIX, ACTION_RETRY, ACTION_AGAIN, ACTION_DETAILS]
    best, again, *_ = blocks[-1]["elements"]
    assert (best["text"]["text"], best["style"]) == ("Retry: batch 4, accumulate 2", "primary")
    assert best["value"] == f"{views.JOB_ID}:smaller_batch"
    assert (again["text"]["text"], again["value"], "style" in again) == ("Try again…", str(views.JOB_ID), False)
    assert _actions(job_card(views.failed_card(can_retry=False))[1]) == [ACTION_DETAILS]


def test_a_broken_record_is_shown_and_not_tried_again() -> None:
    _, blocks = job_card(views.dataset_card())
    shown = _texts(blocks)
    assert shown.splitlines()[1] == "Conversation conv_abc123 cannot be trained on (line 47, field messages.3.content)."
    assert '"content": 17' in shown
    assert "1. *Mend the record and add the file again*" in shown
    assert _actions(blocks) == [ACTION_DETAILS]


def test_an_unforeseen_failure_shows_its_reference_and_the_last_lines() -> None:
    _, blocks = job_card(views.unknown_card())
    shown = _texts(blocks)
    assert "give this reference: `7f3k9a2b`" in shown
    assert "ZeroDivisionError: division by zero\n```" in shown
    assert _actions(blocks) == [ACTION_RETRY, ACTION_AGAIN, ACTION_DETAILS]


def test_a_fix_is_shown_as_what_it_changes() -> None:
    fix = best_fix(views.failed_card().diagnosis)
    assert fix is not None
    assert change_lines(fix) == ["Batch 8 → 4", "Accumulate 1 → 2"]


def test_what_a_failure_costs_in_steps_is_told_exactly() -> None:
    def kept(step: int) -> str:
        failure = views.FAILURE.model_copy(update={"step": step})
        return _card(views.failed_card(progress=views.progress(failure=failure, checkpoint_step=800)))

    assert "Nothing was lost: the checkpoint of step 800 is kept" in kept(800)
    assert "goes on from there and repeats 40 steps" in kept(840)


def test_practice_money_is_called_that_on_the_card() -> None:
    local = views.configuration(tier="local", base_model="smollm2-135m")
    assert "$22.18 of $45–55 practice money" in _card(views.card(configuration=local))
    assert "practice money" not in _card(views.card())


def _thread(notice: Notice, view: CardView, **data: Any) -> str:
    return _texts(milestone(notice, view, data, None)[1])


def test_milestones_say_each_thing_once() -> None:
    held_out = _thread(Notice.HELD_OUT, views.card(), step=700, loss=0.358)
    assert held_out == "Step 700: held-out loss *0.358* ↓ from 0.412"
    # By the time it is sent a later measurement may be known: its trend is not this one's.
    assert _thread(Notice.HELD_OUT, views.card(), step=400, loss=0.4) == "Step 400: held-out loss *0.400*"
    assert "48 others are held out" in _thread(Notice.STARTED, views.card())
    assert "Everything up to step 600 is saved. It goes on by itself." in _thread(
        Notice.INTERRUPTED, views.card(state=JobState.INTERRUPTED), step=600, cause="SIGINT"
    )
    assert "No automatic recovery is left." in _thread(
        Notice.INTERRUPTED, views.card(state=JobState.INTERRUPTED, recoveries=3), step=600
    )
    assert "after 5 min, from step 600" in _thread(Notice.RECOVERED, views.card(), step=600)
    assert "from the start" in _thread(Notice.RECOVERED, views.card(), step=0)
    assert "31.4 % lower than the base model on 48 held-out" in _thread(Notice.COMPLETED, views.completed_card())
    assert "Failed after 6 min" in _thread(Notice.FAILED, views.failed_card())
    cancelled = _thread(Notice.CANCELLED, views.card(state=JobState.CANCELLED), by="U1", reason="Too expensive")
    assert cancelled == "Cancelled by <@U1>: Too expensive.\nFinal cost $22.18 for 1 h 36 m. Its machine is gone."
    assert "machine" not in _thread(
        Notice.CANCELLED, views.card(state=JobState.CANCELLED, started_at=None, spent_cents=0)
    )
    assert "goes on from the checkpoint of step 800" in _thread(Notice.PAUSED, views.card(state=JobState.PAUSED))
    assert "goes on from step 600" in _thread(Notice.RESUMED, views.card(state=JobState.QUEUED), step=600)


def test_shortened_conversations_are_told_at_the_start() -> None:
    plan = Planned(**{**views.PLAN.model_dump(), "truncated_sequences": 7})
    shown = _thread(Notice.STARTED, views.card(progress=views.progress(plan=plan)))
    assert "⚠ Longer than 4,096 tokens, so split or shortened: 7 pieces." in shown


def test_a_picture_carries_its_figures_as_alt_text() -> None:
    _, blocks = milestone(Notice.HELD_OUT, views.card(), {"step": 700, "loss": 0.358}, "F0CURVE")
    assert blocks[-1]["slack_file"] == {"id": "F0CURVE"}
    assert "up to step 700; the latest held-out loss is 0.358" in blocks[-1]["alt_text"]


def test_the_list_shows_ten_and_how_many_there_are() -> None:
    view = job_list(views.list_view(15))
    rows = [block for block in view["blocks"] if "accessory" in block]
    assert len(rows) == 10
    assert {row["accessory"]["action_id"] for row in rows} == {ACTION_DETAILS}
    assert rows[3]["accessory"]["value"] == str(UUID(int=3))
    assert "The newest 10 of 19 runs." in _texts(view["blocks"])
    assert rows[3]["text"]["text"].endswith("\nBalanced · H100, preemptible · <@U0ELENA>")
    assert "/train" in _texts(job_list(views.list_view(0))["blocks"])


@pytest.mark.parametrize(
    ("expected", "said"),
    [(1300.0, "as expected"), (900.0, "faster than expected"), (2000.0, "slower than the 2,000 expected")],
)
def test_a_speed_is_judged_by_what_the_estimate_rests_on(expected: float, said: str) -> None:
    estimate = views.card().job.estimate.model_copy(update={"tokens_per_second": expected})
    _, blocks = job_card(views.card(estimate=estimate))
    assert f"1,247 tokens/s, {said}   GPU" in _texts(blocks)


def test_the_queue_names_settings_machine_and_who_asked() -> None:
    first = _texts(job_list(views.list_view())["blocks"][:1]).splitlines()
    assert first[1].startswith("1. Elena Morales Financial - Balanced - 2026-12-16, starts about <!date^")
    assert first[2] == "Balanced · H100, preemptible · <@U0ELENA>"


def test_a_run_that_waits_to_go_on_shows_in_lists_and_on_its_card_what_it_has_done() -> None:
    view = views.card(state=JobState.QUEUED, queued=views.queue_entry(), projected_cents=None)
    shown = _card(view)
    assert "*42 %*   goes on from the checkpoint of step 800\n$22.18 of $45–55\nInterrupted 2 times" in shown
    assert "About 9 h to go   Asked by <@U0ELENA>" in shown
    rows = job_list(views.list_view(2))["blocks"]
    assert "42 %  ·  Queued  ·  $22.18" in _texts(rows)
    never_ran = job_card(views.card(state=JobState.CANCELLED, started_at=None, spent_cents=0))[1]
    assert "under 1 s" not in _texts(never_ran)


def test_details_hold_figures_table_log_and_downloads() -> None:
    view = job_details(views.details_view(card=views.completed_card()))
    shown = _texts(view["blocks"])
    for part in ("rank 16", "Held-out loss 0.358", "2.100", "step 850", "Acme Financial", "Tax questions"):
        assert part in shown
    assert [b["accessory"]["action_id"] for b in view["blocks"] if "accessory" in b] == [ACTION_DOWNLOAD]
    assert ACTION_RETRY in _actions(job_details(views.details_view(card=views.failed_card()))["blocks"])


def test_home_shows_the_gauge_with_what_is_reserved() -> None:
    shown = _texts(home_view(views.home_view_data())["blocks"])
    assert "*$115.60* of $500 left\n▓▓▓▓▓▓▓▓▓▓▓▓▓▒▒▒░░░░  77 % used" in shown
    over = BudgetStatus(limit_cents=100, spent_cents=250, reserved_cents=0)
    assert "⚠ $1.50 over the limit" in _texts(home_view(views.home_view_data(budget=over))["blocks"])
    viewer = Person(team_id="T", user_id="U0VIC", role=Role.VIEWER)
    blocks = home_view(views.home_view_data(person=viewer))["blocks"]
    assert [e["text"]["text"] for e in blocks[0]["elements"]] == ["Training files", "All runs", "Budget"]


def test_training_files_are_listed_with_what_decides() -> None:
    shown = _texts(file_list(views.file_list_view("Insufficient conversations: 12 of the 50 needed."))["blocks"])
    assert "⚠ Cannot be used now" in shown
    assert "12 of the 50 needed" in shown
    looking = file_list(FileListView(files=(), may_import=False))["blocks"]
    assert not _actions(looking)
    assert "can add files" in _texts(looking)
    element = next(b for b in add_form()["blocks"] if b["type"] == "input")["element"]
    assert (element["action_id"], element["filetypes"]) == (ADD_FILE_ACTION, ["json", "jsonl"])


def test_the_import_report_shows_what_merging_saves() -> None:
    shown = _texts(import_report(views.import_view(), metadata="{}")["blocks"])
    assert "2.1 times fewer tokens than one sequence per pair" in shown
    assert "3,011 records, 1,444 of them client turns" in shown
    refused = _texts(import_report(views.import_view(reasons=("Too few.",)), metadata="{}")["blocks"])
    assert "• Too few." in refused


def test_a_link_says_how_long_it_works() -> None:
    _, blocks = download_message(
        views.artifact(), url="https://files.example.com/a.zip?sig=1", expires_at=views.NOW, downloads=2
    )
    assert blocks[1]["elements"][0]["url"] == "https://files.example.com/a.zip?sig=1"
    shown = _texts(blocks)
    assert "The link works until <!date^" in shown
    assert "2 downloads so far." in shown
    assert "README.txt" in shown


def test_errors_say_what_is_wrong_where_and_what_to_do() -> None:
    error = TrainingFileInvalid(
        "This file cannot be imported.",
        problems=[f"Record {n} has no input." for n in range(12)],
        where="elena.json",
        fix="Mend the records.",
    )
    shown = _texts(error_blocks(error))
    assert "*This file cannot be imported.* (elena.json)" in shown
    assert "• Record 9 has no input.\n… and 2 more." in shown
    assert "Mend the records." in shown
    # A reason that the sentence holds already is not said again.
    assert "•" not in _texts(error_blocks(NotEligible("Not now. Too few.", reasons=("Too few.",))))
    assert "7F3K" in _texts(unexpected_blocks("7F3K"))
    assert "/datasets" in _texts(help_message()[1])
