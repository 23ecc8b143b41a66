"""/datasets: the training files, adding one, what its check found."""

from __future__ import annotations

from blocks import file_facts as facts
from blocks.text import (
    Block,
    View,
    actions,
    bold,
    bounded,
    button,
    context,
    divider,
    input_block,
    modal,
    safe,
    section,
)
from blocks.units import count, file_size, when
from functions.model.training_file import MINIMUM_CONVERSATIONS, TrainingFile
from functions.model.views import FileListView, FileOption, ImportReport

TITLE = "Training files"
LIST_CALLBACK = "dataset_list"
ADD_CALLBACK = "dataset_add"
CONFIRM_CALLBACK = "dataset_confirm"
ACTION_ADD = "dataset_add_open"
ADD_FILE_ACTION = "dataset_file"
_FILE_BLOCK = "dataset_file_block"
_FILES_SHOWN = 30


def file_list(view: FileListView) -> View:
    """The team's files, each with what decides whether it may be trained on."""
    blocks: list[Block] = []
    if view.may_import:
        blocks.append(actions(button("Add training file", ACTION_ADD, style="primary")))
    blocks += [section(_row(option)) for option in view.files[:_FILES_SHOWN]]
    if not view.files:
        way = "Add the first one with the button above." if view.may_import else "Ask a member of the team to add one."
        blocks.append(section(f"No training file yet. {way}"))
    elif len(view.files) > _FILES_SHOWN:
        blocks.append(context(f"The first {_FILES_SHOWN} of {len(view.files):,} files."))
    if not view.may_import:
        blocks.append(context("Your role lets you look, not add. A member, manager or admin can add files."))
    return modal(TITLE, blocks, callback_id=LIST_CALLBACK)


def _row(option: FileOption) -> str:
    file = option.file
    lines = [
        f"{bold(file.name, 120)}  ·  {facts.readiness(option)}",
        facts.summary(file),
        *facts.refusals(option),
    ]
    return bounded(lines, 1500)


def add_form() -> View:
    """Where the file is put in."""
    element: Block = {
        "type": "file_input",
        "action_id": ADD_FILE_ACTION,
        "filetypes": ["json", "jsonl"],
        "max_files": 1,
    }
    blocks = [
        input_block(
            _FILE_BLOCK,
            "File with conversations",
            element,
            hint="A Bright Run export (.json or .jsonl), or one conversation with its turns on each line (.jsonl).",
        ),
        context(
            f"Every record is checked and you see what was found before anything is added. "
            f"A run needs at least {MINIMUM_CONVERSATIONS} conversations."
        ),
    ]
    return modal("Add training file", blocks, callback_id=ADD_CALLBACK, submit="Check file")


def import_report(report: ImportReport, *, metadata: str) -> View:
    """What the check found, to be confirmed. A file that may not be trained on can still be kept."""
    stats = report.file.stats
    head = f"{bold(report.name, 150)}\n{facts.counts(stats)} · {file_size(report.size_bytes)}"
    blocks = [section(head), *_obstacles(report), divider(), section(_found(report))]
    if report.warnings:
        blocks.append(section(bounded([f"⚠ {safe(warning, 300)}" for warning in report.warnings], 2500)))
    if report.replaces:
        blocks.append(context(f"Takes the place of {safe(report.replaces, 150)}."))
    blocks.append(context(f"From {safe(report.file_name, 150)}. Nothing is stored yet."))
    return modal(
        "Check result", blocks, callback_id=CONFIRM_CALLBACK, submit="Add to training files", metadata=metadata
    )


def _obstacles(report: ImportReport) -> list[Block]:
    if not report.reasons:
        return [section("✓ *Ready for training*")]
    lines = [f"• {safe(reason, 300)}" for reason in report.reasons]
    return [section(bounded(["⚠ *It can be added, but not trained on yet*", *lines]))]


def _found(report: ImportReport) -> str:
    stats = report.file.stats
    scores = stats.quality
    lines = [facts.quality(scores), facts.quality_parts(scores), *facts.scaffolding(stats)]
    lines.append(facts.tokens(stats.tokens))
    saving = facts.saving(stats.tokens)
    if saving:
        lines.append(f"Each conversation is told once: {saving}")
    if stats.records != stats.training_pairs:
        others = stats.records - stats.training_pairs
        lines.append(f"{count(stats.records, 'record')}, {max(0, others):,} of them client turns that are only context")
    return bounded(lines)


def added(file: TrainingFile) -> View:
    """Stored. It stands where the check's result stood, above the list."""
    blocks = [
        section(f"✓ {bold(file.name, 150)} is one of the team's training files now."),
        section(f"{facts.summary(file)}\nType `/train` to start a run with it."),
        context(f"Added {when(file.created_at)}"),
    ]
    return modal(TITLE, blocks, callback_id=LIST_CALLBACK, close="Done", ends=True)
