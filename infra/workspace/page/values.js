// What people typed and chose, kept apart from the DOM: a view that is updated under their hands keeps every
// value whose block_id and action_id are still there, and takes initial values for the rest, as in Slack.

const stores = new Map(); // container key -> Map("block\naction" -> value object)
const touched = new Map(); // container key -> Set("block\naction") of what was entered in this very tab

const SLOTS = {
  plain_text_input: ['value', 'initial_value'],
  number_input: ['value', 'initial_value'],
  email_text_input: ['value', 'initial_value'],
  url_text_input: ['value', 'initial_value'],
  static_select: ['selected_option', 'initial_option'],
  external_select: ['selected_option', 'initial_option'],
  radio_buttons: ['selected_option', 'initial_option'],
  checkboxes: ['selected_options', 'initial_options'],
  multi_static_select: ['selected_options', 'initial_options'],
  multi_external_select: ['selected_options', 'initial_options'],
  users_select: ['selected_user', 'initial_user'],
  multi_users_select: ['selected_users', 'initial_users'],
  conversations_select: ['selected_conversation', 'initial_conversation'],
  multi_conversations_select: ['selected_conversations', 'initial_conversations'],
  channels_select: ['selected_channel', 'initial_channel'],
  multi_channels_select: ['selected_channels', 'initial_channels'],
  datepicker: ['selected_date', 'initial_date'],
  timepicker: ['selected_time', 'initial_time'],
  datetimepicker: ['selected_date_time', 'initial_date_time'],
  file_input: ['files', null],
};

/** The field that carries an element's value ("selected_option", "value", …); null for buttons and the like. */
export const slotOf = (element) => SLOTS[element.type]?.[0] || null;

/** True if the element's value is a list. */
export const isMany = (element) => /s$/.test(slotOf(element) || '');

/** Every stateful element: [{block, element}]. */
export function stateful(blocks) {
  const found = [];
  for (const block of blocks || []) {
    const elements = [block.element, block.accessory, ...(block.type === 'actions' ? block.elements : [])];
    for (const element of elements) if (element && slotOf(element)) found.push({ block, element });
  }
  return found;
}

const cellKey = (block, element) => `${block.block_id}\n${element.action_id}`;

function initial(element) {
  const [slot, source] = SLOTS[element.type];
  const empty = isMany(element) ? [] : null;
  return { type: element.type, [slot]: (source && element[source]) ?? empty };
}

// A choice that the new options no longer offer cannot stay; options that load from outside are trusted.
function stillValid(element, value) {
  if (value.type !== element.type) return false;
  const groups = element.option_groups?.flatMap((group) => group.options);
  const options = element.options || groups;
  if (!options || value.selected_option === undefined) return true;
  return !value.selected_option || options.some((option) => option.value === value.selected_option.value);
}

/**
 * Bring a container's values in line with its blocks. `seed` ({block_id: {action_id: value}}) is what the
 * server remembers: what was entered before a reload, or elsewhere by the same person. It counts where nothing
 * was entered in this tab.
 */
export function sync(key, blocks, seed) {
  const old = stores.get(key);
  const next = new Map();
  for (const { block, element } of stateful(blocks)) {
    const cell = cellKey(block, element);
    const mine = touched.get(key)?.has(cell) ? old?.get(cell) : null;
    const kept = mine || seed?.[block.block_id]?.[element.action_id] || old?.get(cell);
    next.set(cell, kept && stillValid(element, kept) ? kept : initial(element));
  }
  stores.set(key, next);
}

/** The value object of one element, e.g. {type: "datepicker", selected_date: "2026-11-21"}. */
export function read(key, block, element) {
  return stores.get(key)?.get(cellKey(block, element)) || initial(element);
}

/** The bare value: text, option, list of options, date… */
export const valueOf = (key, block, element) => read(key, block, element)[slotOf(element)];

/** Set the bare value of one element. */
export function write(key, block, element, value) {
  if (!stores.has(key)) stores.set(key, new Map());
  if (!touched.has(key)) touched.set(key, new Set());
  touched.get(key).add(cellKey(block, element));
  stores.get(key).set(cellKey(block, element), { type: element.type, [slotOf(element)]: value });
}

/** All values in Slack's shape: {values: {block_id: {action_id: value}}}. */
export function collect(key) {
  const values = {};
  for (const [cell, value] of stores.get(key) || []) {
    const [blockId, actionId] = cell.split('\n');
    (values[blockId] ||= {})[actionId] = value;
  }
  return { values };
}

/** Forget the values of containers that are gone. */
export function forget(keep) {
  for (const key of stores.keys()) if (key.startsWith('view:') && !keep.has(key)) {
    stores.delete(key);
    touched.delete(key);
  }
}

const isEmpty = (value) => value === null || value === undefined || value.length === 0 || (typeof value === 'string' && !value.trim());

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;
const WEB = /^https?:\/\/[^\s]+\.[^\s]+$/i;

function numberProblem(element, text) {
  const number = Number(text);
  if (Number.isNaN(number)) return 'Please enter a number.';
  if (!element.is_decimal_allowed && !Number.isInteger(number)) return 'Please enter a whole number.';
  const { min_value: low, max_value: high } = element;
  if (low !== undefined && number < Number(low)) return `Please enter a number of at least ${low}.`;
  if (high !== undefined && number > Number(high)) return `Please enter a number of at most ${high}.`;
  return null;
}

const CHECKS = {
  number_input: numberProblem,
  email_text_input: (_, text) => (EMAIL.test(text) ? null : 'Please enter a valid email address.'),
  url_text_input: (_, text) => (WEB.test(text) ? null : 'Please enter a valid web address.'),
  plain_text_input(element, text) {
    if (element.min_length && text.length < element.min_length) return `Please enter at least ${element.min_length} characters.`;
    if (element.max_length && text.length > element.max_length) return `Please enter at most ${element.max_length} characters.`;
    return null;
  },
};

/** What the client itself refuses before a view is submitted: {block_id: sentence}. */
export function problems(key, blocks) {
  const found = {};
  for (const { block, element } of stateful(blocks)) {
    if (block.type !== 'input') continue;
    const value = valueOf(key, block, element);
    let problem = null;
    if (isEmpty(value)) problem = block.optional ? null : 'Please complete this required field.';
    else problem = CHECKS[element.type]?.(element, value) || null;
    if (problem) found[block.block_id] = problem;
  }
  return found;
}
