// What every control of Block Kit shares: its ids, its label, and how a new value travels.

import { dispatch } from './actions.js';
import { slotOf, valueOf, write } from './values.js';

/** Attributes that every element carries: ids for tests and for giving the focus back after an update. */
export function ids(ctx, block, element) {
  return { 'data-action-id': element.action_id, 'data-focus-key': `${ctx.key}|${block.block_id}|${element.action_id}` };
}

/** True if a change in this block is sent to the app at once: always, save in inputs without dispatch_action. */
export const reports = (block) => block.type !== 'input' || Boolean(block.dispatch_action);

/** Take over a new value, and tell the app if this element reports changes. */
export function change(ctx, block, element, value) {
  const before = valueOf(ctx.key, block, element);
  write(ctx.key, block, element, value);
  ctx.onChange?.(block);
  if (!reports(block)) return;
  dispatch(ctx, block, element, { type: element.type, [slotOf(element)]: value }).then((sent) => {
    if (sent) return;
    write(ctx.key, block, element, before); // the person said no in the confirm dialog
    ctx.redraw(block);
  });
}

/** What ties a control to the label of its input block. */
export function labelling(ctx, block) {
  if (block.type !== 'input') return { 'aria-label': block.text?.text?.slice(0, 80) };
  return { 'aria-labelledby': `label-${ctx.key}-${block.block_id}`, 'aria-required': block.optional ? null : 'true' };
}
