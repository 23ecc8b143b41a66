// Interactive elements of Block Kit: everything but the selects and the file input, which have modules of
// their own. `ctx` is the container they live in: {key, container, kind}. `data-action-id` sits on the
// control itself (button, input, textarea) or, for composite controls, on their outermost node.

import { cls, h, safeUrl } from './dom.js';
import { icon } from './icons.js';
import { dispatch, isPending } from './actions.js';
import { change, ids, labelling, reports } from './controls.js';
import { closePopover, popover, textObject } from './dialogs.js';
import { valueOf, write } from './values.js';
import { select } from './combobox.js';
import { fileInput } from './fileinput.js';
import { openAddress } from './navigate.js';

const TYPING_PAUSE_MS = 350;

/** Draw one element; an unknown type gives a visible note. */
export function element(ctx, block, one) {
  const make = MAKERS[one.type];
  return make ? make(ctx, block, one) : h('span', { class: 'unknown', 'data-testid': 'unknown-element' }, `“${one.type}” elements are not shown here`);
}

function button(ctx, block, one) {
  const pending = isPending(ctx, block, one);
  const style = one.style === 'primary' || one.style === 'danger' ? one.style : null;
  const href = one.url && safeUrl(one.url);
  const press = () => {
    if (href && !openAddress(href)) window.open(href, '_blank', 'noopener');
    dispatch(ctx, block, one, { type: 'button', value: one.value, text: one.text });
  };
  const props = {
    class: cls('button', style, pending && 'is-pending'), type: 'button', 'aria-label': one.accessibility_label,
    ...ids(ctx, block, one), 'data-value': one.value, 'data-url': href, on: { click: press },
  };
  return h('button', props, h('span', { class: 'button-label' }, textObject(one.text), href && icon('window', 14)), h('span', { class: 'spinner', 'aria-hidden': 'true' }));
}

function overflow(ctx, block, one) {
  const choose = (option) => {
    closePopover();
    const href = option.url && safeUrl(option.url);
    if (href && !openAddress(href)) window.open(href, '_blank', 'noopener');
    dispatch(ctx, block, one, { type: 'overflow', selected_option: option });
  };
  const toggle = h('button', {
    class: cls('button overflow', isPending(ctx, block, one) && 'is-pending'), type: 'button', 'aria-haspopup': 'menu', 'aria-label': 'More actions',
    ...ids(ctx, block, one),
  }, h('span', { class: 'button-label' }, icon('more', 18)), h('span', { class: 'spinner', 'aria-hidden': 'true' }));
  const item = (option) => h('button', { class: 'menu-item', type: 'button', role: 'menuitem', 'data-value': option.value, on: { click: () => choose(option) } },
    h('span', null, textObject(option.text)), option.description && h('span', { class: 'menu-note' }, textObject(option.description)));
  toggle.addEventListener('click', () => {
    const menu = h('div', { class: 'menu', role: 'menu', 'data-testid': 'overflow-menu', on: { keydown: moveInMenu } }, (one.options || []).map(item));
    popover(toggle, menu, { alignRight: true, minWidth: 180 });
    menu.querySelector('button')?.focus();
  });
  return toggle;
}

/** Arrow keys inside a menu of buttons. */
export function moveInMenu(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...event.currentTarget.querySelectorAll('[role^=menuitem]')];
  const at = items.indexOf(document.activeElement);
  items[(at + step + items.length) % items.length]?.focus();
}

const TEXT_KINDS = { plain_text_input: 'text', number_input: 'text', email_text_input: 'email', url_text_input: 'url' };

function textInput(ctx, block, one) {
  const current = valueOf(ctx.key, block, one) ?? '';
  const wait = one.dispatch_action_config?.trigger_actions_on || ['on_enter_pressed'];
  let timer = null;
  const tell = () => {
    clearTimeout(timer);
    dispatch(ctx, block, one, { type: one.type, value: valueOf(ctx.key, block, one) });
  };
  const input = () => {
    write(ctx.key, block, one, field.value || null);
    ctx.onChange?.(block);
    counter?.update();
    if (!reports(block) || !wait.includes('on_character_entered')) return;
    clearTimeout(timer);
    timer = setTimeout(tell, TYPING_PAUSE_MS);
  };
  const keydown = (event) => {
    if (event.key !== 'Enter' || event.isComposing || (one.multiline && !event.metaKey && !event.ctrlKey)) return;
    if (reports(block) && wait.includes('on_enter_pressed')) tell();
    else ctx.onEnter?.();
    event.preventDefault();
  };
  const field = h(one.multiline ? 'textarea' : 'input', {
    class: 'field', type: one.multiline ? null : TEXT_KINDS[one.type], rows: one.multiline ? 4 : null,
    inputmode: one.type === 'number_input' ? 'decimal' : null, placeholder: one.placeholder?.text, autocomplete: 'off', spellcheck: one.type === 'plain_text_input' ? null : 'false',
    ...ids(ctx, block, one), ...labelling(ctx, block), value: current, on: { input, keydown },
  });
  if (one.focus_on_load) field.dataset.autofocus = 'true';
  const counter = one.max_length && one.max_length <= 3000 ? characterCounter(field, one.max_length) : null;
  return counter ? h('div', { class: 'counted' }, field, counter.node) : field;
}

// Slack shows what is left once it matters, and lets people overshoot: the view then refuses to submit.
function characterCounter(field, limit) {
  const node = h('span', { class: 'counter', 'data-testid': 'counter', 'aria-live': 'polite' });
  const update = () => {
    const left = limit - field.value.length;
    node.textContent = left;
    node.classList.toggle('is-over', left < 0);
    node.hidden = left > Math.max(20, limit * 0.5) && !field.value;
  };
  update();
  return { node, update };
}

function choices(ctx, block, one) {
  const many = one.type === 'checkboxes';
  const name = `${ctx.key}|${block.block_id}|${one.action_id}`;
  const chosen = valueOf(ctx.key, block, one);
  const isOn = (option) => (many ? chosen.some((other) => other.value === option.value) : chosen?.value === option.value);
  const changed = () => {
    const on = [...group.querySelectorAll('input')].map((box, index) => box.checked && one.options[index]).filter(Boolean);
    change(ctx, block, one, many ? on : on[0] || null);
  };
  const option = (choice) => h('label', { class: 'choice' },
    h('input', { type: many ? 'checkbox' : 'radio', name, value: choice.value, checked: isOn(choice), 'data-focus-key': `${name}|${choice.value}`, on: { change: changed } }),
    h('span', { class: 'choice-text' }, h('span', { class: 'choice-label' }, textObject(choice.text)),
      choice.description && h('span', { class: 'choice-note' }, textObject(choice.description))));
  const group = h('div', { class: 'choices', role: many ? 'group' : 'radiogroup', 'data-action-id': one.action_id, ...labelling(ctx, block) }, one.options.map(option));
  return group;
}

function native(type, toValue, fromValue) {
  return (ctx, block, one) => {
    const current = valueOf(ctx.key, block, one);
    return h('input', {
      class: 'field field-date', type, value: current === null ? '' : fromValue(current), ...ids(ctx, block, one), ...labelling(ctx, block),
      on: { change: (event) => change(ctx, block, one, event.target.value ? toValue(event.target.value) : null) },
    });
  };
}

const same = (value) => value;

// Seconds since the epoch <-> the local form of a datetime-local input.
const toLocal = (seconds) => {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

function feedback(ctx, block, one) {
  const side = (choice, label) => h('button', { class: 'button small', type: 'button', 'data-value': choice.value, 'aria-label': choice.accessibility_label || label,
    on: { click: () => dispatch(ctx, block, one, { type: 'feedback_buttons', value: choice.value }) } }, textObject(choice.text));
  return h('span', { class: 'feedback', 'data-action-id': one.action_id }, side(one.positive_button, 'Good'), side(one.negative_button, 'Bad'));
}

const MAKERS = {
  button,
  workflow_button: button,
  overflow,
  plain_text_input: textInput,
  number_input: textInput,
  email_text_input: textInput,
  url_text_input: textInput,
  radio_buttons: choices,
  checkboxes: choices,
  datepicker: native('date', same, same),
  timepicker: native('time', same, same),
  datetimepicker: native('datetime-local', (text) => Math.floor(new Date(text).getTime() / 1000), toLocal),
  file_input: fileInput,
  feedback_buttons: feedback,
};
for (const type of ['static_select', 'external_select', 'users_select', 'conversations_select', 'channels_select']) {
  MAKERS[type] = select;
  MAKERS[`multi_${type}`] = select;
}
