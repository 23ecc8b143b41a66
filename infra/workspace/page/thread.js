// The thread panel on the right.

import { append, byId, h } from './dom.js';
import { icon } from './icons.js';
import { renderMessages, stickToEnd } from './messages.js';
import { createComposer } from './composer.js';
import { closeThread } from './navigate.js';
import { channelName, emit, lastRead, markRead, messageAt, on, repliesOf, state } from './state.js';

const parts = {};
let shown = null;
let readUpTo = '';

/** Build the panel once; it shows itself when a thread is open. */
export function mountThread() {
  parts.where = h('span', { class: 'thread-where' });
  parts.parent = h('div', { class: 'message-list' });
  parts.count = h('div', { class: 'thread-divider' });
  parts.replies = h('div', { class: 'message-list', role: 'log', 'aria-label': 'Replies' });
  parts.content = h('div', { class: 'scroll-content' }, parts.parent, parts.count, parts.replies);
  parts.scroller = h('div', { class: 'scroller' }, parts.content);
  parts.composer = createComposer(() => ({ channel: state.thread?.channel, thread: state.thread?.ts, label: 'Reply…' }), 'thread-composer');
  const close = h('button', { class: 'icon-button', type: 'button', 'aria-label': 'Close thread', 'data-testid': 'thread-close', on: { click: closeThread } }, icon('close', 20));
  append(byId('thread'), [h('div', { class: 'channel-head' }, h('h2', { class: 'channel-title' }, 'Thread'), parts.where, close), parts.scroller, parts.composer.node]);
  parts.end = stickToEnd(parts.scroller, parts.content, (pinned) => { if (pinned) readReplies(); });
  on('place', draw);
  on('messages', ({ channel: id } = {}) => { if (state.thread && (!id || id === state.thread.channel)) draw(); });
}

function readReplies() {
  const { thread } = state;
  if (!thread || document.visibilityState !== 'visible') return;
  if (markRead(`${thread.channel}/${thread.ts}`, repliesOf(thread.channel, thread.ts).at(-1)?.ts)) {
    emit('read');
    emit('messages', { channel: thread.channel });
  }
}

function draw() {
  const { thread } = state;
  const parent = thread && messageAt(thread.channel, thread.ts);
  byId('thread').hidden = !parent;
  document.body.classList.toggle('thread-open', Boolean(parent));
  const key = parent ? `${thread.channel}/${thread.ts}` : null;
  const changed = key !== shown;
  shown = key;
  if (changed) {
    parts.parent.replaceChildren();
    parts.replies.replaceChildren();
  }
  if (!parent) return;
  if (changed) {
    readUpTo = lastRead(key);
    parts.composer.refresh();
  }
  fill(thread, parent);
  if (changed || parts.end.atEnd()) parts.end.stick();
  if (changed && window.matchMedia('(min-width: 800px)').matches) parts.composer.focus();
}

function fill(thread, parent) {
  const replies = repliesOf(thread.channel, thread.ts);
  const name = channelName(thread.channel);
  parts.where.textContent = name ? `#${name}` : '';
  const place = { channel: thread.channel, thread: true };
  renderMessages(parts.parent, [parent], place);
  parts.count.hidden = replies.length === 0;
  parts.count.textContent = `${replies.length} ${replies.length === 1 ? 'reply' : 'replies'}`;
  renderMessages(parts.replies, replies, { ...place, readUpTo });
}
