// Where the tab is: which channel, thread or App Home, kept in the address so that a reload, a bookmark and
// the Back button work.

import { api, session } from './api.js';
import { channel, emit, messageAt, state } from './state.js';
import { closePopover, toast } from './dialogs.js';

function address() {
  const query = new URLSearchParams({ user: session.user });
  if (state.channel) query.set('channel', state.channel);
  if (state.thread) query.set('thread', state.thread.ts);
  return `?${query}`;
}

function moved(replace) {
  closePopover();
  history[replace ? 'replaceState' : 'pushState'](null, '', address());
  emit('place');
}

/** Open a channel, a direct message or 'home'. */
export function goTo(id, { replace = false } = {}) {
  const before = state.channel;
  state.channel = id;
  state.thread = null;
  document.body.classList.remove('sidebar-open');
  moved(replace || before === id);
  if (id === 'home') openHome();
}

// Each opening of App Home is an event for the app, as in Slack.
async function openHome() {
  const answer = await api.home();
  if (!answer.ok) toast(answer.error || 'App Home could not be opened', 'error');
}

/** Open the thread of a message. */
export function openThread(channelId, ts) {
  state.thread = { channel: channelId, ts };
  moved(false);
}

export function closeThread() {
  if (!state.thread) return;
  state.thread = null;
  moved(false);
}

/** Take the place from the address; falls back to the first channel. */
export function restorePlace() {
  const query = new URLSearchParams(location.search);
  const wanted = query.get('channel');
  const known = wanted === 'home' || channel(wanted);
  state.channel = known ? wanted : state.channels.find((one) => one.kind === 'channel')?.id || null;
  const thread = query.get('thread');
  state.thread = thread && messageAt(state.channel, thread) ? { channel: state.channel, ts: thread } : null;
  moved(true);
  if (state.channel === 'home') openHome();
  else if (query.get('ts')) showMessage(state.channel, query.get('ts'));
}

/** Show one message: its channel, its thread if it is a reply, and a flash to find it. */
export function showMessage(channelId, ts) {
  const message = messageAt(channelId, ts);
  if (state.channel !== channelId) goTo(channelId);
  if (message?.thread_ts && message.thread_ts !== ts) openThread(channelId, message.thread_ts);
  requestAnimationFrame(() => {
    const node = document.querySelector(`[data-ts="${CSS.escape(ts)}"]`);
    if (!node) return;
    node.scrollIntoView({ block: 'center' });
    node.classList.add('is-found');
    setTimeout(() => node.classList.remove('is-found'), 2500);
  });
}

/** Follow an address that means a place in this workspace (permalinks, slack:// links); false for all others. */
export function openAddress(href) {
  const url = new URL(href, location.href);
  if (url.protocol === 'slack:') {
    const id = url.searchParams.get('id');
    goTo(url.host === 'channel' && channel(id) ? id : 'home');
    return true;
  }
  const permalink = /^\/archives\/(\w+)(?:\/p(\d{10})(\d{6}))?$/.exec(url.pathname);
  if (!permalink || !channel(permalink[1])) return false;
  if (permalink[2]) showMessage(permalink[1], `${permalink[2]}.${permalink[3]}`);
  else goTo(permalink[1]);
  return true;
}

/** Make links into the workspace stay in this tab. */
export function watchLinks() {
  document.addEventListener('click', (event) => {
    const anchor = event.target.closest('a[href]');
    if (!anchor || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const target = anchor.dataset.gotoChannel;
    if (target && channel(target)) goTo(target);
    else if (target || !openAddress(anchor.href)) return;
    event.preventDefault();
  });
  window.addEventListener('popstate', restorePlace);
}
