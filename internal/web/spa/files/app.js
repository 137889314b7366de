// The sample app: register, log in, see and end one's sessions, change the
// password, log out. It holds no token; the browser's cookies do.

import { createClient } from './client.js';
import { onSubmit, resetForm, textOf } from './form.js';
import { describe, when } from './session.js';

const VIEWS = { login: 'Log in', register: 'Register', trouble: 'Not right now', home: 'You' };
const UNAUTHORIZED = 401;

const client = createClient();
const $ = (id) => document.getElementById(id);
const formOf = (id) => $(id).querySelector('form');
let shown = null; // the view that is seen
let starts = 0;

/** Shows one view. Somebody who came from another one is taken to its title. */
function show(view, message = '') {
  $('status').textContent = message;
  if (view === shown) return;
  for (const id of Object.keys(VIEWS)) $(id).hidden = id !== view;
  $('logout').hidden = view !== 'home';
  document.title = `${VIEWS[view]} · jotgate`;
  for (const form of document.forms) resetForm(form);
  if (shown !== null) $(view).querySelector('h1').focus();
  shown = view;
}

/** Shows who is signed in, or the way in. If it is called again meanwhile, that counts. */
async function start() {
  const mine = ++starts;
  try {
    const [{ user }, sessions] = await Promise.all([client.me(), client.sessions()]);
    if (mine !== starts) return;
    showUser(user);
    showSessions(sessions);
    show('home');
  } catch (err) {
    if (mine !== starts) return;
    if (err.status === UNAUTHORIZED) return showEntrance();
    show('trouble');
    $('trouble').querySelector('[role="alert"]').textContent = textOf(err);
  }
}

function showEntrance() {
  if (shown === 'login' || shown === 'register') return;
  show('login', shown === 'home' ? 'You are logged out.' : '');
}

function showUser(user) {
  $('hello').textContent = `Hello, ${user.username ?? user.email}`;
  formOf('password').elements.username.defaultValue = user.username ?? user.email;
  const rows = { Username: user.username, Email: user.email, Roles: user.roles.join(', '), 'Here since': when(user.created_at), ID: user.id };
  const known = Object.entries(rows).filter(([, value]) => value);
  $('you').replaceChildren(...known.flatMap(([name, value]) => [element('dt', name), element('dd', value)]));
}

function showSessions(sessions) {
  $('sessions').replaceChildren(...sessions.map(sessionItem));
  $('end-others').hidden = sessions.length < 2;
}

function sessionItem(session) {
  const item = $('session').content.cloneNode(true);
  const name = describe(session);
  item.querySelector('.device').textContent = name;
  item.querySelector('.meta').textContent = `${session.ip} · used ${when(session.last_used_at)}`;
  const button = item.querySelector('button');
  if (session.current) {
    const badge = element('span', 'this one');
    badge.className = 'badge';
    item.querySelector('.device').append(badge);
    button.remove();
    return item;
  }
  button.setAttribute('aria-label', `End the session of ${name}, used ${when(session.last_used_at)}`);
  button.addEventListener('click', () => act(() => client.endSession(session.id), 'The session has ended.'));
  return item;
}

/** Does something to the sessions and says what became of it. */
async function act(what, done) {
  $('sessions-alert').textContent = $('status').textContent = '';
  try {
    await what();
    showSessions(await client.sessions());
    show('home', done);
    if (!document.activeElement || document.activeElement === document.body) $('sessions-title').focus();
  } catch (err) {
    if (err.status === UNAUTHORIZED) return showEntrance();
    $('sessions-alert').textContent = textOf(err);
  }
}

function element(name, text) {
  const e = document.createElement(name);
  e.textContent = text;
  return e;
}

onSubmit(formOf('login'), ({ identifier, password }) => client.login({ identifier, password }));

onSubmit(formOf('register'), async ({ username, email, password }) => {
  await client.register({ username, email: email || undefined, password });
  await client.login({ identifier: username, password }).catch(() => show('login', 'You are registered. Please log in.'));
});

onSubmit(formOf('password'), async ({ current_password, new_password }) => {
  await client.changePassword({ currentPassword: current_password, newPassword: new_password });
  resetForm(formOf('password'));
  await act(() => {}, 'Your password is changed, and every other session has ended.');
});

$('logout').addEventListener('click', () => client.logout().catch((err) => ($('sessions-alert').textContent = textOf(err))));
$('reload').addEventListener('click', () => act(() => {}));
$('end-others').addEventListener('click', () => act(() => client.endOtherSessions(), 'Every other session has ended.'));
$('again').addEventListener('click', () => start());
for (const button of document.querySelectorAll('[data-view]')) {
  button.addEventListener('click', () => show(button.dataset.view));
}

client.onChange((state) => (state === 'signed-in' ? start() : showEntrance()));
// A page that comes back from the browser's memory shows what was.
addEventListener('pageshow', (event) => event.persisted && start());
start();
