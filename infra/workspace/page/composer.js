// The field at the bottom: messages, and slash commands with suggestions.

import { cls, h } from './dom.js';
import { icon } from './icons.js';
import { api } from './api.js';
import { toast } from './dialogs.js';
import { botName, state } from './state.js';

const drafts = new Map(); // place -> unsent text
const SLOW_MS = 500;
const MOST_HEIGHT_PX = 220;

const fitting = (text) => (/^\/\S*$/.test(text) ? state.commands.filter((one) => one.command.startsWith(text.toLowerCase())) : []);
const commandOf = (text) => state.commands.find((one) => one.command === text.split(/\s/)[0]);

/**
 * Make a composer. `place()` says where it writes: {channel, thread?, label}; `testid` is "composer" or
 * "thread-composer". The result has `node`, `focus()`, `insert(text)` and `refresh()` (after a change of place).
 */
export const createComposer = (place, testid) => new Composer(place, testid);

class Composer {
  constructor(place, testid) {
    const main = testid === 'composer';
    const listId = `commands-${testid}`;
    Object.assign(this, { place, active: 0, closedFor: null }); // closedFor: the text at which Escape hid the list
    this.field = h('textarea', {
      class: 'composer-field', rows: '1', 'data-testid': testid, 'aria-controls': listId, 'aria-autocomplete': 'list',
      on: { input: () => this.typed(), keydown: (event) => this.key(event), focus: () => this.paint(), blur: () => this.left() },
    });
    this.sendButton = h('button', { class: 'send', type: 'button', 'aria-label': 'Send', title: 'Send', 'data-testid': main ? 'send' : 'thread-send', on: { click: () => this.send() } }, icon('send', 18));
    this.list = h('div', { class: 'commands', role: 'listbox', id: listId, hidden: true, 'data-testid': main ? 'command-list' : null, 'aria-label': 'Commands' });
    this.hint = h('span', { class: 'composer-hint', 'aria-live': 'polite' });
    const slash = main && h('button', { class: 'icon-button', type: 'button', title: 'Commands', 'aria-label': 'Show commands', on: { click: () => this.insert('/') } }, h('span', { class: 'slash-key' }, '/'));
    this.node = h('div', { class: 'composer' }, this.list, h('div', { class: 'composer-box' }, this.field, h('div', { class: 'composer-bar' }, slash, this.hint, this.sendButton)));
  }

  get draftKey() {
    return `${this.place().channel}/${this.place().thread || ''}`;
  }

  get suggestions() {
    return this.place().thread || this.field.value === this.closedFor ? [] : fitting(this.field.value);
  }

  paint() {
    const found = this.suggestions;
    this.active = Math.min(this.active, Math.max(found.length - 1, 0));
    this.list.hidden = found.length === 0;
    const rows = found.map((one, index) => suggestion(one, index === this.active, (chosen) => this.complete(chosen)));
    this.list.replaceChildren(h('div', { class: 'commands-title' }, `Commands of ${botName()}`, h('span', null, '↑↓ choose · Tab complete')), ...rows);
    this.list.querySelector('.is-active')?.scrollIntoView({ block: 'nearest' });
    this.field.setAttribute('aria-expanded', String(found.length > 0));
    this.hint.textContent = found.length ? '' : this.usage();
    this.sendButton.classList.toggle('is-ready', Boolean(this.field.value.trim()));
    this.field.style.height = 'auto';
    this.field.style.height = `${Math.min(this.field.scrollHeight, MOST_HEIGHT_PX)}px`;
  }

  usage() {
    const command = !this.place().thread && commandOf(this.field.value);
    return command ? [command.command, command.usage_hint, command.description && `— ${command.description}`].filter(Boolean).join(' ') : '';
  }

  typed() {
    drafts.set(this.draftKey, this.field.value);
    this.closedFor = null;
    this.active = 0;
    this.paint();
  }

  left() {
    setTimeout(() => { if (document.activeElement !== this.field) this.list.hidden = true; }, 150); // let a click land
  }

  complete(command) {
    this.insert(`${command.command} `);
  }

  insert(text) {
    this.field.value = text;
    this.typed();
    this.field.focus();
    this.field.setSelectionRange(text.length, text.length);
  }

  async send() {
    const text = this.field.value.trim();
    const { channel, thread } = this.place();
    if (!text || !channel) return;
    const problem = refusal(text, thread);
    if (problem) {
      toast(problem, 'error');
      return;
    }
    this.field.value = '';
    drafts.delete(this.draftKey);
    this.paint();
    const slow = setTimeout(() => { this.hint.textContent = 'Sending…'; }, SLOW_MS);
    const answer = text.startsWith('/') ? await api.command(channel, text) : await api.message(channel, text, thread);
    clearTimeout(slow);
    this.paint();
    if (answer.ok) return;
    toast(answer.error || 'That was not sent. Try again?', 'error');
    if (!this.field.value) this.insert(text);
  }

  key(event) {
    if (event.isComposing) return;
    const found = this.suggestions;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const exact = found.some((one) => one.command === this.field.value);
    if (found.length && step) this.active = (this.active + step + found.length) % found.length;
    else if (found.length && event.key === 'Escape') this.closedFor = this.field.value;
    else if (found.length && (event.key === 'Tab' || (event.key === 'Enter' && !exact))) this.complete(found[this.active]);
    else if (event.key === 'Enter' && !event.shiftKey) this.send();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.paint();
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  refresh() {
    this.field.placeholder = this.place().label;
    this.field.setAttribute('aria-label', this.place().label);
    this.field.value = drafts.get(this.draftKey) || '';
    this.paint();
    if (document.activeElement !== this.field) this.list.hidden = true;
  }
}

function refusal(text, thread) {
  if (!text.startsWith('/')) return null;
  const command = text.split(/\s/)[0];
  if (thread) return `${command} is not supported in threads. Use it in the channel.`;
  if (!commandOf(text)) return `${command} is not a valid command. Messages that start with “/” are commands; type “/” to see them all.`;
  return null;
}

function suggestion(command, active, complete) {
  return h('div', {
    class: cls('command', active && 'is-active'), role: 'option', 'aria-selected': String(active), 'data-command': command.command,
    on: { mousedown: (event) => { event.preventDefault(); complete(command); } },
  }, h('span', { class: 'command-name' }, command.command, h('span', { class: 'command-usage' }, command.usage_hint || '')), h('span', { class: 'command-note' }, command.description || ''));
}
