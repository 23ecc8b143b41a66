// The page starts here: build the parts, connect, and let events move the state.

import { connect, session } from './api.js';
import { refreshDates } from './dates.js';
import { byId, h } from './dom.js';
import { toast } from './dialogs.js';
import { mountChannel } from './channel.js';
import { mountModal } from './modal.js';
import { mountSidebar } from './sidebar.js';
import { mountThread } from './thread.js';
import { closeThread, restorePlace, watchLinks } from './navigate.js';
import { apply, emit, forgetReads, load, state } from './state.js';

const CLOCK_MS = 20_000;

function onState(fresh) {
  const first = !state.me;
  load(fresh);
  session.user = state.me;
  if (first) restorePlace();
  else emit('place');
  emit('messages', {});
  emit('views');
  emit('home');
  document.body.dataset.ready = 'true';
}

function onEvent(event) {
  if (event.type === 'toast') toast(event.text, event.level);
  else if (event.type === 'reset') {
    forgetReads();
    location.reload();
  } else if (!apply(event)) console.warn('unknown event', event.type);
}

function onStatus(status) {
  state.status = status;
  if (status === 'nobody') explainNobody();
  emit('status');
}

// The address names a person who does not exist here: say so, and offer the way in.
function explainNobody() {
  byId('main').replaceChildren(h('div', { class: 'home-empty', role: 'alert' }, h('h2', null, `Nobody here has the id “${session.user}”`),
    h('p', null, 'Take another person at the end of the address: ', h('code', null, '?user=…'))));
}

mountSidebar();
mountChannel();
mountThread();
mountModal();
watchLinks();
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !event.defaultPrevented && !state.views.length) closeThread();
});
setInterval(() => {
  refreshDates();
  emit('clock');
}, CLOCK_MS);
emit('status');
connect({ onState, onEvent, onStatus });
