// Standard Markdown for the `markdown` block: headings, lists, tables, quotes, code, links. Like everything
// here it builds nodes; raw HTML in the text is shown as typed.

import { h, link } from './dom.js';
import { emoji } from './emoji.js';

/** Render Markdown text; returns a div. */
export function markdown(text) {
  return h('div', { class: 'markdown' }, blocks(String(text ?? '').replace(/\r\n?/g, '\n').split('\n')));
}

const FENCE = /^ {0,3}(```+|~~~+)\s*([\w+-]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DIVIDER_ROW = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

function blocks(rows) {
  const out = [];
  for (let i = 0; i < rows.length;) {
    const reader = READERS.find(([test]) => test(rows, i));
    const [node, next] = reader[1](rows, i);
    if (node) out.push(node);
    i = next;
  }
  return out;
}

const isTable = (rows, i) => rows[i].includes('|') && i + 1 < rows.length && rows[i + 1].includes('-') && DIVIDER_ROW.test(rows[i + 1]);

const READERS = [
  [(rows, i) => !rows[i].trim(), (rows, i) => [null, i + 1]],
  [(rows, i) => FENCE.test(rows[i]), readFence],
  [(rows, i) => HEADING.test(rows[i]), readHeading],
  [(rows, i) => RULE.test(rows[i]), (rows, i) => [h('hr'), i + 1]],
  [(rows, i) => QUOTE.test(rows[i]), readQuote],
  [isTable, readTable],
  [(rows, i) => ITEM.test(rows[i]), readList],
  [() => true, readParagraph],
];

function readFence(rows, start) {
  const mark = FENCE.exec(rows[start])[1];
  let end = start + 1;
  while (end < rows.length && !rows[end].trim().startsWith(mark)) end += 1;
  return [h('pre', { class: 'code-block' }, rows.slice(start + 1, end).join('\n')), end + 1];
}

function readHeading(rows, i) {
  const [, marks, text] = HEADING.exec(rows[i]);
  return [h(`h${marks.length}`, null, inline(text)), i + 1];
}

function readQuote(rows, start) {
  let end = start;
  const inner = [];
  while (end < rows.length && QUOTE.test(rows[end])) inner.push(rows[end++].replace(QUOTE, ''));
  return [h('blockquote', null, blocks(inner)), end];
}

const cells = (row) => row.trim().replace(/^\|/, '').replace(/(?<!\\)\|$/, '').split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, '|'));

function alignOf(cell) {
  if (/^:-+:$/.test(cell)) return 'center';
  return /-:$/.test(cell) ? 'right' : 'left';
}

function readTable(rows, start) {
  const aligns = cells(rows[start + 1]).map(alignOf);
  const line = (tag, row) => h('tr', null, cells(row).map((cell, n) => h(tag, { class: `align-${aligns[n] || 'left'}` }, inline(cell))));
  let end = start + 2;
  const body = [];
  while (end < rows.length && rows[end].includes('|')) body.push(line('td', rows[end++]));
  const table = h('table', { class: 'table' }, h('thead', null, line('th', rows[start])), h('tbody', null, body));
  return [h('div', { class: 'table-scroll' }, table), end];
}

function readList(rows, start) {
  const [, lead, marker] = ITEM.exec(rows[start]);
  const ordered = /\d/.test(marker);
  const items = [];
  let i = start;
  while (i < rows.length) {
    const match = ITEM.exec(rows[i]);
    if (!match || match[1].length !== lead.length || /\d/.test(match[2]) !== ordered) break;
    const inner = [match[3]];
    i += 1;
    while (i < rows.length && (indentOf(rows[i]) > lead.length || (!rows[i].trim() && indentOf(rows[i + 1] || '') > lead.length))) inner.push(rows[i++]);
    items.push(item(inner));
  }
  return [h(ordered ? 'ol' : 'ul', { start: ordered ? Number.parseInt(marker, 10) : null }, items), i];
}

const indentOf = (row) => (row.trim() ? row.length - row.trimStart().length : 0);

function item(rows) {
  const task = /^\[([ xX])\]\s+(.*)$/.exec(rows[0]);
  const [first, ...rest] = rows;
  const margin = Math.min(...rest.filter((row) => row.trim()).map(indentOf), 99);
  const box = task && h('input', { type: 'checkbox', disabled: true, checked: task[1] !== ' ' });
  return h('li', { class: task ? 'task' : null }, box, inline(task ? task[2] : first), blocks(rest.map((row) => row.slice(margin))));
}

function readParagraph(rows, start) {
  let end = start + 1;
  while (end < rows.length && rows[end].trim() && !READERS.slice(1, -1).some(([test]) => test(rows, end))) end += 1;
  const nodes = rows.slice(start, end).flatMap((row, n) => (n ? [h('br'), inline(row.trim())] : [inline(row.trim())]));
  return [h('p', null, nodes), end];
}

const INLINE = [
  [/^\\([\\`*_{}[\]()#+\-.!~|>])/, ([, char]) => document.createTextNode(char)],
  [/^(`+)([^`]|[^`].*?[^`])\1(?!`)/, (found) => h('code', null, found[2])],
  [/^!?\[((?:[^[\]]|\[[^\]]*\])*)\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)/, ([, label, url]) => link(url, inline(label || url))],
  [/^<(https?:\/\/[^>\s]+)>/, ([, url]) => link(url, url)],
  [/^(\*\*|__)(?=\S)(.+?\S?)\1(?!\w)/, (found) => h('strong', null, inline(found[2]))],
  [/^~~(?=\S)(.+?)~~/, (found) => h('s', null, inline(found[1]))],
  [/^\*(?=[^\s*])(.+?)\*(?!\*)/, (found) => h('em', null, inline(found[1]))],
  [/^_(?=\S)(.+?)_(?!\w)/, (found) => h('em', null, inline(found[1])), true],
  [/^:([a-z0-9_+-]+):/, (found) => emoji(found[1]) && document.createTextNode(emoji(found[1]))],
  [/^https?:\/\/[^\s<>]*[^\s<>.,;:!?)\]}'"]/, ([url]) => link(url, url), true],
];

function inline(text) {
  const fragment = document.createDocumentFragment();
  let plain = '';
  for (let i = 0; i < text.length;) {
    const found = /[\\`![<*_~:h]/.test(text[i]) && inlineAt(text, i);
    if (found) {
      fragment.append(plain, found.node);
      plain = '';
      i += found.length;
    } else plain += text[i++];
  }
  fragment.append(plain);
  return fragment;
}

function inlineAt(text, i) {
  const rest = text.slice(i);
  const inWord = /\w/.test(text[i - 1] || '');
  for (const [pattern, build, atWordStart] of INLINE) {
    const match = (!atWordStart || !inWord) && pattern.exec(rest);
    const node = match && build(match);
    if (node) return { node, length: match[0].length };
  }
  return null;
}
