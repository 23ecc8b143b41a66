// Layout blocks into DOM. `renderBlocks` keeps the nodes of blocks that did not change, so an update neither
// steals the focus nor makes anything flicker.

import { append, cls, h, keepingFocus, link, reconcile, safeUrl } from './dom.js';
import { icon } from './icons.js';
import { enlarge, textObject } from './dialogs.js';
import { element } from './elements.js';
import { markdown } from './markdown.js';
import { richText } from './richtext.js';
import { sync } from './values.js';

/**
 * Draw `blocks` into `root` and keep them current. `ctx`: {key, container, seed?, errors?, onChange?, onUpload?, onEnter?};
 * it gains `redraw(block)`, which draws one block anew though its JSON is the same.
 */
export function renderBlocks(root, blocks, ctx) {
  root.dataset.container = ctx.key;
  ctx.redraw = (stale) => {
    for (const node of root.children) if (node.dataset.blockId === stale.block_id) node.reconcileSig = null;
    renderBlocks(root, blocks, ctx);
  };
  sync(ctx.key, blocks, ctx.seed);
  const items = (blocks || []).map((block, index) => {
    const error = ctx.errors?.[block.block_id] || '';
    return { key: block.block_id || `#${index}`, sig: JSON.stringify(block) + error, make: () => drawBlock(ctx, block, error) };
  });
  keepingFocus(root, () => reconcile(root, items));
}

function drawBlock(ctx, block, error) {
  const make = BLOCKS[block.type] || unknown;
  const node = h('div', { class: cls('block', `block-${block.type}`), 'data-block-id': block.block_id, 'data-block-type': block.type });
  return append(node, [make(ctx, block, error)]);
}

const unknown = (ctx, block) => h('div', { class: 'unknown', 'data-testid': 'unknown-block' }, icon('info', 16), ` A “${block.type}” block: shown in Slack, not in this workspace.`);

function section(ctx, block) {
  const fields = block.fields && h('div', { class: 'fields' }, block.fields.map((field) => h('div', { class: 'field-cell' }, textObject(field))));
  const accessory = block.accessory && h('div', { class: 'accessory' }, block.accessory.type === 'image' ? picture(block.accessory, 'accessory-image') : element(ctx, block, block.accessory));
  return h('div', { class: cls('section', accessory && 'has-accessory', /select/.test(block.accessory?.type) && 'wide-accessory') },
    h('div', { class: 'section-body' }, block.text && h('div', { class: 'text' }, textObject(block.text)), fields), accessory);
}

function context(ctx, block) {
  return h('div', { class: 'context' }, block.elements.map((one) => (one.type === 'image' ? picture(one, 'context-image') : h('span', { class: 'context-text' }, textObject(one)))));
}

/** Where the bytes of an image come from: an own file or an address. */
export function imageSource(image) {
  const file = image.slack_file;
  if (!file) return safeUrl(image.image_url) || '';
  const id = file.id || /\/(F[A-Z0-9]+)(?:\/|$)/.exec(file.url || '')?.[1];
  return id ? `/page/file/${encodeURIComponent(id)}` : safeUrl(file.url) || '';
}

function picture(image, className) {
  const src = imageSource(image);
  const node = h('img', { class: className, src, alt: image.alt_text || '', loading: 'lazy', decoding: 'async' });
  node.addEventListener('error', () => node.replaceWith(h('span', { class: 'broken-image' }, icon('file', 16), ` ${image.alt_text || 'Picture'} (not available)`)));
  if (className === 'context-image') return node;
  return h('button', { class: 'image-button', type: 'button', 'aria-label': `Enlarge: ${image.alt_text || 'picture'}`, on: { click: () => enlarge(src, image.alt_text || '') } }, node);
}

function image(ctx, block) {
  return h('figure', { class: 'figure' }, block.title && h('figcaption', null, textObject(block.title)), picture(block, 'block-image'));
}

function input(ctx, block, error) {
  const label = h('label', { class: 'label', id: `label-${ctx.key}-${block.block_id}` }, textObject(block.label), block.optional && h('span', { class: 'optional' }, ' (optional)'));
  return h('div', { class: cls('input', error && 'has-error') }, label, element(ctx, block, block.element),
    error && h('p', { class: 'input-error', role: 'alert', 'data-testid': 'input-error' }, icon('warn', 14), ` ${error}`),
    block.hint && h('p', { class: 'hint' }, textObject(block.hint)));
}

function cell(content, tag, setting) {
  const inner = content.type === 'rich_text' ? richText(content) : cellText(content);
  return h(tag, { class: cls(`align-${setting?.align || 'left'}`, setting?.is_wrapped && 'wrapped') }, inner);
}

function cellText(content) {
  if (content.type === 'raw_number') return content.text ?? String(content.value ?? content.number ?? '');
  return textObject(content.text && typeof content.text === 'object' ? content.text : { type: 'plain_text', text: String(content.text ?? '') });
}

function table(ctx, block) {
  const settings = block.column_settings || [];
  const [head, ...rows] = block.rows;
  const row = (cells, tag) => h('tr', null, cells.map((one, index) => cell(one, tag, settings[index])));
  return h('div', { class: 'table-scroll' }, h('table', { class: 'table' }, h('thead', null, row(head, 'th')), h('tbody', null, rows.map((one) => row(one, 'td')))));
}

const TASK_MARKS = { complete: 'check', error: 'warn' };

function taskCard(ctx, task) {
  const status = task.status || 'pending';
  const mark = h('span', { class: `task-mark task-${status}`, title: status.replace('_', ' ') }, TASK_MARKS[status] && icon(TASK_MARKS[status], 14));
  const more = [task.details && richText(task.details), task.output && richText(task.output),
    task.sources?.length && h('div', { class: 'task-sources' }, task.sources.map((source) => link(source.url, source.text || source.url)))].filter(Boolean);
  const title = h('span', { class: 'task-title' }, mark, textObject(task.title));
  if (!more.length) return h('div', { class: 'task-card' }, title);
  return h('details', { class: 'task-card', open: status === 'in_progress' || status === 'error' }, h('summary', null, title), h('div', { class: 'task-more' }, more));
}

const plan = (ctx, block) => h('div', { class: 'plan' }, h('div', { class: 'plan-title' }, textObject(block.title)), (block.tasks || []).map((task) => taskCard(ctx, task)));

function alert(ctx, block) {
  const level = block.level || 'default';
  return h('div', { class: `alert alert-${level}`, role: level === 'error' || level === 'warning' ? 'alert' : 'note' }, icon({ error: 'warn', warning: 'warn', success: 'check' }[level] || 'info', 18), h('div', null, textObject(block.text)));
}

function file(ctx, block) {
  return h('div', { class: 'file-card' }, icon('file', 22), h('span', { class: 'file-name' }, block.external_id || 'File'));
}

const BLOCKS = {
  section,
  context,
  context_actions: (ctx, block) => h('div', { class: 'actions' }, block.elements.map((one) => element(ctx, block, one))),
  actions: (ctx, block) => h('div', { class: 'actions' }, block.elements.map((one) => element(ctx, block, one))),
  divider: () => h('hr', { class: 'divider' }),
  header: (ctx, block) => h(`h${Math.min(Math.max(block.level || 3, 1), 6)}`, { class: 'header' }, textObject(block.text)),
  image,
  input,
  rich_text: (ctx, block) => richText(block),
  markdown: (ctx, block) => markdown(block.text),
  table,
  plan,
  task_card: taskCard,
  alert,
  file,
};
