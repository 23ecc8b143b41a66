// Small things above everything else: toasts, the confirm dialog, the enlarged picture, popovers.

import { append, byId, h } from './dom.js';
import { icon } from './icons.js';
import { mrkdwn } from './mrkdwn.js';
import { withEmoji } from './emoji.js';

const TOAST_MS = 7000;

/** Show one line at the bottom; the same line twice in a row shows once. */
export function toast(text, level = 'info') {
  const root = byId('toasts');
  dropToast(text);
  const node = h('div', { class: `toast toast-${level}`, role: level === 'error' ? 'alert' : 'status', 'data-testid': 'toast', 'data-text': text },
    icon(level === 'error' ? 'warn' : 'info', 18),
    h('span', { class: 'toast-text' }, mrkdwn(text)),
    h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Dismiss', on: { click: () => node.remove() } }, icon('close', 16)));
  root.append(node);
  setTimeout(() => node.remove(), TOAST_MS);
}

/** Take a toast away before its time. */
export function dropToast(text) {
  for (const other of [...byId('toasts').children]) if (other.dataset.text === text) other.remove();
}

/** A text object (plain_text or mrkdwn) or a bare string into nodes. */
export function textObject(text) {
  if (text === null || text === undefined) return document.createTextNode('');
  if (typeof text === 'string') return document.createTextNode(withEmoji(text));
  if (text.type === 'mrkdwn') return mrkdwn(text.text);
  const lines = (text.emoji === false ? text.text : withEmoji(text.text)).split('\n');
  return append(document.createDocumentFragment(), lines.flatMap((line, index) => (index ? [h('br'), line] : [line])));
}

function overlay(className, label, closeWith) {
  const before = document.activeElement;
  const backgrounds = [byId('app'), byId('modal-root')];
  const inertBefore = backgrounds.map((node) => node.inert);
  const box = h('div', { class: className, role: 'dialog', 'aria-modal': 'true', 'aria-label': label, tabindex: '-1' });
  const shade = h('div', { class: 'shade', on: { click: (event) => event.target === shade && close() } }, box);
  const close = () => {
    shade.remove();
    backgrounds.forEach((node, index) => { node.inert = inertBefore[index]; });
    document.removeEventListener('keydown', onKey, true);
    if (before?.isConnected) before.focus({ preventScroll: true });
    closeWith();
  };
  const onKey = (event) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    event.stopImmediatePropagation();
    close();
  };
  document.addEventListener('keydown', onKey, true);
  backgrounds.forEach((node) => { node.inert = true; });
  document.body.append(shade);
  return { box, close };
}

/** Ask before an action with a confirm object; resolves to true only when the person agrees. */
export function confirmFirst(confirm) {
  return new Promise((resolve) => {
    let answer = false;
    const { box, close } = overlay('confirm', confirm.title?.text || 'Are you sure?', () => resolve(answer));
    const agree = h('button', {
      class: confirm.style === 'danger' ? 'button danger solid' : 'button primary', type: 'button', 'data-testid': 'confirm-yes',
      on: { click: () => { answer = true; close(); } },
    }, textObject(confirm.confirm || 'Yes'));
    const deny = h('button', { class: 'button', type: 'button', 'data-testid': 'confirm-no', on: { click: () => close() } }, textObject(confirm.deny || 'Cancel'));
    box.dataset.testid = 'confirm';
    append(box, [h('h2', { class: 'confirm-title' }, textObject(confirm.title || 'Are you sure?')),
      h('div', { class: 'confirm-text' }, textObject(confirm.text)),
      h('div', { class: 'confirm-buttons' }, deny, agree)]);
    agree.focus();
  });
}

/** Show a picture as large as the window allows. */
export function enlarge(src, alt) {
  const { box, close } = overlay('lightbox', alt || 'Picture', () => {});
  box.dataset.testid = 'lightbox';
  append(box, [h('img', { src, alt, on: { click: () => close() } }),
    h('div', { class: 'lightbox-bar' }, h('span', null, alt),
      h('a', { class: 'icon-button', href: src, target: '_blank', rel: 'noopener', 'aria-label': 'Open the picture in a new tab' }, icon('window', 18)),
      h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close', on: { click: () => close() } }, icon('close', 20)))]);
  box.focus();
}

// --- Popovers: one at a time, beside the control that opened it. ---

let open = null;

/** Close the open popover, if any. */
export function closePopover() {
  if (!open) return;
  const { node, onClose, stop } = open;
  open = null;
  stop();
  node.remove();
  onClose?.();
}

/** True while a popover is open (Escape then closes it, not the modal). */
export const popoverOpen = () => Boolean(open);

/** Show `node` under (or above) `anchor`, at least as wide as it. Clicks elsewhere and Escape close it. */
export function popover(anchor, node, { onClose, alignRight = false, minWidth = 0 } = {}) {
  closePopover();
  node.classList.add('popover');
  byId('layer').append(node);
  const place = () => (anchor.isConnected ? position(anchor, node, alignRight, minWidth) : closePopover());
  const onPointer = (event) => {
    if (!node.contains(event.target) && !anchor.contains(event.target)) closePopover();
  };
  const onKey = (event) => {
    if (event.key !== 'Escape') return;
    event.stopImmediatePropagation();
    event.preventDefault();
    const back = anchor.matches('button, input') ? anchor : anchor.querySelector('input, button');
    closePopover();
    back?.focus();
  };
  document.addEventListener('pointerdown', onPointer, true);
  document.addEventListener('keydown', onKey, true);
  window.addEventListener('resize', place);
  document.addEventListener('scroll', place, true);
  const stop = () => {
    document.removeEventListener('pointerdown', onPointer, true);
    document.removeEventListener('keydown', onKey, true);
    window.removeEventListener('resize', place);
    document.removeEventListener('scroll', place, true);
  };
  open = { node, onClose, stop, place };
  place();
}

/** Put the open popover where it belongs after its content changed. */
export const replacePopover = () => open?.place();

function position(anchor, node, alignRight, minWidth) {
  const box = anchor.getBoundingClientRect();
  node.style.minWidth = `${Math.max(box.width, minWidth)}px`;
  const below = window.innerHeight - box.bottom - 12;
  const above = box.top - 12;
  const height = node.scrollHeight;
  const up = height > below && above > below;
  node.style.maxHeight = `${Math.max(120, Math.min(up ? above : below, 360))}px`;
  const width = node.offsetWidth;
  const left = alignRight ? box.right - width : box.left;
  node.style.left = `${Math.max(8, Math.min(left, window.innerWidth - width - 8))}px`;
  node.style.top = up ? `${Math.max(8, box.top - Math.min(height, above, 360) - 4)}px` : `${box.bottom + 4}px`;
}
