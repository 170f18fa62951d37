// Puts the page together: tabs, theme, the server's state, and the address that holds view and settings.

import {getJson} from './api.js';
import {Chat} from './chat.js';
import {Dashboard} from './dashboard.js';
import {byId, store} from './dom.js';
import {Settings} from './settings.js';

const VIEWS = ['chat', 'dashboard'];
const STATE_PERIOD = 5000;  // ms
const NARROW = matchMedia('(max-width: 62rem)');

let view = 'chat';
let model = null;

function writeAddress() {
  const params = settings.toParams();
  if (view !== 'chat') params.set('view', view);
  const hash = params.toString();
  history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
}

function readAddress() {
  const params = new URLSearchParams(location.hash.slice(1));
  settings.apply(params);
  if (params.get('prompt')) chat.draft(params.get('prompt'));
  show(VIEWS.includes(params.get('view')) ? params.get('view') : 'chat');
}

// --- Tabs

function show(name) {
  view = name;
  for (const one of VIEWS) {
    const tab = byId(`tab-${one}`);
    tab.setAttribute('aria-selected', String(one === name));
    tab.tabIndex = one === name ? 0 : -1;
    byId(one).hidden = one !== name;
  }
  byId('skip').hidden = name !== 'chat';
  document.title = name === 'chat' ? 'tern' : 'tern dashboard';
  dashboard.see(name === 'dashboard');
  writeAddress();
}

for (const [i, name] of VIEWS.entries()) {
  const tab = byId(`tab-${name}`);
  tab.addEventListener('click', () => show(name));
  tab.addEventListener('keydown', (event) => {
    const to = {ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: VIEWS.length - 1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = VIEWS[(to + VIEWS.length) % VIEWS.length];
    show(next);
    byId(`tab-${next}`).focus();
  });
}

// --- Theme

const THEMES = ['system', 'light', 'dark'];

function showTheme() {
  byId('theme').textContent = `Theme: ${document.documentElement.dataset.theme ?? 'system'}`;
}

byId('theme').addEventListener('click', () => {
  const now = document.documentElement.dataset.theme ?? 'system';
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  if (next === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  store.set('tern.theme', next === 'system' ? null : next);
  showTheme();
});

// --- Settings beside the chat, or over it where there is no room beside it

function showSettings(open, focus) {
  byId('settings').hidden = !open;
  byId('settings-toggle').setAttribute('aria-expanded', String(open));
  document.querySelector('.talk').inert = open && NARROW.matches;
  if (!focus) return;
  (open ? byId('settings-title') : byId('settings-toggle')).focus();
}

byId('settings-toggle').addEventListener('click', () => showSettings(byId('settings').hidden, true));
byId('settings-close').addEventListener('click', () => showSettings(false, true));
byId('settings').addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !NARROW.matches) return;
  event.preventDefault();
  showSettings(false, true);
});
NARROW.addEventListener('change', () => showSettings(!NARROW.matches, false));

// --- The server

async function lookAtServer() {
  let state;
  try {
    await getJson('health', {key: settings.key()});
    state = 'ready';
    if (model === null) {
      model = (await getJson('v1/models', {key: settings.key()})).data?.[0]?.id ?? null;
      byId('model').textContent = byId('model').title = model ?? '';
    }
  } catch (error) {
    state = {503: 'loading', 401: 'wants an API key', 403: 'wants an API key'}[error.status] ??
        (state === 'ready' ? state : 'not reachable');
  }
  if (byId('server-state').textContent !== `Server: ${state}`) {
    byId('server-state').textContent = `Server: ${state}`;
    byId('server-dot').dataset.state = state;
    byId('server-dot').title = state;
  }
  setTimeout(lookAtServer, STATE_PERIOD);
}

const settings = new Settings(writeAddress);
const dashboard = new Dashboard(() => settings.key());
const chat = new Chat(settings, () => model);
addEventListener('hashchange', readAddress);
readAddress();
showTheme();
showSettings(!NARROW.matches, false);
lookAtServer();
if (view === 'chat' && !NARROW.matches) byId('message').focus();
