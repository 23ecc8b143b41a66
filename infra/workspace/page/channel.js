// The middle of the page: header, messages and composer of a channel or direct message; App Home.

import { append, byId, h } from './dom.js';
import { icon } from './icons.js';
import { avatar, renderMessages, stickToEnd } from './messages.js';
import { createComposer } from './composer.js';
import { renderBlocks } from './blocks.js';
import { goTo } from './navigate.js';
import { botName, channel, directMessage, emit, lastRead, markRead, on, state, topLevel, user } from './state.js';

const parts = {};
let shownChannel = null;
let readUpTo = '';

/** Build the frame once. */
export function mountChannel() {
  parts.header = h('div', { class: 'channel-head' });
  parts.list = h('div', { class: 'message-list', role: 'log', 'aria-label': 'Messages', 'data-testid': 'messages' });
  parts.intro = h('div', { class: 'intro' });
  parts.content = h('div', { class: 'scroll-content' }, parts.intro, parts.list);
  parts.scroller = h('div', { class: 'scroller', tabindex: '-1' }, parts.content);
  parts.jump = h('button', { class: 'jump', type: 'button', hidden: true, on: { click: () => parts.end.stick() } }, icon('down', 15), h('span', null, 'Latest messages'));
  parts.home = h('div', { class: 'home', 'data-testid': 'app-home-view' });
  parts.composer = createComposer(placeOfComposer, 'composer');
  parts.room = h('div', { class: 'room' }, parts.scroller, parts.jump, parts.composer.node);
  append(byId('main'), [parts.header, parts.room, parts.home]);
  parts.end = stickToEnd(parts.scroller, parts.content, atEnd);
  on('place', draw);
  on('channels', draw);
  on('home', drawHome);
  on('messages', onMessages);
  on('clock', drawMessages);
  window.addEventListener('focus', () => drawMessages());
}

function onMessages({ channel: id, message, isNew } = {}) {
  if (id && id !== state.channel) return;
  drawMessages();
  // What I just wrote, or what answers me alone, is what I want to see.
  if (isNew && (message.user === state.me || message.ephemeral_for)) parts.end.stick();
}

/** Put text into the composer, e.g. a command from the introduction. */
export const writeInComposer = (text) => parts.composer.insert(text);

function placeOfComposer() {
  const current = channel(state.channel);
  return { channel: state.channel, label: current?.kind === 'im' ? `Message ${botName()}` : `Message #${current?.name || ''} — type / for commands` };
}

function atEnd(pinned) {
  parts.jump.hidden = pinned;
  if (pinned) readAll();
}

function readAll() {
  if (!document.hasFocus() && document.visibilityState !== 'visible') return;
  if (state.channel && markRead(state.channel, topLevel(state.channel).at(-1)?.ts)) emit('read');
}

function draw() {
  const home = state.channel === 'home';
  parts.room.hidden = home;
  parts.home.hidden = !home;
  parts.header.replaceChildren(...headerParts(home));
  const place = home ? botName() : channel(state.channel)?.name || '';
  document.title = `${place} · ${state.team?.name || 'Workspace'} (local)`;
  if (home) drawHome();
  else drawMessages();
}

function headerParts(home) {
  const current = channel(state.channel);
  if (home || current?.kind === 'im') return [appHeading(home)];
  const note = { 'training-runs': 'Fine-tuning jobs: start, approve, watch, receive', general: 'Everybody, everything' }[current?.name];
  return [h('h1', { class: 'channel-title' }, icon('hash', 19), current?.name || ''), note && h('span', { class: 'channel-note' }, note)].filter(Boolean);
}

function appHeading(home) {
  const im = directMessage();
  const tab = (label, active, target, testid) => h('button', { class: active ? 'tab is-active' : 'tab', type: 'button', role: 'tab', 'aria-selected': String(active), 'data-testid': testid, on: { click: () => goTo(target) } }, label);
  return h('div', { class: 'app-head' }, h('h1', { class: 'channel-title' }, avatar({ bot: true }, 24), botName(), h('span', { class: 'app-tag' }, 'APP')),
    h('div', { class: 'tabs', role: 'tablist' }, tab('Home', home, 'home', 'tab-home'), im && tab('Messages', !home, im.id, 'tab-messages')));
}

function drawMessages() {
  if (!state.channel || state.channel === 'home') return;
  const changed = shownChannel !== state.channel;
  if (changed) {
    shownChannel = state.channel;
    readUpTo = lastRead(state.channel);
    parts.list.replaceChildren();
    parts.composer.refresh();
  }
  const list = topLevel(state.channel);
  drawIntro(list.length);
  renderMessages(parts.list, list, { channel: state.channel, thread: false, readUpTo, open: state.thread?.ts });
  if (changed) {
    parts.end.stick();
    if (window.matchMedia('(min-width: 800px)').matches && !state.views.length) parts.composer.focus();
  } else if (parts.end.atEnd()) {
    parts.end.stick();
  }
}

function drawIntro(count) {
  const current = channel(state.channel);
  const sig = `${state.channel} ${count > 0} ${state.commands.length}`;
  if (parts.intro.dataset.sig === sig) return;
  parts.intro.dataset.sig = sig;
  const direct = current?.kind === 'im';
  const title = direct ? `This is between you and ${botName()}` : `Welcome to #${current?.name || ''}`;
  const text = direct ? 'It writes to you here about your jobs, and about what waits for your decision.' : 'This is where it begins. Try a command; it works as in Slack, and nothing leaves this machine.';
  parts.intro.replaceChildren(h('div', { class: 'intro-mark' }, direct ? avatar({ bot: true }, 44) : icon('hash', 30)), h('h2', null, title), h('p', null, text),
    count ? '' : h('div', { class: 'intro-commands' }, state.commands.slice(0, 8).map(commandCard)));
}

function commandCard(one) {
  return h('button', { class: 'command-card', type: 'button', 'data-command': one.command, on: { click: () => writeInComposer(one.command) } },
    h('span', { class: 'command-name' }, one.command), h('span', { class: 'command-note' }, one.description || ''));
}

function drawHome() {
  if (state.channel !== 'home') return;
  const view = state.home;
  if (!view?.blocks) {
    if (!parts.home.querySelector('.home-empty')) parts.home.replaceChildren(homeWaiting());
    return;
  }
  let body = parts.home.querySelector('.home-blocks');
  if (!body) {
    body = h('div', { class: 'blocks home-blocks' });
    parts.home.replaceChildren(body);
  }
  renderBlocks(body, view.blocks, { key: 'home', container: { type: 'home', view_id: view.id }, seed: view.state?.values });
}

function homeWaiting() {
  return h('div', { class: 'home-empty' }, avatar({ bot: true }, 56), h('h2', null, `Hello, ${user(state.me)?.name || 'there'}`), h('p', null, `${botName()} is preparing this page…`), h('span', { class: 'spinner is-shown' }));
}
