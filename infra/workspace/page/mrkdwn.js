// Slack's mrkdwn into DOM nodes. Order of precedence as in Slack: ``` fences, > quotes, then the inline
// marks of each line; `<…>` and `code` are opaque to the marks around them.

import { h, link } from './dom.js';
import { emoji, withEmoji } from './emoji.js';
import { timeNode } from './dates.js';
import { channelName, userName, state } from './state.js';

const ENTITIES = { '&lt;': '<', '&gt;': '>', '&amp;': '&' };
const MARKS = { '*': 'strong', _: 'em', '~': 's' };

/** Undo Slack's three escapes; everything else is literal. */
export const unescape = (text) => text.replace(/&(?:lt|gt|amp);/g, (entity) => ENTITIES[entity]);

/** Render mrkdwn; returns a fragment. */
export function mrkdwn(text) {
  const fragment = document.createDocumentFragment();
  const parts = String(text ?? '').split(/```/);
  // An odd number of fences leaves the last one open: Slack shows it as typed.
  const closed = parts.length % 2 === 1 ? parts.length : parts.length - 1;
  parts.forEach((part, index) => {
    if (index % 2 === 1 && index < closed) fragment.append(fence(part));
    else fragment.append(lines(index >= closed ? `\`\`\`${part}` : trimAround(part, index, closed)));
  });
  return fragment;
}

// The newline next to a fence belongs to the fence: a <pre> already stands on lines of its own.
function trimAround(part, index, closed) {
  let text = part;
  if (index > 0) text = text.replace(/^\n/, '');
  if (index < closed - 1) text = text.replace(/\n$/, '');
  return text;
}

function fence(code) {
  const content = code.replace(/^\n/, '').replace(/\n$/, '').replace(/<([^<>|\n]+)(?:\|([^<>\n]+))?>/g, (whole, target, label) => label || target);
  return h('pre', { class: 'code-block' }, unescape(content));
}

const QUOTE = /^(?:>|&gt;) ?/;

function lines(text) {
  const fragment = document.createDocumentFragment();
  if (text === '') return fragment;
  const rows = text.split('\n');
  let afterText = false;
  for (let i = 0; i < rows.length; i += 1) {
    if (QUOTE.test(rows[i])) {
      const quoted = [];
      while (i < rows.length && QUOTE.test(rows[i])) quoted.push(rows[i++].replace(QUOTE, ''));
      i -= 1;
      fragment.append(h('blockquote', null, quoted.flatMap((row, n) => (n ? [h('br'), inline(row)] : [inline(row)]))));
      afterText = false;
    } else {
      if (afterText) fragment.append(h('br'));
      fragment.append(inline(rows[i]));
      afterText = true;
    }
  }
  return fragment;
}

/** One line of mrkdwn without quotes and fences. */
export function inline(text) {
  const fragment = document.createDocumentFragment();
  let plain = '';
  const flush = () => {
    if (plain) fragment.append(unescape(plain));
    plain = '';
  };
  for (let i = 0; i < text.length;) {
    const found = tokenAt(text, i);
    if (found) {
      flush();
      fragment.append(found.node);
      i = found.end;
    } else {
      plain += text[i];
      i += 1;
    }
  }
  flush();
  return fragment;
}

function tokenAt(text, i) {
  const char = text[i];
  if (char === '<') return angle(text, i);
  if (char === '`') return code(text, i);
  if (char === ':') return shortcode(text, i);
  if (Object.hasOwn(MARKS, char)) return mark(text, i);
  if (char === 'h' && !isWord(text[i - 1])) return bareUrl(text, i);
  return null;
}

function bareUrl(text, i) {
  const match = /^https?:\/\/[^\s<>|]*[^\s<>|.,;:!?)\]}'"*_~]/.exec(text.slice(i));
  return match && { node: link(unescape(match[0]), unescape(match[0])), end: i + match[0].length };
}

function code(text, i) {
  const end = text.indexOf('`', i + 1);
  if (end <= i + 1) return null;
  return { node: h('code', null, unescape(text.slice(i + 1, end))), end: end + 1 };
}

function shortcode(text, i) {
  const match = /^:([a-z0-9_+-]+):(?::skin-tone-\d:)?/.exec(text.slice(i, i + 60));
  const symbol = match && emoji(match[1]);
  return symbol ? { node: h('span', { class: 'emoji', title: `:${match[1]}:`, role: 'img', 'aria-label': match[1] }, symbol), end: i + match[0].length } : null;
}

const isWord = (char) => char !== undefined && /[\p{L}\p{N}]/u.test(char);
const isSpace = (char) => char === undefined || /\s/.test(char);

function mark(text, i) {
  const char = text[i];
  if (isWord(text[i - 1]) || isSpace(text[i + 1]) || text[i + 1] === char) return null;
  const end = closing(text, i, char);
  if (end < 0) return null;
  return { node: h(MARKS[char], null, inline(text.slice(i + 1, end))), end: end + 1 };
}

function closing(text, start, char) {
  for (let j = start + 1; j < text.length; j += 1) {
    if (text[j] === '`' || text[j] === '<') {
      const end = text.indexOf(text[j] === '<' ? '>' : '`', j + 1);
      if (end > 0) j = end;
    } else if (text[j] === char && j > start + 1 && !isSpace(text[j - 1]) && !isWord(text[j + 1])) {
      return j;
    }
  }
  return -1;
}

function angle(text, i) {
  const end = text.indexOf('>', i);
  if (end < 0) return null;
  const body = text.slice(i + 1, end);
  const node = reference(body);
  return node && { node, end: end + 1 };
}

function reference(body) {
  const bar = body.indexOf('|');
  const target = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? '' : body.slice(bar + 1);
  if (target.startsWith('@')) return mention(target.slice(1), unescape(label));
  if (target.startsWith('#')) return channelMention(target.slice(1), unescape(label));
  if (target.startsWith('!')) return special(target.slice(1), label);
  if (!/^(https?:\/\/|mailto:|tel:|slack:\/\/|\/)/i.test(target)) return null;
  return link(unescape(target), label ? withEmoji(unescape(label)) : unescape(target).replace(/^(mailto|tel):/, ''));
}

/** `@name` of a person; highlighted when it is the reader. */
export function mention(id, label) {
  return h('span', { class: id === state.me ? 'mention mention-me' : 'mention', 'data-user-id': id }, `@${userName(id) || label || id}`);
}

/** `#name` of a channel. */
export function channelMention(id, label) {
  return h('a', { class: 'mention', href: `?user=${state.me}&channel=${id}`, 'data-goto-channel': id }, `#${channelName(id) || label || id}`);
}

function special(target, label) {
  if (target.startsWith('date^')) return dateReference(target, label);
  if (target.startsWith('subteam^')) return h('span', { class: 'mention' }, unescape(label) || '@group');
  const name = target.split('^')[0];
  if (['here', 'channel', 'everyone'].includes(name)) return h('span', { class: 'mention mention-me' }, `@${name}`);
  return null;
}

function dateReference(target, label) {
  const [, timestamp, template = '', url] = target.split('^');
  const node = timeNode(timestamp, unescape(template), unescape(label));
  return url ? link(unescape(url), node) : node;
}
