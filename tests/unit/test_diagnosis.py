"""A failure's explanation: the numbers that cause it, and fixes that do help by the model that explains it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import catalog
from functions.diagnosis import diagnose, memory_needs
from functions.errors import Conflict
from functions.fixes import apply_fix, helps, settings_of
from functions.model.diagnosis import Change, Diagnosis, FailureCode, FailureHistory, Fix, SuggestionRecord
from functions.model.events import Failed, FailedRecord
from functions.model.job import Configuration
from functions.model.states import JobState
from functions.model.training_file import TrainingFile
from tests.unit import block_views as views

LENGTHS = (*(1_000,) * 235, *(3_000,) * 5, 3_739, 9_000)


def configuration(**settings: Any) -> Configuration:
    """Balanced on an H100, but for `settings`."""
    base = views.configuration()
    given = {name: settings.pop(name) for name in list(settings) if name in Configuration.model_fields}
    changed = base.hyperparameters.model_copy(update=settings)
    return base.model_copy(update={"hyperparameters": changed, **given})


def long_file() -> TrainingFile:
    """242 conversations, seven of them longer than 2,048 tokens."""
    tokens = views.stats().tokens
    assert tokens is not None
    tokens = tokens.model_copy(update={"longest": 9_000, "lengths": LENGTHS})
    return views.training_file(stats=views.stats(tokens=tokens))


def failed(code: str, of: Configuration, history: FailureHistory | None = None, **failure: Any) -> Diagnosis:
    """The diagnosis of a job that failed so."""
    file = long_file()
    told = Failed(**{"code": code, "what": "It failed.", "step": 12, **failure})
    job = views.job(
        configuration=of,
        state=JobState.FAILED,
        ended_at=views.NOW,
        progress=views.progress(failure=told),
    )
    machine = 24 * views.GIB
    return diagnose(
        job, file=file, memory_need=memory_needs(file, machine_bytes=machine), history=history or FailureHistory()
    )


def test_out_of_memory_is_explained_by_the_estimate_and_mended_by_what_fits() -> None:
    too_much = configuration(batch_size=8, rank=32, gradient_accumulation_steps=1)
    told = failed("out_of_memory", too_much)
    assert told.problem == "Out of GPU memory at step 12."
    assert told.memory is not None
    assert not told.memory.fits
    assert told.cause.startswith(f"This run needs about {told.memory.total / 2**30:.0f} GB; the H100 has 80 GB.")
    assert "batch 8 at 4,096 tokens" in told.cause
    best = told.fixes[0]
    assert (best.key, best.label) == ("smaller_batch", "Batch 4, accumulate 2")
    mended = apply_fix(too_much, best)
    assert (mended.hyperparameters.batch_size, mended.hyperparameters.gradient_accumulation_steps) == (4, 2)
    cut = told.fix("shorter")
    assert cut is not None
    assert cut.label == "Sequences of 2,048 tokens"
    assert cut.why.startswith("7 of 242 conversations are longer and would be split between turns.")


@given(
    batch=st.sampled_from([1, 2, 3, 4, 8, 16, 32]),
    accumulation=st.integers(1, 8),
    rank=st.sampled_from([8, 16, 32, 64, 256]),
    length=st.sampled_from([512, 1000, 2048, 4096, 8192]),
    model=st.sampled_from(["smollm2-135m", "llama-3-8b", "llama-3-70b"]),
    tier=st.sampled_from(["modal-h100", "local"]),
)
def test_every_memory_fix_fits_by_the_model_that_explains_the_failure(
    batch: int, accumulation: int, rank: int, length: int, model: str, tier: str
) -> None:
    before = configuration(
        batch_size=batch,
        gradient_accumulation_steps=accumulation,
        rank=rank,
        alpha=2 * rank,
        max_length=length,
        base_model=model,
        tier=tier,
    )
    need = memory_needs(long_file(), machine_bytes=24 * views.GIB)
    for fix in failed("out_of_memory", before).fixes:
        after = apply_fix(before, fix)
        assert helps(need(before), need(after)), fix
        assert need(after).fits
        assert after != before
        effective = after.hyperparameters.batch_size * after.hyperparameters.gradient_accumulation_steps
        assert effective >= batch * accumulation
        assert {change.name: change.after for change in fix.changes}.items() <= settings_of(after).items()


def test_where_the_model_was_too_low_a_fix_must_take_off_a_clear_part() -> None:
    fits = configuration(base_model="llama-3-8b", batch_size=4)
    told = failed("out_of_memory", fits, memory_bytes=79 * views.GIB)
    assert "By our reckoning it needs about" in told.cause
    assert "yet it ran out while it held 79 GB." in told.cause
    assert told.fixes[0].key == "smaller_batch"
    assert "lower_rank" not in {fix.key for fix in told.fixes}  # a few hundred megabytes of many gigabytes


def test_a_fix_that_mostly_failed_comes_after_the_others() -> None:
    too_much = configuration(batch_size=8, rank=32, gradient_accumulation_steps=1)
    record = {"smaller_batch": SuggestionRecord(tried=4, worked=1), "shorter": SuggestionRecord(tried=20, worked=19)}
    told = failed("out_of_memory", too_much, FailureHistory(suggestions=record))
    assert told.fixes[-1].key == "smaller_batch"
    cut = told.fix("shorter")
    assert cut is not None
    assert (cut.worked, cut.tried) == (19, 20)


def test_a_fix_for_other_settings_is_refused() -> None:
    fix = failed("nan_loss", configuration()).fixes[0]
    assert fix.changes[0].name == "learning_rate"
    with pytest.raises(Conflict, match="learning_rate"):
        apply_fix(configuration(learning_rate=0.5), fix)


def test_a_dataset_error_names_conversation_field_and_record() -> None:
    record = FailedRecord(
        line=47,
        conversation_id="conv_abc123",
        field="messages.3.content",
        problem="Input should be a valid string.",
        sample='{"conversation_id": "conv_abc123"}',
        persona="anxious_investor",
    )
    told = failed("dataset_format", configuration(), record=record)
    assert told.problem == "Conversation conv_abc123 cannot be trained on (line 47, field messages.3.content)."
    assert told.cause == "Input should be a valid string. It is about anxious_investor."
    assert told.record == record
    assert not told.again


def test_a_run_that_was_too_long_is_told_that_its_rest_fits_from_the_checkpoint() -> None:
    told = failed("timeout", configuration(), limit_seconds=83 * 60 * 1.7)
    assert told.problem.startswith("Stopped at step 12: it ran longer than its limit of 2 h 21 min.")
    assert [fix.label for fix in told.fixes] == ["Try again: it goes on from step 800"]


def test_nothing_free_offers_other_tiers_that_are_sold_and_later() -> None:
    told = failed("no_capacity", configuration(), why="Tried 13 times in 60 min.")
    assert told.problem == "No H100 was free (H100, preemptible)."
    assert told.fixes[-1].key == "later"
    assert all(catalog.tier(fix.key.removeprefix("tier:")).offered for fix in told.fixes[:-1])


def test_a_gated_model_offers_one_that_is_open() -> None:
    told = failed("model_gated", configuration())
    assert told.fixes[0].key == "model:llama-3-8b"
    after = apply_fix(configuration(), told.fixes[0])
    assert after.base_model == "llama-3-8b"
    assert after.hyperparameters.learning_rate > configuration().hyperparameters.learning_rate
    assert told.fixes[-1].label == "Accept the licence on the model's page"


@pytest.mark.parametrize("code", [*FailureCode, "of tomorrow"])
def test_every_failure_has_a_sentence_a_label_that_fits_and_no_loose_ends(code: str) -> None:
    told = failed(code, configuration(), why="Why.", fixes=("Do this: " + "and that " * 20,), reference="7f3k")
    assert told.problem.endswith(".")
    assert told.reference == "7f3k"
    assert all(0 < len(fix.label) <= 75 for fix in told.fixes)
    assert len({fix.key for fix in told.fixes}) == len(told.fixes)


def test_a_run_that_never_said_why_is_explained_too() -> None:
    job = views.job(state=JobState.FAILED, progress=views.progress(failure=None))
    need = memory_needs(None, machine_bytes=None)
    told = diagnose(job, file=None, memory_need=need, history=FailureHistory())
    assert told.problem == "Something unforeseen stopped the run at step 850."


def test_changes_name_only_known_settings() -> None:
    wrong = Fix(key="x", label="x", changes=(Change(name="colour", before=1, after=2),))
    with pytest.raises(Conflict):
        apply_fix(configuration(), wrong)
