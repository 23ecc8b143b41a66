"""The /train form, its review, and reading back what a person chose."""

from __future__ import annotations

from typing import Any

from blocks.review import ACTION_QUOTE, CHECKLIST_ACTION, CHECKLIST_BLOCK, checklist_complete, review, started
from blocks.train_form import ACTION_FILE, ACTION_PRESET, CHANGES, file_options, train_form
from blocks.train_state import read_train_form
from functions import catalog
from functions.model.estimate import InterruptionRecord
from functions.model.job import JobChoice
from functions.model.money import BudgetStatus
from functions.model.training_file import EnrichmentStatus
from functions.model.views import FileOption, TrainFormView
from infra.workspace.elements import complete_state
from tests.unit import block_views as views


def _form(view: TrainFormView) -> dict[str, Any]:
    return train_form(view, metadata="{}")


def _values(view: dict[str, Any]) -> dict[str, Any]:
    """The state that Slack would report of the untouched view."""
    values: dict[str, Any] = complete_state(view["blocks"], {})
    return values


def _texts(view: dict[str, Any]) -> str:
    shown = []
    for block in view["blocks"]:
        shown += [part["text"] for part in (block.get("text"), *block.get("elements", [])) if isinstance(part, dict)]
    return "\n".join(text for text in shown if isinstance(text, str))


def _input(view: dict[str, Any], action: str) -> dict[str, Any]:
    return next(b for b in view["blocks"] if b["type"] == "input" and b["element"]["action_id"] == action)


def test_what_was_chosen_reads_back_the_same() -> None:
    chosen = views.choice(notes="Two\nlines", tags=("production", "q1-acme"))
    assert read_train_form(_values(_form(views.form_view(choice=chosen)))) == chosen


def test_the_form_as_it_opens_reads_as_nothing_chosen() -> None:
    read = read_train_form(_values(_form(views.empty_form_view())))
    assert read == JobChoice(tier="modal-h100", base_model="llama-3-70b")
    assert read_train_form({}) == JobChoice()


def test_texts_are_trimmed_and_tags_made_lower_case_once() -> None:
    values = {
        "a": {"name": {"type": "plain_text_input", "value": "  My run  "}},
        "b": {"tags": {"type": "plain_text_input", "value": "Prod, new-One ,, prod\nother"}},
        "c": {"known_tags": {"selected_options": [{"value": "prod"}]}},
        "d": {"training_file": {"selected_option": None}},
    }
    read = read_train_form(values)
    assert (read.name, read.tags) == ("My run", ("prod", "new-one", "other"))


def test_a_default_preset_follows_the_file_until_somebody_chooses() -> None:
    form = _form(views.form_view(preset_is_default=True))
    values = _values(form)
    assert read_train_form(values).preset == ""
    block_id = _input(form, ACTION_PRESET)["block_id"]
    values[block_id][ACTION_PRESET]["selected_option"] = {"value": "aggressive"}
    assert read_train_form(values).preset == "aggressive"


def test_every_change_of_price_tells_the_bot() -> None:
    form = _form(views.form_view())
    assert all(_input(form, action)["dispatch_action"] for action in CHANGES)
    assert _input(form, ACTION_FILE)["element"]["min_query_length"] == 0


def test_a_suggested_name_gives_way_and_a_typed_one_stays() -> None:
    new = "Elena Morales Financial - Aggressive - 2026-12-16"
    changed = {"suggested_name": new, "revision": "other"}
    before = _input(_form(views.form_view()), "name")
    after = _input(_form(views.form_view(**changed)), "name")
    assert after["element"]["initial_value"] == new
    assert after["block_id"] != before["block_id"]
    typed = views.form_view(choice=views.choice(name="Tax questions, take two"), **changed)
    assert _input(_form(typed), "name")["element"]["initial_value"] == "Tax questions, take two"


def test_a_file_that_may_not_be_used_says_why() -> None:
    reason = "Insufficient conversations: 12 of the 50 needed."
    processing = views.training_file(enrichment_status=EnrichmentStatus.PROCESSING)
    shown = _texts(_form(views.form_view(file=FileOption(file=views.training_file(), reasons=(reason,)))))
    assert "⚠ Cannot be used now" in shown
    assert reason in shown
    waiting = _texts(_form(views.form_view(file=FileOption(file=processing, reasons=("Not checked yet.",)))))
    assert "⏳ Still being checked" in waiting
    option = file_options([FileOption(file=views.training_file(), reasons=(reason,))])["options"][0]
    assert option["description"]["text"] == f"⚠ {reason}"


def test_the_estimate_says_price_time_basis_and_what_is_left() -> None:
    shown = _texts(_form(views.form_view()))
    assert "*About 12 h* (11–14 h)  ·  *$45–55*  ·  ↑ $1.10 from your last choice" in shown
    assert "GPU $45.60 · evaluation $1.50 · interruption buffer $1.98 · storage $0.02" in shown
    assert "Rests on 34 finished runs like this one; the range is ± 10 %." in shown
    assert "Past estimates for Balanced were within ±9 % on average; 11 of 12 runs in 90 days ended in" in shown
    assert "Budget after this: at least $61 of $500 left this month." in shown
    assert "Needs about 66 of 80 GB of GPU memory: fits." in shown


def test_without_history_the_estimate_names_its_source() -> None:
    estimate = views.estimate(history_jobs=0, past_error=None, source="Measured on 2 CPU cores")
    shown = _texts(_form(views.form_view(estimate=estimate)))
    assert "No finished runs like this one yet" in shown
    assert "Measured on 2 CPU cores" in shown


def test_a_budget_that_is_too_small_names_all_three_amounts() -> None:
    poor = BudgetStatus(limit_cents=500_00, spent_cents=480_00, reserved_cents=0)
    shown = _texts(_form(views.form_view(budget=poor)))
    assert "$20 of $500 is left this month; this run would reserve $54.60, $34.60 too much." in shown
    assert "$34.60 too much" in _texts(review(views.review_view(budget=poor, within_budget=False), metadata=""))


def test_a_tier_that_is_not_offered_is_named_with_its_reason() -> None:
    form = _form(views.form_view())
    offered = [option["value"] for option in _input(form, "tier")["element"]["options"]]
    assert offered == ["modal-h100", "modal-h200", "modal-b200", "modal-a100-80gb"]
    assert "Not offered: every GPU at Modal is preemptible." in _texts(form)


def test_the_machine_says_how_its_runs_did() -> None:
    told = "Last 90 days: 19 of 20 runs completed, 3 were interrupted; a recovery took 9 min on average."
    assert told in _texts(_form(views.form_view()))
    assert "Last 90 days" not in _texts(_form(views.form_view(tier_record=None)))
    quiet = InterruptionRecord(runs=1, completed=1)
    assert "1 of 1 run completed, none was interrupted." in _texts(_form(views.form_view(tier_record=quiet)))


def test_the_estimate_is_compared_and_says_what_would_save() -> None:
    shown = _texts(_form(views.form_view()))
    assert "Balanced              12 h    $49.10 ◂" in shown
    assert "Aggressive            20 h    $78.20 does not fit" in shown
    assert "To save: Conservative as the preset, $24.50 less (50 %) · 2 instead of 3 epochs" in shown
    bare = _texts(_form(views.form_view(alternatives=(), tips=())))
    assert "To save" not in bare
    assert "◂" not in bare


def test_the_review_offers_the_estimate_and_says_how_the_download_went() -> None:
    view = review(views.review_view(), metadata="m", note="Made <it>")
    assert [e["action_id"] for b in view["blocks"] if b["type"] == "actions" for e in b["elements"]] == [ACTION_QUOTE]
    assert "Made &lt;it&gt;" in _texts(view)


def test_practice_money_is_called_that() -> None:
    local = views.form_view(
        choice=views.choice(tier="local", base_model="smollm2-135m"),
        tiers=catalog.tiers_of("local"),
        base_models=catalog.models_of("local"),
    )
    form = _form(local)
    assert "*$45–55* practice money" in _texts(form)
    assert "practice money" in _input(form, "tier")["element"]["options"][0]["text"]["text"]
    assert not [b for b in form["blocks"] if b.get("block_id") == "base_model"]


def test_a_preset_without_finished_runs_says_so() -> None:
    shown = _texts(_form(views.form_view(choice=views.choice(preset="conservative"))))
    assert "No finished runs yet" in shown
    assert "96 % of 25 finished runs succeeded" in _texts(_form(views.form_view()))


def test_the_review_shows_every_setting() -> None:
    shown = _texts(review(views.review_view(), metadata=""))
    for setting in ("rank 16", "alpha 32", "dropout 0.1", "learning rate 0.0002", "3 epochs", "batch 2", "down_proj"):
        assert setting in shown
    assert "About 48 conversations (20 %) held out" in shown


def test_only_three_ticks_start_a_run() -> None:
    view = review(views.review_view(), metadata="")
    element = next(b for b in view["blocks"] if b.get("block_id") == CHECKLIST_BLOCK)["element"]
    options = element["options"]
    assert "$45–55" in options[1]["text"]["text"]

    def ticked(number: int) -> dict[str, Any]:
        return {CHECKLIST_BLOCK: {CHECKLIST_ACTION: {"type": "checkboxes", "selected_options": options[:number]}}}

    assert [checklist_complete(ticked(number)) for number in (0, 1, 2, 3)] == [False, False, False, True]
    assert not checklist_complete({})


def test_the_queued_run_says_where_it_will_be_seen() -> None:
    assert "<#C0TRAINING>" in _texts(started(views.job()))
    assert "our direct messages" in _texts(started(views.job(channel_id="D0ELENA")))
