// The sidebar and the bar above everything: channels, people, connection.

import { append, byId, cls, h } from './dom.js';
import { icon } from './icons.js';
import { avatar } from './messages.js';
import { closePopover, popover } from './dialogs.js';
import { moveInMenu } from './elements.js';
import { goTo } from './navigate.js';
import { botName, on, state, unreadCount, user } from './state.js';

const slug = (name) => name.toLowerCase().replace(/[^a-z0-9]+/g, '-');

/** Draw both now and at every change. */
export function mountSidebar() {
  for (const topic of ['place', 'channels', 'messages', 'read']) on(topic, drawSidebar);
  for (const topic of ['place', 'channels', 'status']) on(topic, drawTopbar);
  byId('scrim').addEventListener('click', toggle);
}

function toggle() {
  const open = document.body.classList.toggle('sidebar-open');
  byId('scrim').hidden = !open;
}

function row({ id, label, mark, testid, unread }) {
  const active = state.channel === id;
  return h('button', {
    class: cls('place', active && 'is-active', unread > 0 && !active && 'is-unread'), type: 'button', 'data-testid': testid, 'data-channel-id': id, 'aria-current': active ? 'page' : null,
    on: { click: () => { goTo(id); byId('scrim').hidden = true; } },
  }, mark, h('span', { class: 'place-name' }, label), unread > 0 && !active ? h('span', { class: 'badge', role: 'img', 'aria-label': `${unread} unread` }, unread > 99 ? '99+' : unread) : null);
}

function group(title, rows) {
  return rows.length ? h('section', { class: 'places' }, h('h2', null, title), rows) : null;
}

let drawn = '';

function drawSidebar() {
  const of = (kind) => state.channels.filter((one) => one.kind === kind);
  const sig = JSON.stringify([state.channels, state.channel, state.team, state.channels.map((one) => unreadCount(one.id))]);
  if (sig === drawn) return; // a message in the open channel changes nothing here
  drawn = sig;
  const channels = of('channel').map((one) => row({ id: one.id, label: one.name, mark: icon('hash', 16), testid: `channel-${one.name}`, unread: unreadCount(one.id) }));
  const direct = of('im').map((one) => row({ id: one.id, label: botName(), mark: avatar({ bot: true }, 20), testid: `channel-${slug(botName())}`, unread: unreadCount(one.id) }));
  const apps = [row({ id: 'home', label: botName(), mark: icon('home', 16), testid: 'app-home', unread: 0 })];
  byId('sidebar').replaceChildren();
  append(byId('sidebar'), [
    h('div', { class: 'workspace' }, h('strong', { 'data-testid': 'workspace-name' }, state.team?.name || ''), h('span', null, 'A stand-in for Slack on this machine. Nothing you do here leaves it.')),
    group('Channels', channels), group('Direct messages', direct), group('Apps', apps),
  ]);
}

function drawTopbar() {
  const mine = user(state.me);
  const menu = h('button', { class: 'icon-button sidebar-toggle', type: 'button', 'aria-label': 'Channels', 'data-testid': 'sidebar-toggle', on: { click: toggle } }, icon('menu', 20));
  const status = h('span', { class: 'status', role: 'status', 'data-testid': 'connection', hidden: state.status === 'live' }, h('span', { class: 'spinner is-shown' }), state.status === 'connecting' ? 'Connecting…' : 'Connection lost, reconnecting…');
  const who = h('button', { class: 'who', type: 'button', 'aria-haspopup': 'menu', 'data-testid': 'user-switch', on: { click: (event) => openPeople(event.currentTarget) } },
    mine && avatar(mine, 26), h('span', { class: 'who-text' }, h('span', { class: 'who-you' }, 'You are '), h('strong', null, mine?.name || '…'), mine?.title ? h('span', { class: 'who-title' }, ` · ${mine.title}`) : null), icon('chevron', 15));
  byId('topbar').replaceChildren(menu, h('span', { class: 'brand' }, avatar({ bot: true }, 22), h('span', { class: 'local-tag' }, 'Local workspace')), status, who);
}

function openPeople(anchor) {
  const people = state.users.filter((one) => !one.is_bot);
  const menu = h('div', { class: 'menu people', role: 'menu', 'data-testid': 'user-menu', on: { keydown: moveInMenu } }, h('p', { class: 'menu-title' }, 'Be somebody else'), people.map(person));
  popover(anchor, menu, { alignRight: true, minWidth: 300 });
  menu.querySelector('[role^=menuitem]')?.focus();
}

function person(one) {
  const address = `?user=${encodeURIComponent(one.id)}`;
  const here = one.id === state.me;
  return h('div', { class: cls('person', here && 'is-me'), role: 'none' },
    h('a', { class: 'person-here', role: 'menuitem', href: here ? null : address, 'aria-current': here ? 'true' : null, tabindex: '0', 'data-testid': `user-${one.name}`, 'data-user-id': one.id },
      avatar(one, 32), h('span', { class: 'person-text' }, h('strong', null, one.name), h('span', null, one.title || '')), here ? icon('check', 16) : null),
    here ? null : h('a', { class: 'person-tab', role: 'menuitem', href: address, target: '_blank', rel: 'noopener', title: `Open as ${one.name} in a new tab`, 'aria-label': `Open as ${one.name} in a new tab`, 'data-testid': `user-newtab-${one.name}`, on: { click: () => closePopover() } }, icon('window', 15), h('span', null, 'New tab')));
}
