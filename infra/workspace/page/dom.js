// The few DOM helpers that every other module builds on. Text always enters the document as a text
// node, never as markup, so a hostile file name stays a name.

/**
 * Create an element. `props`: `class`, `on` ({event: handler}), `style` (object), everything else an
 * attribute (true -> empty attribute; false, null and undefined -> left out).
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) setProp(node, name, value);
  append(node, children);
  return node;
}

function setProp(node, name, value) {
  if (value === false || value === null || value === undefined) return;
  if (name === 'on') {
    for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
  } else if (name === 'style') {
    Object.assign(node.style, value);
  } else if (name === 'value' && 'value' in node) {
    node.value = value;
  } else {
    node.setAttribute(name, value === true ? '' : String(value));
  }
}

/** Append nodes, strings, numbers and (nested) arrays of them; null, undefined and false are skipped. */
export function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

export const byId = (id) => document.getElementById(id);

/** A class list from a mix of names and falsy values. */
export const cls = (...names) => names.filter(Boolean).join(' ');

/**
 * Make `parent`'s children follow `items` ({key, sig, make, update?}), reusing the node of an unchanged
 * item. A reused node is not moved unless it has to be: moving would cost its focus and scroll position.
 */
export function reconcile(parent, items) {
  const old = new Map();
  for (const child of [...parent.children]) old.set(child.reconcileKey, child);
  let cursor = parent.firstChild;
  for (const item of items) {
    const previous = old.get(item.key);
    const node = reuse(previous, item) || item.make();
    node.reconcileKey = item.key;
    node.reconcileSig = item.sig;
    if (previous) old.delete(item.key);
    if (previous && previous !== node) {
      if (cursor === previous) cursor = previous.nextSibling;
      previous.remove();
    }
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
  for (const child of old.values()) child.remove();
}

function reuse(node, item) {
  if (!node) return null;
  if (node.reconcileSig === item.sig) return node;
  if (item.update && item.update(node) !== false) return node;
  return null;
}

/** Run `change`, then give the focus (and the text selection) back to the control that had it. */
export function keepingFocus(root, change) {
  const active = document.activeElement;
  const inside = active && active !== document.body && root.contains(active);
  const selector = inside ? focusSelector(active) : null;
  const selection = inside ? selectionOf(active) : null;
  change();
  if (!inside || document.activeElement === active || !selector) return;
  const again = root.querySelector(selector);
  if (!again) return;
  again.focus({ preventScroll: true });
  if (selection && again.setSelectionRange) {
    try {
      again.setSelectionRange(selection[0], selection[1]);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // number and date inputs have no selection
    }
  }
}

function focusSelector(node) {
  const key = node.getAttribute('data-focus-key');
  return key ? `[data-focus-key="${CSS.escape(key)}"]` : null;
}

function selectionOf(node) {
  return typeof node.selectionStart === 'number' ? [node.selectionStart, node.selectionEnd] : null;
}

/** The address, if it may be put into a link; null for `javascript:` and the like. */
export function safeUrl(url) {
  const text = String(url || '').trim();
  if (text.startsWith('/') && !text.startsWith('//')) return text;
  return /^(https?:\/\/|mailto:|tel:|slack:\/\/)/i.test(text) ? text : null;
}

/** A link to elsewhere; an address with an unsafe scheme becomes plain text. */
export function link(url, children, props) {
  const href = safeUrl(url);
  if (!href) return h('span', null, children);
  return h('a', { href, target: '_blank', rel: 'noopener noreferrer', ...props }, children);
}
