"""A conversation as text by the model's own chat template, and where in it each assistant turn stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jinja2.exceptions import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from functions.errors import InvalidInput
from functions.model.conversation import Message

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
Chat = list[dict[str, str]]


class Rendered(NamedTuple):
    """The text, and for every assistant turn its characters [start, end), end-of-turn token included."""

    text: str
    spans: tuple[tuple[int, int], ...]
    system_end: int


def render(system: str, messages: Sequence[Message], tokenizer: Any) -> Rendered:
    """Render a conversation and find its assistant turns.

    Where the template marks them with {% generation %} the marks are taken; otherwise a turn is what its
    rendering adds to that of the turns before it. Where that fails too, TRL's template for training this model is
    taken instead, if it keeps one.

    Raises:
        InvalidInput: there is no chat template, it refuses the conversation, or it rewrites earlier turns, so
            that neither way finds the assistant's words.
    """
    template = tokenizer.chat_template
    if not isinstance(template, str):
        raise InvalidInput(
            "The base model has no chat template, so conversations cannot be written the way it reads them.",
            fix="Choose the instruct or chat variant of this model.",
        )
    try:
        return _render(system, messages, _Renderer(template, tokenizer))
    except _RewritesTurns:
        known = _training_template(template, tokenizer)
        if known is None:
            raise
    return _render(system, messages, _Renderer(known, tokenizer))


class _RewritesTurns(InvalidInput):
    """The template changes earlier turns as a conversation grows (Qwen 3 takes their thoughts away, for one)."""

    def __init__(self) -> None:
        super().__init__(
            "The base model's chat template changes earlier turns as a conversation grows, so the tokens of "
            "the consultant's turns cannot be told apart.",
            fix="Add {% generation %} … {% endgeneration %} around the assistant's turn in the chat template.",
        )


def _render(system: str, messages: Sequence[Message], render_text: _Renderer) -> Rendered:
    chat, system_turns = _chat(system, messages, render_text)
    marked = render_text.marked(chat) if render_text.marks else None
    assistants = [index for index, turn in enumerate(chat) if turn["role"] == "assistant"]
    if marked is not None and len(marked[1]) == len(assistants):
        text, spans = marked[0], tuple(marked[1])
    else:
        text, spans = _spans_by_prefix(chat, assistants, render_text)
    return Rendered(text, spans, _system_end(chat[:system_turns], text, render_text))


_training_templates: dict[str, str | None] = {}


def _training_template(template: str, tokenizer: Any) -> str | None:
    """TRL's counterpart of a template that cannot be trained with, where TRL keeps one.

    Asked last, and imported only then: the model should read in training what it will read in use, and TRL brings
    data libraries along that take seconds to import.
    """
    if template not in _training_templates:
        from trl.chat_template_utils import get_training_chat_template

        try:
            _training_templates[template] = get_training_chat_template(tokenizer)
        except ValueError:  # it keeps none for this model
            _training_templates[template] = None
    return _training_templates[template]


class _Renderer:
    """One template with the special tokens that it may name."""

    def __init__(self, template: str, tokenizer: Any) -> None:
        self._template = template
        self.marks = _GENERATION.search(template) is not None
        self._tokens = dict(tokenizer.special_tokens_map)

    def __call__(self, chat: Chat, *, prompt: bool = False) -> str:
        texts, _ = self._render(chat, add_generation_prompt=prompt)
        return str(texts[0])

    def marked(self, chat: Chat) -> tuple[str, list[tuple[int, int]]]:
        texts, spans = self._render(chat, return_assistant_tokens_mask=True)
        return str(texts[0]), [(int(start), int(end)) for start, end in spans[0]]

    def _render(self, chat: Chat, **options: bool) -> Any:
        return render_jinja_template([chat], chat_template=self._template, **options, **self._tokens)


def _chat(system: str, messages: Sequence[Message], render_text: _Renderer) -> tuple[Chat, int]:
    """The turns as the template takes them, and how many of them are the system's (0 or 1)."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    with_system = [{"role": "system", "content": system}, *turns] if system else turns
    try:
        render_text(with_system)
    except TemplateError as refusal:
        if not system or not turns or turns[0]["role"] != "user":
            raise _refused(refusal) from refusal
    else:
        return with_system, int(bool(system))
    # Some templates (Gemma's) know no system turn; its words then open the first user turn, as their makers advise.
    folded = [{"role": "user", "content": f"{system}\n\n{turns[0]['content']}"}, *turns[1:]]
    try:
        render_text(folded)
    except TemplateError as refusal:
        raise _refused(refusal) from refusal
    return folded, 0


def _refused(refusal: TemplateError) -> InvalidInput:
    return InvalidInput(
        f"The base model's chat template refuses a conversation: {refusal}.",
        fix="As a rule it wants user and assistant to alternate, the user first.",
    )


def _spans_by_prefix(
    chat: Chat, assistants: Sequence[int], render_text: _Renderer
) -> tuple[str, tuple[tuple[int, int], ...]]:
    text = render_text(chat)
    spans = []
    for index in assistants:
        try:
            before, through = render_text(chat[:index], prompt=True), render_text(chat[: index + 1])
        except TemplateError as refusal:
            raise _refused(refusal) from refusal
        if not (through.startswith(before) and text.startswith(through.rstrip())):
            raise _RewritesTurns
        # A line break between turns belongs to nobody: the model is to stop at its end-of-turn token.
        spans.append((len(before), len(through.rstrip())))
    return text, tuple(spans)


def _system_end(system_turns: Chat, text: str, render_text: _Renderer) -> int:
    """How many characters of the text are the system turn; 0 where the template tells no such beginning."""
    if not system_turns:
        return 0
    try:
        head = render_text(system_turns)
    except TemplateError:
        return 0
    return len(head) if text.startswith(head) else 0
