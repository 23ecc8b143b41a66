// Modals: the top of the person's view stack in a dialog, with Slack's rules for submitting and closing.

import { byId, cls, h } from './dom.js';
import { icon } from './icons.js';
import { api } from './api.js';
import { renderBlocks } from './blocks.js';
import { closePopover, dropToast, popoverOpen, textObject, toast } from './dialogs.js';
import { uploading } from './fileinput.js';
import { collect, forget, problems } from './values.js';
import { on, state } from './state.js';
import { avatar } from './messages.js';

const memory = new Map(); // view id -> {scroll, errors, banner}
const SETTLE_MS = 1500;
let shell = null; // the DOM of the open dialog, and which view it shows
let submitting = null; // id of the view that is being submitted
let focusBefore = null;

const top = () => state.views.at(-1) || null;
const keyOf = (view) => `view:${view.id}`;
const noteOf = (view) => memory.get(view.id) || memory.set(view.id, { scroll: 0, errors: {}, banner: '' }).get(view.id);

/** Follow the view stack from now on. */
export function mountModal() {
  on('views', draw);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && top() && !submitting && !popoverOpen()) {
      event.preventDefault();
      close(false);
    }
    if (event.key === 'Tab' && shell) keepInside(event);
  });
}

function draw() {
  const view = top();
  for (const id of memory.keys()) if (!state.views.some((one) => one.id === id)) memory.delete(id);
  forget(new Set(state.views.map(keyOf)));
  if (!view) {
    hide();
    return;
  }
  if (submitting && submitting !== view.id) submitting = null;
  if (!shell || shell.viewId !== view.id) show(view);
  fill(view);
}

function hide() {
  if (!shell) return;
  closePopover();
  submitting = null;
  shell = null;
  byId('modal-root').replaceChildren();
  byId('app').inert = false;
  if (focusBefore?.isConnected) focusBefore.focus({ preventScroll: true });
  focusBefore = null;
}

function show(view) {
  closePopover();
  const first = !shell;
  if (first) focusBefore = document.activeElement;
  else if (memory.has(shell.viewId)) memory.get(shell.viewId).scroll = shell.body.scrollTop;
  shell = frame(view, first);
  byId('modal-root').replaceChildren(shell.root);
  byId('app').inert = true;
  fill(view);
  shell.body.scrollTop = noteOf(view).scroll;
  focusFirst();
}

function frame(view, first) {
  const body = h('div', { class: 'modal-body blocks', tabindex: '-1' });
  const banner = h('div', { class: 'modal-banner', role: 'alert', hidden: true, 'data-testid': 'modal-error' });
  const head = h('header', { class: 'modal-head' });
  const foot = h('footer', { class: 'modal-foot' });
  const panel = h('div', { class: cls('modal', first && 'is-new'), role: 'dialog', 'aria-modal': 'true', 'aria-labelledby': 'modal-title', 'data-testid': 'modal', 'data-view-callback': view.callback_id, 'data-view-id': view.id, tabindex: '-1' }, head, banner, body, foot);
  const edge = () => {
    panel.classList.toggle('is-scrolled', body.scrollTop > 2);
    panel.classList.toggle('has-more', body.scrollHeight - body.scrollTop - body.clientHeight > 4);
  };
  body.addEventListener('scroll', edge, { passive: true });
  new ResizeObserver(edge).observe(body);
  return { root: h('div', { class: 'modal-shade' }, panel), viewId: view.id, panel, head, banner, body, foot, edge };
}

function fill(view) {
  const note = noteOf(view);
  const busy = submitting === view.id;
  const before = shell.body.scrollTop;
  shell.panel.dataset.viewCallback = view.callback_id || '';
  shell.panel.setAttribute('aria-busy', String(busy));
  shell.panel.classList.toggle('is-busy', busy);
  drawHead(view, busy);
  drawFoot(view, busy);
  shell.banner.hidden = !note.banner;
  shell.banner.textContent = note.banner;
  shell.body.inert = busy;
  renderBlocks(shell.body, view.blocks, contextOf(view, note));
  shell.body.scrollTop = before;
  shell.edge();
}

function contextOf(view, note) {
  return {
    key: keyOf(view),
    container: { type: 'view', view_id: view.id },
    seed: view.state?.values,
    errors: note.errors,
    onEnter: () => view.submit && submit(view),
    onChange: (block) => clearError(view, block),
    onUpload: () => shell?.viewId === view.id && drawFoot(top(), submitting === view.id),
  };
}

// The message under a field goes as soon as the field changes, without drawing the field anew.
function clearError(view, block) {
  const note = noteOf(view);
  if (!note.errors[block.block_id]) return;
  delete note.errors[block.block_id];
  const node = shell.body.querySelector(`[data-block-id="${CSS.escape(block.block_id)}"]`);
  node?.querySelector('.input-error')?.remove();
  node?.querySelector('.has-error')?.classList.remove('has-error');
  if (node) node.reconcileSig = JSON.stringify(block);
}

function drawHead(view, busy) {
  const pushed = state.views.length > 1;
  const sig = JSON.stringify([view.title, pushed, busy]);
  if (shell.head.dataset.sig === sig) return;
  shell.head.dataset.sig = sig;
  shell.head.replaceChildren(
    pushed ? h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Back', disabled: busy, 'data-testid': 'modal-back', on: { click: () => close(false) } }, icon('back', 20)) : avatar({ bot: true }, 28),
    h('h1', { class: 'modal-title', id: 'modal-title' }, textObject(view.title)),
    h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close', disabled: busy, 'data-testid': 'modal-close', on: { click: () => close(true) } }, icon('close', 20)),
  );
}

function drawFoot(view, busy) {
  const waits = view.submit_disabled || uploading(keyOf(view));
  const sig = JSON.stringify([view.close, view.submit, busy, waits]);
  if (shell.foot.dataset.sig === sig) return;
  shell.foot.dataset.sig = sig;
  const label = view.close || { type: 'plain_text', text: view.submit ? 'Cancel' : 'Close' };
  const closeButton = h('button', { class: 'button', type: 'button', disabled: busy, 'data-testid': 'modal-cancel', on: { click: () => close(false) } }, textObject(label));
  const submitButton = view.submit && h('button', { class: cls('button primary', busy && 'is-pending'), type: 'button', disabled: busy || waits, 'data-testid': 'modal-submit', on: { click: () => submit(view) } },
    h('span', { class: 'button-label' }, textObject(view.submit)), h('span', { class: 'spinner', 'aria-hidden': 'true' }));
  shell.foot.replaceChildren(...[closeButton, submitButton].filter(Boolean));
}

function focusFirst() {
  const wanted = shell.body.querySelector('[data-autofocus]');
  const plain = window.matchMedia('(min-width: 800px)').matches && shell.body.querySelector('.block-input .field, .block-input .select-input');
  (wanted || plain || shell.panel).focus({ preventScroll: !wanted });
}

const FOCUSABLE = 'a[href], button:not([disabled]), input:not([disabled]), textarea, select, summary';

function keepInside(event) {
  if (byId('modal-root').inert) return;
  const items = [...shell.panel.querySelectorAll(FOCUSABLE)].filter((node) => node.tabIndex >= 0 && node.offsetParent);
  const edge = event.shiftKey ? items[0] : items.at(-1);
  const outside = !shell.panel.contains(document.activeElement);
  if (!outside && document.activeElement !== edge && document.activeElement !== shell.panel) return;
  if (document.activeElement === shell.panel && !event.shiftKey) return;
  event.preventDefault();
  (event.shiftKey ? items.at(-1) : items[0])?.focus();
}

async function submit(original) {
  const view = top();
  if (!view || view.id !== original.id || submitting || uploading(keyOf(view))) return;
  const note = noteOf(view);
  note.banner = '';
  note.errors = problems(keyOf(view), view.blocks);
  if (Object.keys(note.errors).length) {
    fill(view);
    showFirstError();
    return;
  }
  submitting = view.id;
  const version = state.viewsVersion;
  fill(view);
  const answer = await api.submit(view.id, collect(keyOf(view)));
  if (answer.ok && !answer.errors) await settled(version);
  if (submitting === view.id) submitting = null;
  if (answer.errors) note.errors = answer.errors;
  else if (!answer.ok) complain(note, answer.error || 'We had some trouble connecting. Try again?');
  if (shell?.viewId !== view.id || top()?.id !== view.id) return;
  fill(top());
  if (answer.errors) showFirstError();
}

// The sentence stands in the dialog; the same one as a toast below would be one too many.
function complain(note, text) {
  note.banner = text;
  dropToast(text);
}

// The answer and the new stack travel separately; the dialog stays busy until both are here.
function settled(version) {
  const until = Date.now() + SETTLE_MS;
  return new Promise((resolve) => {
    const look = () => (state.viewsVersion !== version || Date.now() > until ? resolve() : setTimeout(look, 15));
    look();
  });
}

function showFirstError() {
  const error = shell.body.querySelector('.has-error');
  if (!error) return;
  error.scrollIntoView({ block: 'center', behavior: 'smooth' });
  error.querySelector('.field, .select-input, input')?.focus({ preventScroll: true });
}

async function close(all) {
  const view = top();
  if (!view || submitting) return;
  const answer = await api.close(view.id, all);
  if (!answer.ok) toast(answer.error || 'The window could not be closed', 'error');
}
