"""Block elements: buttons, menus, pickers, inputs and the small image."""

from __future__ import annotations

import re
from collections.abc import Mapping

from infra.workspace.limits import _element_rules as rules
from infra.workspace.limits._core import (
    Check,
    Rule,
    Shape,
    array,
    boolean,
    exactly_one,
    integer,
    one_of,
    string,
)
from infra.workspace.limits._objects import (
    choice_option,
    confirm,
    conversation_filter,
    dispatch_action_config,
    fetched_url,
    identifier,
    link,
    menu_option,
    option_group,
    overflow_option,
    placeholder,
    plain,
    slack_file,
    style,
    workflow,
)
from infra.workspace.limits._rich_text import rich_text

_NUMERIC = string(
    pattern=re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?"), means="a number written as a string"
)
_label = string(75)
_focus: dict[str, Check] = {"focus_on_load": boolean}
_prompt: dict[str, Check] = {"placeholder": placeholder, **_focus}
_typed: dict[str, Check] = {"dispatch_action_config": dispatch_action_config, **_prompt}
_menu: dict[str, Check] = {"confirm": confirm, **_prompt}
_multi: dict[str, Check] = {"max_selected_items": integer(1), **_menu}


def _element(
    kind: str,
    required: Mapping[str, Check],
    optional: Mapping[str, Check],
    *element_rules: Rule,
) -> tuple[str, Shape]:
    article = "an" if kind[0] in "aeiou" else "a"
    known = {"action_id": identifier, **optional}
    return kind, Shape(
        f"{article} {kind}",
        {"type": one_of(kind), **required},
        {key: check for key, check in known.items() if key not in required},
        element_rules,
    )


image = Shape(
    "an image element",
    {"type": one_of("image"), "alt_text": string(2000)},
    {"image_url": fetched_url(), "slack_file": slack_file},
    (exactly_one("image_url", "slack_file"),),
)

_feedback_button = Shape(
    "a feedback button",
    {"text": plain(75), "value": string(2000)},
    {"accessibility_label": _label},
)

_BUTTONS = (
    _element(
        "button",
        {"text": plain(75)},
        {
            "url": link(),
            "value": string(2000),
            "style": style,
            "confirm": confirm,
            "accessibility_label": _label,
            "agent_prompt": string(4000),
            "agent_prompt_display": string(),
        },
        rules.needs("agent_prompt_display", "agent_prompt"),
    ),
    _element(
        "workflow_button",
        {"text": plain(75), "workflow": workflow, "action_id": identifier},
        {"style": style, "confirm": confirm, "accessibility_label": _label},
    ),
    _element(
        "overflow",
        {"options": array(overflow_option, 1, 5)},
        {"confirm": confirm},
    ),
    _element(
        "feedback_buttons",
        {"positive_button": _feedback_button, "negative_button": _feedback_button},
        {},
    ),
    _element(
        "icon_button",
        {"icon": one_of("trash"), "text": plain(3000)},
        {
            "value": string(2000),
            "confirm": confirm,
            "accessibility_label": _label,
            "visible_to_user_ids": array(string(), 0, 10),
        },
    ),
)

_option_lists: dict[str, Check] = {
    "options": array(menu_option, 1, 100),
    "option_groups": array(option_group, 1, 100),
}
_external: dict[str, Check] = {"min_query_length": integer(0)}
_conversation: dict[str, Check] = {
    "default_to_current_conversation": boolean,
    "filter": conversation_filter,
}
_ids = array(string())

_MENUS = (
    _element(
        "static_select",
        {},
        {**_option_lists, "initial_option": menu_option, **_menu},
        exactly_one("options", "option_groups"),
        rules.initial_option_is_offered,
    ),
    _element("external_select", {}, {**_external, "initial_option": menu_option, **_menu}),
    _element("users_select", {}, {"initial_user": string(), **_menu}),
    _element(
        "conversations_select",
        {},
        {"initial_conversation": string(), "response_url_enabled": boolean, **_conversation, **_menu},
    ),
    _element("channels_select", {}, {"initial_channel": string(), "response_url_enabled": boolean, **_menu}),
    _element(
        "multi_static_select",
        {},
        {**_option_lists, "initial_options": array(menu_option, 1), **_multi},
        exactly_one("options", "option_groups"),
        rules.initial_options_are_offered,
        rules.at_most_selected("initial_options"),
    ),
    _element(
        "multi_external_select",
        {},
        {**_external, "initial_options": array(menu_option, 1), **_multi},
        rules.at_most_selected("initial_options"),
    ),
    _element(
        "multi_users_select",
        {},
        {"initial_users": _ids, **_multi},
        rules.at_most_selected("initial_users"),
    ),
    _element(
        "multi_conversations_select",
        {},
        {"initial_conversations": _ids, **_conversation, **_multi},
        rules.at_most_selected("initial_conversations"),
    ),
    _element(
        "multi_channels_select",
        {},
        {"initial_channels": _ids, **_multi},
        rules.at_most_selected("initial_channels"),
    ),
)

_CHOICES = (
    _element(
        "radio_buttons",
        {"options": array(choice_option, 1, 10)},
        {"initial_option": choice_option, "confirm": confirm, **_focus},
        rules.initial_option_is_offered,
    ),
    _element(
        "checkboxes",
        {"options": array(choice_option, 1, 10)},
        {"initial_options": array(choice_option, 1), "confirm": confirm, **_focus},
        rules.initial_options_are_offered,
    ),
    _element("datepicker", {}, {"initial_date": rules.calendar_date, **_menu}),
    _element(
        "timepicker",
        {},
        {
            "initial_time": string(pattern=re.compile(r"([01]\d|2[0-3]):[0-5]\d"), means="a time of day (HH:mm)"),
            "timezone": string(),
            **_menu,
        },
    ),
    _element(
        "datetimepicker",
        {},
        {"initial_date_time": integer(1_000_000_000, 9_999_999_999), "confirm": confirm, **_focus},
    ),
)

_INPUTS = (
    _element(
        "plain_text_input",
        {},
        {
            "initial_value": string(3000, 0),
            "multiline": boolean,
            "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
            **_typed,
        },
        rules.length_bounds,
    ),
    _element(
        "number_input",
        {"is_decimal_allowed": boolean},
        {"initial_value": _NUMERIC, "min_value": _NUMERIC, "max_value": _NUMERIC, **_typed},
        rules.number_bounds,
    ),
    _element("email_text_input", {}, {"initial_value": string(), **_typed}),
    _element("url_text_input", {}, {"initial_value": link(), **_typed}),
    _element("file_input", {}, {"filetypes": array(string(), 1), "max_files": integer(1, 10)}),
    _element(
        "rich_text_input",
        {"action_id": identifier},
        {
            "initial_value": rich_text,
            "min_lines": integer(1, 100),
            "max_lines": integer(1, 100),
            **_typed,
        },
        rules.ordered("min_lines", "max_lines"),
    ),
)

ELEMENTS: dict[str, Check] = {
    "image": image,
    **dict(_BUTTONS),
    **dict(_MENUS),
    **dict(_CHOICES),
    **dict(_INPUTS),
}
"""Every element by its `type`."""

MENUS_AND_PICKERS = frozenset(
    {
        *(kind for kind, _ in _MENUS),
        "radio_buttons",
        "checkboxes",
        "datepicker",
        "timepicker",
    }
)
IN_SECTION = MENUS_AND_PICKERS | {"button", "workflow_button", "overflow", "image"}
IN_ACTIONS = MENUS_AND_PICKERS | {"button", "workflow_button", "overflow", "datetimepicker"}
IN_INPUT = MENUS_AND_PICKERS | {"datetimepicker", *(kind for kind, _ in _INPUTS)}
IN_CONTEXT_ACTIONS = frozenset({"feedback_buttons", "icon_button"})
