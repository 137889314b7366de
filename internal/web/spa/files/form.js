// Forms whose errors are seen and heard: what is wrong with a field stands below
// it and is tied to it, everything else stands in the form's alert.

import { ProblemError } from './client.js';

/**
 * Calls act with the values of the form when it is submitted and complete. What
 * act throws is shown in the form, once; until act is done nothing is submitted.
 */
export function onSubmit(form, act) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (form.getAttribute('aria-busy') === 'true') return;
    clearErrors(form);
    const empty = [...form.querySelectorAll('input[required]')].filter((input) => input.value === '');
    if (empty.length > 0) {
      for (const input of empty) showFieldError(input, 'Please fill this in.');
      empty[0].focus();
      return;
    }
    form.setAttribute('aria-busy', 'true');
    try {
      await act(Object.fromEntries(new FormData(form)));
    } catch (err) {
      showError(form, err);
    } finally {
      form.removeAttribute('aria-busy');
    }
  });
}

/** Empties a form, with all that is said about it. */
export function resetForm(form) {
  form.reset();
  clearErrors(form);
}

/** Says for people what is wrong. */
export function textOf(err) {
  if (!(err instanceof ProblemError)) return 'The server cannot be reached. Please try again.';
  const text = /[.!?]$/.test(err.message) ? err.message : `${err.message}.`;
  return err.retryAfter === null ? text : `${text} Please try again in ${err.retryAfter} s.`;
}

function showError(form, err) {
  const fields = (err.errors ?? []).map(({ pointer, detail }) => ({ input: inputOf(form, pointer), detail }));
  const known = fields.filter(({ input }) => input);
  for (const { input, detail } of known) showFieldError(input, detail);
  if (known.length === 0 || known.length < fields.length) form.querySelector('[role="alert"]').textContent = textOf(err);
  const first = known[0]?.input ?? form.querySelector('input[type="password"]');
  first.focus();
  if (first.type === 'password') first.select();
}

/** Returns the input whose name a pointer of the server, such as /password, has. */
function inputOf(form, pointer) {
  return [...form.elements].find((e) => e.name !== '' && `/${e.name}` === pointer);
}

function showFieldError(input, text) {
  const error = document.createElement('p');
  error.className = 'error';
  error.id = `${input.id}-error`;
  error.setAttribute('role', 'alert');
  input.after(error);
  input.setAttribute('aria-invalid', 'true');
  input.setAttribute('aria-describedby', [error.id, input.getAttribute('aria-describedby')].filter(Boolean).join(' '));
  error.textContent = text;
}

function clearErrors(form) {
  form.querySelector('[role="alert"]').textContent = '';
  for (const error of form.querySelectorAll('.error')) error.remove();
  for (const input of form.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    const rest = input.getAttribute('aria-describedby').replace(/^\S+ ?/, '');
    if (rest) input.setAttribute('aria-describedby', rest);
    else input.removeAttribute('aria-describedby');
  }
}
