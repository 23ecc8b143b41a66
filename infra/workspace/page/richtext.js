// rich_text blocks: the structured form of what people type.

import { cls, h, link } from './dom.js';
import { emoji } from './emoji.js';
import { timeNode } from './dates.js';
import { channelMention, mention } from './mrkdwn.js';

/** Render a rich_text block (or a rich_text cell of a table). */
export function richText(block) {
  return h('div', { class: 'rich-text' }, (block.elements || []).map(part));
}

const PARTS = {
  rich_text_section: (one) => h('div', { class: 'rt-section' }, inlines(one)),
  rich_text_quote: (one) => h('blockquote', null, inlines(one)),
  rich_text_preformatted: (one) => h('pre', { class: 'code-block' }, inlines(one)),
  rich_text_list: list,
};

function part(one) {
  return PARTS[one.type]?.(one) || h('div', { class: 'unknown-inline' }, `[${one.type}]`);
}

function list(one) {
  const tag = one.style === 'ordered' ? 'ol' : 'ul';
  const depth = Math.min(one.indent || 0, 8);
  const props = { class: cls('rt-list', `rt-indent-${depth}`, one.border && 'rt-border'), start: one.offset ? one.offset + 1 : null };
  return h(tag, props, (one.elements || []).map((item) => h('li', null, inlines(item))));
}

const inlines = (one) => (one.elements || []).map(inlinePart);

const INLINE = {
  text: (one) => withLines(one.text),
  link: (one) => link(one.url, one.text || one.url),
  user: (one) => mention(one.user_id),
  usergroup: (one) => h('span', { class: 'mention' }, `@${one.usergroup_id}`),
  team: (one) => h('span', { class: 'mention' }, one.team_id),
  channel: (one) => channelMention(one.channel_id),
  broadcast: (one) => h('span', { class: 'mention mention-me' }, `@${one.range}`),
  emoji: (one) => h('span', { class: 'emoji', title: `:${one.name}:`, role: 'img', 'aria-label': one.name }, symbolOf(one)),
  date: (one) => {
    const node = timeNode(one.timestamp, one.format, one.fallback);
    return one.url ? link(one.url, node) : node;
  },
  color: (one) => h('span', { class: 'rt-color' }, h('span', { class: 'rt-swatch', style: { backgroundColor: one.value } }), one.value),
};

const symbolOf = (one) => (one.unicode ? String.fromCodePoint(...one.unicode.split('-').map((hex) => Number.parseInt(hex, 16))) : emoji(one.name) || `:${one.name}:`);

function withLines(text) {
  return String(text ?? '').split('\n').flatMap((line, index) => (index ? [h('br'), line] : [line]));
}

const STYLES = { code: 'code', bold: 'strong', italic: 'em', strike: 's', underline: 'u', highlight: 'mark' };

function inlinePart(one) {
  let node = INLINE[one.type]?.(one) ?? h('span', { class: 'unknown-inline' }, `[${one.type}]`);
  for (const [style, tag] of Object.entries(STYLES)) if (one.style?.[style]) node = h(tag, null, node);
  return node;
}
