// All selects as one combobox: a field to type in, chips for multi selects, a list that filters or asks the
// app (external selects). Keyboard: arrows, Enter, Escape, Backspace on an empty multi field.

import { cls, h } from './dom.js';
import { icon } from './icons.js';
import { api } from './api.js';
import { withEmoji } from './emoji.js';
import { isPending } from './actions.js';
import { closePopover, popover, replacePopover, textObject } from './dialogs.js';
import { isMany, valueOf } from './values.js';
import { change, ids, labelling } from './controls.js';
import { state } from './state.js';

const ASK_PAUSE_MS = 220;
const DEFAULT_MIN_QUERY = 3;
let counter = 0;

const personOption = (one) => ({ value: one.id, text: { type: 'plain_text', text: one.name }, note: one.title });
const placeOption = (one) => ({ value: one.id, text: { type: 'plain_text', text: one.kind === 'channel' ? `#${one.name}` : one.name } });

// users/conversations selects store ids, the others whole options.
const storesIds = (element) => /users|conversations|channels/.test(element.type);

function localOptions(element) {
  if (/users/.test(element.type)) return state.users.map(personOption);
  if (/channels/.test(element.type)) return state.channels.filter((one) => one.kind === 'channel').map(placeOption);
  if (/conversations/.test(element.type)) return state.channels.filter((one) => one.kind !== 'app_home').map(placeOption);
  return null;
}

const groupsOf = (answer) => answer.option_groups || [{ options: answer.options || [] }];
const labelOf = (option) => withEmoji(option.text.text);

/** Draw any kind of select. */
export function select(ctx, block, element) {
  return new Combobox(ctx, block, element).root;
}

class Combobox {
  constructor(ctx, block, element) {
    Object.assign(this, { ctx, block, element, many: isMany(element), external: /external/.test(element.type), active: -1, shown: [], listId: `list-${counter += 1}` });
    this.input = h('input', {
      class: 'select-input', type: 'text', role: 'combobox', autocomplete: 'off', spellcheck: 'false', 'aria-expanded': 'false', 'aria-autocomplete': 'list', 'aria-controls': this.listId,
      'data-focus-key': ids(ctx, block, element)['data-focus-key'], ...labelling(ctx, block),
      on: { input: () => this.typed(), keydown: (event) => this.key(event), blur: () => this.left() },
    });
    if (element.focus_on_load) this.input.dataset.autofocus = 'true';
    this.chips = h('span', { class: 'chips' });
    this.root = h('div', {
      class: cls('select', this.many && 'select-many', isPending(ctx, block, element) && 'is-pending'), 'data-action-id': element.action_id, 'data-type': element.type,
      on: { mousedown: (event) => this.pressed(event) },
    }, this.chips, this.input, this.clearButton(), h('span', { class: 'spinner', 'aria-hidden': 'true' }), icon('chevron', 16));
    this.paint();
  }

  clearButton() {
    if (this.many || this.block.type !== 'input' || !this.block.optional) return null;
    this.clear = h('button', { class: 'select-clear', type: 'button', 'aria-label': 'Clear', tabindex: '-1', on: { click: () => { this.store([]); closePopover(); } } }, icon('close', 14));
    return this.clear;
  }

  /** The chosen options, as options, whatever the element stores. */
  get chosen() {
    const value = valueOf(this.ctx.key, this.block, this.element);
    const list = this.many ? value : [value].filter(Boolean);
    if (!storesIds(this.element)) return list;
    const known = localOptions(this.element);
    return list.map((id) => known.find((option) => option.value === id) || { value: id, text: { type: 'plain_text', text: id } });
  }

  paint() {
    const chosen = this.chosen;
    this.chips.replaceChildren(...(this.many ? chosen.map((option) => this.chip(option)) : []));
    this.input.value = this.many ? '' : chosen.map(labelOf).join('');
    this.input.placeholder = chosen.length ? '' : this.element.placeholder?.text || (this.many ? 'Select options' : 'Select an option');
    this.root.classList.toggle('has-value', chosen.length > 0);
    this.root.dataset.value = chosen.map((option) => option.value).join(',');
    if (this.clear) this.clear.hidden = chosen.length === 0;
  }

  chip(option) {
    const remove = () => this.store(this.chosen.filter((other) => other.value !== option.value));
    return h('span', { class: 'chip', 'data-value': option.value }, labelOf(option),
      h('button', { type: 'button', tabindex: '-1', 'aria-label': `Remove ${labelOf(option)}`, on: { click: remove } }, icon('close', 12)));
  }

  store(options) {
    const plain = options.map(({ note, ...option }) => option);
    const values = storesIds(this.element) ? options.map((option) => option.value) : plain;
    change(this.ctx, this.block, this.element, this.many ? values : values[0] ?? null);
    this.paint();
  }

  pressed(event) {
    if (event.target.closest('.chip, .select-clear')) return;
    if (event.target !== this.input) event.preventDefault();
    this.input.focus();
    if (this.isOpen) closePopover();
    else this.open('');
    if (!this.many) this.input.select();
  }

  typed() {
    this.open(this.input.value);
  }

  left() {
    if (!this.isOpen) this.paint();
  }

  open(query) {
    if (!this.isOpen) {
      this.list = h('div', { class: 'options', role: 'listbox', id: this.listId, 'data-testid': 'options', 'aria-multiselectable': this.many ? 'true' : null, on: { mousedown: (event) => event.preventDefault() } });
      this.isOpen = true;
      this.input.setAttribute('aria-expanded', 'true');
      this.root.classList.add('is-open');
      popover(this.root, this.list, { onClose: () => this.closed() });
    }
    this.load(query);
  }

  closed() {
    this.isOpen = false;
    clearTimeout(this.timer);
    this.input.setAttribute('aria-expanded', 'false');
    this.input.removeAttribute('aria-activedescendant');
    this.root.classList.remove('is-open');
    this.paint();
  }

  load(query) {
    if (!this.external) {
      const local = localOptions(this.element);
      this.fill(filter(local ? [{ options: local }] : groupsOf(this.element), query));
      return;
    }
    clearTimeout(this.timer);
    const least = this.element.min_query_length ?? DEFAULT_MIN_QUERY;
    if (query.length < least) {
      this.note(`Type ${least === 1 ? 'a character' : `at least ${least} characters`} to search`);
      return;
    }
    if (!this.shown.length) this.note('Loading…');
    this.timer = setTimeout(() => this.ask(query), query ? ASK_PAUSE_MS : 0);
  }

  async ask(query) {
    const asked = (this.asked = (this.asked || 0) + 1);
    const answer = await api.options({ container: this.ctx.container, block_id: this.block.block_id, action_id: this.element.action_id, value: query });
    if (asked !== this.asked || !this.isOpen) return; // a newer question is under way
    if (answer.ok) this.fill(groupsOf(answer));
    else this.note(answer.error || 'The options could not be loaded');
  }

  note(text) {
    this.shown = [];
    this.list.replaceChildren(h('div', { class: 'options-note' }, text));
    replacePopover();
  }

  fill(groups) {
    this.shown = [];
    const picked = new Set(this.chosen.map((option) => option.value));
    const nodes = groups.filter((group) => group.options?.length).flatMap((group) => [
      group.label && h('div', { class: 'options-group' }, textObject(group.label)),
      ...group.options.map((option) => this.row(option, picked.has(option.value))),
    ]);
    if (!this.shown.length) return this.note('Nothing matches');
    this.list.replaceChildren(...nodes.filter(Boolean));
    const first = this.shown.findIndex(({ option }) => picked.has(option.value));
    this.highlight(this.many || first < 0 ? 0 : first);
    replacePopover();
    return undefined;
  }

  row(option, picked) {
    const index = this.shown.length;
    const note = option.description || option.note;
    const node = h('div', {
      class: cls('option', picked && 'is-picked'), role: 'option', id: `${this.listId}-${index}`, 'aria-selected': String(picked), 'data-value': option.value,
      on: { click: () => this.choose(option), mousemove: () => this.highlight(index, false) },
    }, h('span', { class: 'option-text' }, h('span', { class: 'option-label' }, textObject(option.text)), note && h('span', { class: 'option-note' }, textObject(note))), picked && icon('check', 16));
    this.shown.push({ option, node });
    return node;
  }

  highlight(index, scroll = true) {
    this.shown[this.active]?.node.classList.remove('is-active');
    this.active = index;
    const node = this.shown[index]?.node;
    node?.classList.add('is-active');
    if (node) this.input.setAttribute('aria-activedescendant', node.id);
    if (scroll) node?.scrollIntoView({ block: 'nearest' });
  }

  choose(option) {
    const chosen = this.chosen;
    const has = chosen.some((other) => other.value === option.value);
    if (!this.many) {
      closePopover();
      if (!has) this.store([option]);
      return;
    }
    const limit = this.element.max_selected_items;
    if (!has && limit && chosen.length >= limit) {
      this.note(`At most ${limit} can be chosen`);
      return;
    }
    this.store(has ? chosen.filter((other) => other.value !== option.value) : [...chosen, option]);
    this.load('');
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!this.isOpen) this.open('');
      else if (this.shown.length) this.highlight((this.active + step + this.shown.length) % this.shown.length);
    } else if (event.key === 'Enter' && this.isOpen && !event.isComposing) {
      event.preventDefault();
      if (this.shown[this.active]) this.choose(this.shown[this.active].option);
    } else if (event.key === 'Tab') {
      closePopover();
    } else if (event.key === 'Backspace' && this.many && !this.input.value && this.chosen.length) {
      this.store(this.chosen.slice(0, -1));
    }
  }
}

function filter(groups, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (option) => {
    const text = `${option.text.text} ${option.description?.text || ''} ${option.note || ''}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return groups.map((group) => ({ ...group, options: group.options.filter(fits) }));
}
