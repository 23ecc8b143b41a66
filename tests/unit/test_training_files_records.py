"""What records say: which are trained on, which are refused, and how the person is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.errors import TrainingFileInvalid
from functions.model.training_file import FileFormat
from functions.training_files import ParsedTrainingFile, describe, read_training_file


def turn(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


def lines(*records: object) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def pair(target: object, history: object = (), given: object = "Hello?", **more: Any) -> dict[str, Any]:
    return {
        "conversation_id": "c1",
        "turn_number": 1,
        "system_prompt": "Be kind.",
        "conversation_history": list(history) if isinstance(history, tuple) else history,
        "current_user_input": given,
        "target_response": target,
        **more,
    }


def v4(*conversations: tuple[str, list[Any]], **metadata: Any) -> bytes:
    return json.dumps(
        {
            "training_file_metadata": metadata,
            "conversations": [
                {
                    "conversation_metadata": {
                        "conversation_id": name,
                        "scaffolding": {"persona_key": "planner", "emotional_arc_key": "up"},
                    },
                    "training_pairs": pairs,
                }
                for name, pairs in conversations
            ],
        },
        indent=1,
    ).encode()


def read(data: bytes, file_name: str = "my_file.jsonl") -> ParsedTrainingFile:
    return read_training_file(data, file_name=file_name)


def problems(data: bytes) -> tuple[str, ...]:
    with pytest.raises(TrainingFileInvalid) as caught:
        read(data)
    return caught.value.problems


def told(parsed: ParsedTrainingFile) -> list[list[tuple[str, bool]]]:
    return [[(m.content, m.trainable) for m in sequence.messages] for sequence in parsed.sequences]


HELLO = turn("user", "Hello?")
TALK = [HELLO, turn("assistant", "Hi."), turn("user", "Help."), turn("assistant", "Sure.")]


class TestTurns:
    def test_every_reply_is_trained_on(self) -> None:
        parsed = read(lines({"messages": [turn("system", "Be kind."), *TALK, turn("user", "Bye.")]}))
        assert parsed.format is FileFormat.TURNS
        assert parsed.sequences[0].system == "Be kind."
        assert told(parsed) == [[("Hello?", False), ("Hi.", True), ("Help.", False), ("Sure.", True)]]
        assert (parsed.conversations, parsed.records, parsed.training_pairs) == (1, 1, 2)
        assert parsed.sequences[0].conversation_id == "line-1"

    def test_other_exporters_names_for_speakers_are_read(self) -> None:
        shared = {"conversations": [{"from": "human", "value": "Hello?"}, {"from": "gpt", "value": "Hi."}]}
        assert told(read(lines(shared, {"turns": TALK}))) == [
            [("Hello?", False), ("Hi.", True)],
            [("Hello?", False), ("Hi.", True), ("Help.", False), ("Sure.", True)],
        ]

    def test_a_conversation_without_reply_is_left_out_and_said(self) -> None:
        parsed = read(lines({"conversation_id": "mute", "turns": [HELLO]}, {"turns": TALK}))
        assert parsed.conversations == 1
        assert parsed.records == 2
        assert any('1 conversation without a reply to learn from left out: "mute"' in w for w in parsed.warnings)

    def test_a_file_without_any_reply_is_refused(self) -> None:
        assert "reply to learn from" in problems(lines({"turns": [HELLO]}))[0]

    def test_turns_of_one_speaker_in_a_row_are_joined_and_said(self) -> None:
        parsed = read(lines({"turns": [HELLO, turn("user", "Anyone?"), *TALK[1:]]}))
        assert told(parsed)[0][:2] == [("Hello?\n\nAnyone?", False), ("Hi.", True)]
        assert any(w.startswith("1 turn joined") for w in parsed.warnings)

    @pytest.mark.parametrize(
        ("turns", "where", "what"),
        [
            ([turn("assistant", "Welcome!"), *TALK], "turns[0]", "before the user has said anything"),
            ([HELLO, turn("tool", "x")], "turns[1].role", "must be user or assistant"),
            ([HELLO, turn("system", "x")], "turns[1].role", "system only first"),
            ([{"content": "x"}], "turns[0].role", "is missing"),
            ([turn("user", "  ")], "turns[0].content", "is empty"),
            ([turn("user", None)], "turns[0].content", "missing or null"),
            ([turn("user", 7)], "turns[0].content", "is a number, not text"),
            ([turn("user", [{"type": "text"}])], "turns[0].content", "is a list, not text"),
            ([turn("user", "a\x00b")], "turns[0].content", "null character"),
            ([turn("user", "a\ud83db")], "turns[0].content", "half of a character"),
            (["Hello"], "turns[0]", "is text, not an object"),
            ("Hello", "turns", "is text, not a list"),
            ([], "turns", "empty list"),
            ([HELLO] * 1_001, "turns", "1,001 turns"),
        ],
    )
    def test_a_turn_that_cannot_be_used_is_located(self, turns: object, where: str, what: str) -> None:
        (problem,) = problems(lines({"turns": TALK}, {"conversation_id": "c2", "turns": turns}))
        assert problem.startswith(f'Line 2, conversation "c2", {where}: ')
        assert what in problem

    def test_the_same_id_twice_names_both_lines(self) -> None:
        (problem,) = problems(lines(*[{"conversation_id": 5, "turns": TALK}] * 2))
        assert 'Line 2, conversation "5"' in problem
        assert "line 1" in problem

    def test_a_field_named_twice_is_refused(self) -> None:
        (problem,) = problems(b'{"turns": [{"role": "user", "content": "a", "content": "b"}]}')
        assert 'turns[0]: names the field "content" twice' in problem

    def test_records_are_shown_short_and_printable(self) -> None:
        (problem,) = problems(lines({"turns": "\x1b[31m\u202e" + "long " * 500, "x": {"y": [[[[1]]]]}}))
        shown = problem.split("It reads: ")[1]
        assert len(shown) <= 200
        assert shown.isprintable()

    def test_a_foreign_line_between_good_ones_is_located(self) -> None:
        found = problems(lines({"turns": TALK}) + b"\nnot json\n\n[1]\n")
        assert [problem.split(":")[0] for problem in found] == ["Line 2", "Line 4"]

    def test_a_foreign_first_line_does_not_hide_the_format(self) -> None:
        found = problems(b"# exported on Monday\n" + lines({"turns": TALK}))
        assert len(found) == 1
        assert found[0].startswith("Line 1: is not JSON")


class TestBrightRun:
    def test_client_turns_without_target_are_no_errors(self) -> None:
        parsed = read(v4(("a", [pair(None), pair("Hi.", (HELLO,))])))
        assert parsed.format is FileFormat.BRIGHTRUN_V4
        assert (parsed.records, parsed.training_pairs) == (2, 1)
        assert parsed.warnings == ()

    def test_an_input_that_the_history_ends_with_is_said_once(self) -> None:
        parsed = read(v4(("a", [pair("Hi.", (turn("user", "Hello? "),))])))
        assert told(parsed) == [[("Hello?", False), ("Hi.", True)]]

    def test_an_input_that_the_history_lacks_is_added(self) -> None:
        parsed = read(lines(pair("Sure.", tuple(TALK[:2]), "Help.")))
        assert told(parsed) == [[("Hello?", False), ("Hi.", False), ("Help.", False), ("Sure.", True)]]

    def test_a_history_may_stand_for_a_missing_input(self) -> None:
        assert told(read(lines(pair("Hi.", (HELLO,), None)))) == [[("Hello?", False), ("Hi.", True)]]

    def test_a_conversation_is_told_once_whatever_the_order_of_its_lines(self) -> None:
        first, second = pair("Hi."), pair("Sure.", tuple(TALK[:3]), "Help.", turn_number=2)
        other = pair("Yes.", conversation_id="c2")
        parsed = read(lines({"_meta": {"file_name": "Spring batch"}}, second, other, first))
        assert parsed.format is FileFormat.BRIGHTRUN_V5
        assert parsed.name == "Spring batch"
        assert told(parsed) == [
            [("Hello?", False), ("Hi.", True), ("Help.", False), ("Sure.", True)],
            [("Hello?", False), ("Yes.", True)],
        ]

    def test_histories_that_disagree_are_told_apart_and_said(self) -> None:
        altered = (HELLO, turn("assistant", "Other words."), turn("user", "Help."))
        parsed = read(lines(pair("Hi."), pair("Sure.", altered, "Help.")))
        assert told(parsed) == [
            [("Hello?", False), ("Hi.", True)],
            [("Hello?", False), ("Other words.", False), ("Help.", False), ("Sure.", True)],
        ]
        assert parsed.conversations == 1
        assert any("histories disagree" in warning for warning in parsed.warnings)

    def test_a_record_repeated_word_for_word_is_used_once(self) -> None:
        parsed = read(lines(pair("Hi."), pair("Hi.")))
        assert (parsed.records, parsed.training_pairs) == (2, 1)
        assert any("repeated word for word" in warning for warning in parsed.warnings)

    def test_the_conversations_own_id_rules_over_the_records(self) -> None:
        parsed = read(v4(("a", [pair("Hi.")]), ("b", [pair("Ho.")])))
        assert [sequence.conversation_id for sequence in parsed.sequences] == ["a", "b"]
        assert parsed.personas == {"planner": 2}
        assert parsed.topics == {"unspecified": 2}

    def test_two_conversations_of_one_id_are_refused(self) -> None:
        (problem,) = problems(v4(("a", [pair("Hi.")]), ("a", [pair("Ho.")])))
        assert problem.startswith('conversations[1].conversation_metadata.conversation_id: "a" was used by')
        assert "conversations[0]" in problem

    @pytest.mark.parametrize(
        ("record", "field", "what"),
        [
            (pair(""), "target_response", "is empty"),
            (pair(["x"]), "target_response", "is a list, not text"),
            (pair("x", given=None), "current_user_input", "missing or null"),
            (pair("x", given={}), "current_user_input", "is an object"),
            (pair("x", history="abc"), "conversation_history", "is text, not a list"),
            (pair("x", ({"role": "user"},)), "conversation_history[0].content", "missing"),
            (pair("x", (turn("assistant", "y"),)), "conversation_history[0]", "before the user"),
            (pair("x", system_prompt=4), "system_prompt", "is a number"),
            (pair("x", turn_number="two"), "turn_number", "is text, not a number"),
            ({"current_user_input": "x"}, "target_response", "is missing"),
        ],
    )
    def test_a_record_that_cannot_be_used_is_located(self, record: Any, field: str, what: str) -> None:
        (problem,) = problems(v4(("a", [pair("Hi."), record])))
        assert problem.startswith(f'conversations[0].training_pairs[1], conversation "a", {field}: ')
        assert what in problem
        (problem,) = problems(lines(pair("Hi."), {"conversation_id": "c1", **record}))
        assert problem.startswith(f'Line 2, conversation "c1", {field}: ')

    def test_conversations_of_another_shape_are_located(self) -> None:
        document = {"conversations": [{"training_pairs": []}, 3, {"conversation_metadata": {}}]}
        found = problems(json.dumps(document).encode())
        assert [problem.split(":")[0] for problem in found] == [
            "conversations[0].conversation_metadata",
            "conversations[1]",
            "conversations[2].conversation_metadata.conversation_id",
        ]

    def test_a_header_that_announces_more_is_said(self) -> None:
        parsed = read(v4(("a", [pair("Hi.")]), total_conversations=3, total_training_pairs=1))
        assert parsed.warnings == ("The file's header announces 3 conversations, the file holds 1: was it cut short?",)

    def test_scores_are_means_over_trainable_pairs_from_1_to_5(self) -> None:
        def scored(target: str | None, score: object, empathy: object = None, reviewed: bool = False) -> Any:
            criteria = {"empathy_score": empathy}
            metadata = {"quality_score": score, "quality_criteria": criteria, "human_reviewed": reviewed}
            return pair(target, training_metadata=metadata)

        huge = 10**400
        records = [scored("a", 4, 3.5, True), scored("b", 5), scored(None, 1), scored("c", 9), scored("d", huge)]
        parsed = read(lines(*records))
        assert (parsed.quality.average, parsed.quality.lowest, parsed.quality.highest) == (4.5, 4, 5)
        assert parsed.quality.empathy == 3.5
        assert parsed.quality.clarity is None
        assert parsed.quality.human_reviewed == 1
        assert any(warning.startswith("2 quality scores not between") for warning in parsed.warnings)

    def test_not_a_number_reads_as_missing(self) -> None:
        nan = json.dumps(pair(None)).replace('"target_response": null', '"target_response": NaN')
        parsed = read(lines(pair("Hi.")) + b"\n" + nan.encode())
        assert (parsed.records, parsed.training_pairs) == (2, 1)


def test_describe_hands_on_what_was_counted() -> None:
    stats = describe(read(v4(("a", [pair(None), pair("Hi.")]))), None)
    assert (stats.conversations, stats.records, stats.training_pairs, stats.sequences) == (1, 2, 1, 1)
    assert stats.personas == {"planner": 1}
    assert stats.tokens is None


@pytest.mark.parametrize(
    ("own", "file_name", "name"),
    [
        ("Batch 6- 12\u0007 conversations #1", "x.json", "Batch 6- 12 conversations #1"),
        ("", "C:\\data\\spring_batch_2.jsonl", "spring batch 2"),
        ("  ", "spring-batch.json", "spring-batch"),
        (None, ".jsonl", "Training file"),
        ("x" * 300, "y", "x" * 79 + "…"),
    ],
)
def test_a_file_gets_a_name_fit_for_people(own: Any, file_name: str, name: str) -> None:
    assert read(v4(("a", [pair("Hi.")]), file_name=own), file_name).name == name
