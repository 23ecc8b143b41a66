// Sending block_actions: one place that knows the payload, the spinner and the confirm dialog.

import { api } from './api.js';
import { collect } from './values.js';
import { confirmFirst, toast } from './dialogs.js';

const pending = new Set();
const pendingKey = (ctx, block, element) => `${ctx.key}\n${block.block_id}\n${element.action_id}`;

/** True while the app has not yet acknowledged this element's last action. */
export const isPending = (ctx, block, element) => pending.has(pendingKey(ctx, block, element));

// A block may be drawn anew while its action is under way, so the nodes are looked up each time.
function paint(ctx, block, element, { failed = false } = {}) {
  const busy = isPending(ctx, block, element);
  const scope = `[data-container="${CSS.escape(ctx.key)}"] [data-block-id="${CSS.escape(block.block_id)}"]`;
  for (const node of document.querySelectorAll(`${scope} [data-action-id="${CSS.escape(element.action_id || '')}"]`)) {
    node.classList.toggle('is-pending', busy);
    node.classList.toggle('is-failed', failed);
    node.setAttribute('aria-busy', String(busy));
  }
}

/**
 * Send one action after its confirm dialog, if it has one. `payload` is what the person did: {type, value?,
 * selected_option?, …}. Returns false when the person said no.
 */
export async function dispatch(ctx, block, element, payload) {
  if (element.confirm && !(await confirmFirst(element.confirm))) return false;
  const key = pendingKey(ctx, block, element);
  if (pending.has(key) && element.type === 'button') return true;
  pending.add(key);
  paint(ctx, block, element);
  const answer = await api.action({
    container: ctx.container,
    block_id: block.block_id,
    action_id: element.action_id,
    payload,
    state: collect(ctx.key),
  });
  pending.delete(key);
  paint(ctx, block, element, { failed: !answer.ok });
  if (!answer.ok) toast(answer.error || 'That did not work. Try again?', 'error');
  return true;
}
