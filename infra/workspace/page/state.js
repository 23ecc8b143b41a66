// What this tab knows: the server's picture, plus what only this tab has (which channel is open, what was
// read). Views listen by topic; nobody else writes the fields.

export const state = {
  team: null,
  me: '',
  bot: null,
  users: [],
  commands: [],
  channels: [],
  messages: {},
  home: null,
  views: [],
  channel: null, // id of the open channel, or 'home'
  thread: null, // {channel, ts} of the open thread
  status: 'connecting',
  viewsVersion: 0,
};

const listeners = new Map();

/** Call `listener` whenever `topic` changes: messages, channels, views, home, place, status. */
export function on(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, []);
  listeners.get(topic).push(listener);
}

export function emit(topic, detail) {
  for (const listener of listeners.get(topic) || []) listener(detail);
}

export const user = (id) => state.users.find((one) => one.id === id) || null;
export const userName = (id) => user(id)?.name || (isBot(id) ? botName() : null);
export const botName = () => state.bot?.name || state.users.find((one) => one.is_bot)?.name || 'App';
export const isBot = (id) => Boolean(id) && (id === state.bot?.id || id === state.bot?.user_id || id === state.bot?.bot_id || Boolean(user(id)?.is_bot));
export const channel = (id) => state.channels.find((one) => one.id === id) || null;
export const channelName = (id) => channel(id)?.name || null;
export const directMessage = () => state.channels.find((one) => one.kind === 'im') || null;

/** Every visible message of a channel, oldest first. */
export const messagesOf = (id) => (state.messages[id] || []).filter(visible);

const dismissed = new Set();
const visible = (message) => (!message.ephemeral_for || message.ephemeral_for === state.me) && !dismissed.has(message.ts);

/** Hide an ephemeral message in this tab. */
export function dismiss(channelId, ts) {
  dismissed.add(ts);
  emit('messages', { channel: channelId });
}

const isReply = (message) => message.thread_ts && message.thread_ts !== message.ts;

/** What the channel itself shows: no thread replies, unless they were also sent to the channel. */
export const topLevel = (id) => messagesOf(id).filter((one) => !isReply(one) || one.subtype === 'thread_broadcast');
export const repliesOf = (id, ts) => messagesOf(id).filter((one) => one.thread_ts === ts && one.ts !== ts);
export const messageAt = (id, ts) => messagesOf(id).find((one) => one.ts === ts) || null;

/** Take over a fresh state from the server. */
export function load(fresh) {
  Object.assign(state, {
    team: fresh.team,
    me: typeof fresh.me === 'string' ? fresh.me : fresh.me.id,
    bot: typeof fresh.bot === 'string' ? { id: fresh.bot } : fresh.bot,
    users: fresh.users || [],
    commands: fresh.commands || [],
    channels: fresh.channels || [],
    messages: {},
    home: fresh.home || null,
    views: fresh.views || [],
  });
  for (const [id, list] of Object.entries(fresh.messages || {})) state.messages[id] = [...list].sort(byTs);
  state.viewsVersion += 1;
}

const byTs = (a, b) => (a.ts < b.ts ? -1 : Number(a.ts > b.ts));

function put(channelId, message) {
  const list = (state.messages[channelId] ||= []);
  const index = list.findIndex((one) => one.ts === message.ts);
  if (index >= 0) list[index] = message;
  else {
    list.push(message);
    if (list.length > 1 && byTs(list.at(-2), message) > 0) list.sort(byTs);
  }
}

const HANDLERS = {
  message: (event) => changed(event),
  message_changed: (event) => changed(event),
  message_deleted({ channel: id, ts }) {
    state.messages[id] = (state.messages[id] || []).filter((one) => one.ts !== ts);
    emit('messages', { channel: id });
  },
  views({ views }) {
    state.views = views;
    state.viewsVersion += 1;
    emit('views');
  },
  home({ view }) {
    state.home = view;
    emit('home');
  },
  channels({ channels }) {
    state.channels = channels;
    emit('channels');
  },
};

function changed({ type, channel: id, message }) {
  put(id, message);
  emit('messages', { channel: id, message, isNew: type === 'message' });
}

/** Apply one event of the websocket; false if it is not about the state. */
export function apply(event) {
  const handler = HANDLERS[event.type];
  if (!handler) return false;
  handler(event);
  return true;
}

// --- What was read: kept in the browser, for each person. ---

const readKey = () => `workspace.read.${state.me}`;
let readCache = null;

function reads() {
  if (readCache?.key !== readKey()) readCache = { key: readKey(), seen: JSON.parse(localStorage.getItem(readKey()) || '{}') };
  return readCache.seen;
}

/** Remember that everything up to `ts` was seen in a channel or thread (`place` is its id). */
export function markRead(place, ts) {
  const seen = reads();
  if (!ts || (seen[place] || '') >= ts) return false;
  seen[place] = ts;
  localStorage.setItem(readKey(), JSON.stringify(seen));
  return true;
}

const fromOthers = (message) => message.user !== state.me;
const unreadIn = (list, place) => list.filter((one) => fromOthers(one) && one.ts > (reads()[place] || '')).length;

export const unreadCount = (id) => unreadIn(topLevel(id), id);
export const unreadReplies = (id, ts) => unreadIn(repliesOf(id, ts), `${id}/${ts}`);
export const lastRead = (place) => reads()[place] || '';

/** Forget what was read (the workspace was reset). */
export function forgetReads() {
  localStorage.removeItem(readKey());
  readCache = null;
}
