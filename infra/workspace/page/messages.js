// Lists of messages: the channel and the thread use the same drawing.

import { append, cls, h, reconcile } from './dom.js';
import { icon } from './icons.js';
import { clock, dayLabel, fromTs, fullDate, ago } from './dates.js';
import { mrkdwn } from './mrkdwn.js';
import { imageSource, renderBlocks } from './blocks.js';
import { enlarge } from './dialogs.js';
import { sizeText } from './fileinput.js';
import { openThread } from './navigate.js';
import { emoji } from './emoji.js';
import { botName, dismiss, isBot, repliesOf, state, unreadReplies, user } from './state.js';

const GROUP_SECONDS = 300;

/** Who wrote a message: {name, bot, id}. */
export function authorOf(message) {
  const bot = Boolean(message.bot_id) || isBot(message.user);
  return { id: message.user || message.bot_id, bot, name: message.username || (bot ? botName() : user(message.user)?.name) || 'unknown' };
}

const HUES = [262, 205, 160, 338, 24, 186, 300, 80];

/** A square with the person's initial, or the app's mark. */
export function avatar(author, size = 36) {
  if (author.bot) return h('img', { class: 'avatar', src: '/static/icon.svg', width: size, height: size, alt: '' });
  const hue = HUES[Math.max(0, state.users.findIndex((one) => one.id === author.id)) % HUES.length];
  const node = h('span', { class: cls('avatar', 'avatar-person', size < 30 && 'avatar-small'), 'aria-hidden': 'true' }, author.name.slice(0, 1).toUpperCase());
  node.style.setProperty('--hue', hue);
  return node;
}

const dayOf = (ts) => fromTs(ts).toDateString();

function follows(message, previous) {
  if (!previous || message.ephemeral_for || previous.ephemeral_for) return false;
  if (authorOf(message).name !== authorOf(previous).name || previous.reply_count) return false;
  return Number(message.ts) - Number(previous.ts) < GROUP_SECONDS && dayOf(message.ts) === dayOf(previous.ts);
}

/**
 * Draw a list of messages into `root`. `place`: {channel, thread: bool, readUpTo}; in a thread there are no
 * reply links and no day lines.
 */
export function renderMessages(root, list, place) {
  const items = [];
  let marked = !place.readUpTo;
  list.forEach((message, index) => {
    const previous = list[index - 1];
    if (!place.thread && (!previous || dayOf(previous.ts) !== dayOf(message.ts))) items.push(dayLine(message));
    if (!marked && message.ts > place.readUpTo && message.user !== state.me) {
      marked = true;
      if (index > 0) items.push(newLine());
    }
    items.push(messageItem(message, place, follows(message, previous)));
  });
  reconcile(root, items);
}

function dayLine(message) {
  const label = dayLabel(fromTs(message.ts));
  return { key: `day ${dayOf(message.ts)}`, sig: label, make: () => h('div', { class: 'day-line', role: 'separator' }, h('span', null, label)) };
}

const newLine = () => ({ key: 'new', sig: 'new', make: () => h('div', { class: 'new-line', role: 'separator' }, h('span', null, 'New')) });

function threadOf(message, place) {
  if (place.thread) return null;
  const replies = repliesOf(place.channel, message.ts);
  const count = Math.max(replies.length, message.reply_count || 0);
  return count ? { count, replies, unread: unreadReplies(place.channel, message.ts) } : null;
}

function messageItem(message, place, compact) {
  const thread = threadOf(message, place);
  const sig = JSON.stringify([message, compact, thread && [thread.count, thread.unread, lastReply(thread), place.open === message.ts]]);
  return {
    key: message.ts,
    sig,
    make: () => drawMessage(message, place, compact, thread),
    update: (node) => fillMessage(node, message, place, compact, thread),
  };
}

function drawMessage(message, place, compact, thread) {
  const node = h('article', { class: 'message', 'data-ts': message.ts, 'data-testid': 'message', tabindex: '-1' });
  node.gutter = h('div', { class: 'gutter' });
  node.head = h('div', { class: 'message-head' });
  node.blocks = h('div', { class: 'message-body' });
  node.foot = h('div', { class: 'message-foot' });
  append(node, [node.gutter, h('div', { class: 'message-main' }, node.head, node.blocks, node.foot), toolbar(message, place)]);
  fillMessage(node, message, place, compact, thread);
  return node;
}

function fillMessage(node, message, place, compact, thread) {
  const author = authorOf(message);
  const written = fromTs(message.ts);
  node.className = cls('message', compact && 'is-compact', message.ephemeral_for && 'is-ephemeral', place.open === message.ts && 'is-open');
  node.setAttribute('aria-label', `${author.name}, ${clock(written)}`);
  const time = h('time', { class: 'message-time', datetime: written.toISOString(), title: fullDate(written) }, compact ? clock(written).replace(/ [AP]M$/, '') : clock(written));
  node.gutter.replaceChildren(compact ? time : avatar(author));
  node.head.replaceChildren(...(compact ? [] : heading(author, time)));
  node.head.hidden = compact;
  drawBody(node.blocks, message, place);
  node.foot.replaceChildren(...footer(message, place, thread));
}

function heading(author, time) {
  return [h('span', { class: 'author' }, author.name), author.bot && h('span', { class: 'app-tag' }, 'APP'), time].filter(Boolean);
}

function drawBody(root, message, place) {
  root.bodyNode ||= root.appendChild(h('div', { class: 'blocks' }));
  root.extraNode ||= root.appendChild(h('div', { class: 'message-extra' }));
  const key = `message:${place.channel}:${message.ts}${place.thread ? ':thread' : ''}`;
  const hasBlocks = message.blocks?.length > 0;
  if (hasBlocks) {
    if (root.plain) root.bodyNode.replaceChildren();
    renderBlocks(root.bodyNode, message.blocks, { key, container: { type: 'message', channel: place.channel, ts: message.ts }, seed: message.state?.values });
  } else {
    root.bodyNode.replaceChildren(h('div', { class: 'text' }, mrkdwn(message.text)));
  }
  root.plain = !hasBlocks;
  const edited = message.edited && h('span', { class: 'edited', title: message.edited.ts ? fullDate(fromTs(message.edited.ts)) : null }, '(edited)');
  root.extraNode.replaceChildren(...[edited, ...(message.files || []).map(attachedFile)].filter(Boolean));
}

function attachedFile(file) {
  const src = imageSource({ slack_file: file });
  const name = file.title || file.name || 'file';
  if (/^image\//.test(file.mimetype || '') || /\.(png|jpe?g|gif|svg|webp)$/i.test(file.name || '')) {
    return h('figure', { class: 'figure', 'data-file-id': file.id }, h('figcaption', null, name),
      h('button', { class: 'image-button', type: 'button', 'aria-label': `Enlarge: ${name}`, on: { click: () => enlarge(src, name) } }, h('img', { class: 'block-image', src, alt: name, loading: 'lazy' })));
  }
  return h('a', { class: 'file-card', href: src, download: file.name || true, 'data-file-id': file.id }, icon('file', 24),
    h('span', { class: 'file-name' }, name), h('span', { class: 'file-size' }, sizeText(file.size)), icon('download', 18));
}

function footer(message, place, thread) {
  const nodes = [];
  if (message.reactions?.length) nodes.push(h('div', { class: 'reactions' }, message.reactions.map((one) => h('span', { class: 'reaction' }, emoji(one.name) || `:${one.name}:`, ` ${one.count || 1}`))));
  if (message.ephemeral_for) {
    nodes.push(h('div', { class: 'only-you' }, icon('eye', 14), ' Only visible to you · ', h('button', { class: 'text-button', type: 'button', on: { click: () => dismiss(place.channel, message.ts) } }, 'Dismiss message')));
  }
  if (thread) nodes.push(threadLink(message, place, thread));
  return nodes;
}

function lastReply(thread) {
  const last = thread.replies.at(-1);
  return last ? `Last reply ${ago(fromTs(last.ts), new Date())}` : '';
}

function threadLink(message, place, thread) {
  const people = [...new Map(thread.replies.map((one) => [authorOf(one).name, authorOf(one)])).values()].slice(0, 4);
  return h('button', { class: cls('thread-link', thread.unread && 'is-unread'), type: 'button', 'data-testid': 'thread-link', on: { click: () => openThread(place.channel, message.ts) } },
    people.map((one) => avatar(one, 22)), h('span', { class: 'thread-count' }, `${thread.count} ${thread.count === 1 ? 'reply' : 'replies'}`),
    h('span', { class: 'thread-last' }, lastReply(thread)), thread.unread ? h('span', { class: 'dot', role: 'img', 'aria-label': 'unread' }) : null);
}

function toolbar(message, place) {
  if (place.thread || message.ephemeral_for) return null;
  return h('div', { class: 'toolbar' }, h('button', { class: 'icon-button', type: 'button', title: 'Reply in thread', 'aria-label': 'Reply in thread', 'data-testid': 'reply-in-thread', on: { click: () => openThread(place.channel, message.ts) } }, icon('thread', 17)));
}

/**
 * Keep a scrolling list at its end while the reader is at its end, whatever grows or loads inside.
 * Returns {stick(), atEnd(), onChange}.
 */
export function stickToEnd(scroller, content, onChange) {
  let pinned = true;
  const end = () => { scroller.scrollTop = scroller.scrollHeight; };
  const near = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  scroller.addEventListener('scroll', () => {
    pinned = near();
    onChange?.(pinned);
  }, { passive: true });
  const watch = new ResizeObserver(() => { if (pinned) end(); });
  watch.observe(content);
  watch.observe(scroller);
  return {
    stick() {
      pinned = true;
      end();
      onChange?.(true);
    },
    atEnd: () => pinned,
  };
}
