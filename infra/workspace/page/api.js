// The server's page side: JSON over fetch, events over one websocket that comes back by itself.

const params = new URLSearchParams(location.search);

const REMEMBERED = 'workspace.user';
const FIRST_PERSON = 'U0ELENA';
const FIRST_DELAY_MS = 400;
const LAST_DELAY_MS = 6000;

async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: session.user, ...body }),
    });
    return await answerOf(response);
  } catch (error) {
    return { ok: false, error: 'The workspace does not answer. Is it still running?', cause: String(error) };
  }
}

async function answerOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    return { ok: false, error: `The workspace answered ${response.status}`, cause: String(error) };
  }
}

/** The person this tab plays: as `?user=U…` says, else whoever was played last. */
export const session = { user: params.get('user') || localStorage.getItem(REMEMBERED) || FIRST_PERSON };

export const api = {
  command: (channel, text) => post('/page/command', { channel, text }),
  message: (channel, text, thread) => post('/page/message', { channel, text, ...(thread ? { thread_ts: thread } : {}) }),
  home: () => post('/page/home', {}),
  action: (body) => post('/page/action', body),
  submit: (viewId, state) => post('/page/submit', { view_id: viewId, state }),
  close: (viewId, all) => post('/page/close', { view_id: viewId, all }),
  options: (body) => post('/page/options', body),
};

/** The whole state of one person; null if there is no such person; throws when the server is away. */
async function fetchState() {
  const response = await fetch(`/page/state?user=${encodeURIComponent(session.user)}`);
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`state: ${response.status}`);
  localStorage.setItem(REMEMBERED, session.user);
  return response.json();
}

/** Upload one file with progress (`onProgress` gets 0..1); resolves to {ok, file?, error?}. */
export function upload(file, onProgress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const query = new URLSearchParams({ user: session.user, name: file.name });
    request.open('POST', `/page/upload?${query}`);
    request.upload.addEventListener('progress', (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener('load', () => {
      try {
        resolve(JSON.parse(request.responseText));
      } catch (error) {
        resolve({ ok: false, error: `The upload failed (${request.status})`, cause: String(error) });
      }
    });
    request.addEventListener('error', () => resolve({ ok: false, error: 'The upload was interrupted' }));
    request.send(file);
  });
}

/**
 * Fetch the state, then keep a websocket open. On every (re)connection the state is fetched anew: events that
 * arrive meanwhile wait and are applied after it, so that nothing is missed and nothing is applied to an older
 * picture. `onStatus` hears "live", "away" and, for an unknown person, "nobody".
 */
export async function connect({ onState, onEvent, onStatus }) {
  let delay = FIRST_DELAY_MS;
  const refresh = async () => {
    const fresh = await fetchState();
    if (fresh) onState(fresh);
    return fresh;
  };
  const open = () => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/page/events?user=${encodeURIComponent(session.user)}`);
    let waiting = [];
    socket.addEventListener('open', async () => {
      try {
        await refresh();
      } catch (error) {
        console.warn('no state yet', error);
        socket.close();
        return;
      }
      delay = FIRST_DELAY_MS;
      onStatus('live');
      for (const event of waiting) onEvent(event);
      waiting = null;
    });
    socket.addEventListener('message', ({ data }) => {
      const event = JSON.parse(data);
      if (waiting) waiting.push(event);
      else onEvent(event);
    });
    socket.addEventListener('close', () => {
      onStatus('away');
      setTimeout(open, delay);
      delay = Math.min(delay * 1.7, LAST_DELAY_MS);
    });
  };
  try {
    if (!(await refresh())) {
      onStatus('nobody');
      return;
    }
  } catch (error) {
    console.warn('the workspace does not answer yet', error);
  }
  open();
}
