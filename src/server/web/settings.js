// The parameters of a request: their fields, and the link that holds them. The link's names are those of the API;
// what has its default isn't in it. The API key never is.

import {announce} from './announcer.js';
import {byId, copyText, element, sessionArea, store} from './dom.js';

const MAX_SEED = 2 ** 31 - 1;

// `slide` is the end of the slider where that is less than the greatest value.
const NUMBERS = [
  {name: 'temperature', label: 'Temperature', value: 0.8, min: 0, max: 5, slide: 2, step: 0.05,
   hint: '0 always takes the likeliest token'},
  {name: 'top_p', label: 'Top p', value: 0.95, min: 0, max: 1, step: 0.01,
   hint: 'Share of the probability that is kept'},
  {name: 'top_k', label: 'Top k', value: 40, min: 0, max: 1000, slide: 200, step: 1,
   hint: 'Likeliest tokens that are kept; 0 keeps all'},
  {name: 'min_p', label: 'Min p', value: 0.05, min: 0, max: 1, step: 0.01,
   hint: 'Least probability, relative to the likeliest'},
  {name: 'max_tokens', label: 'Longest answer', value: 512, min: 1, max: 1000000, slide: 4096, step: 1,
   hint: 'In tokens'},
];

/** A number within the row's bounds, or null. */
function accepted(row, text) {
  const value = Number(text);
  if (String(text).trim() === '' || !Number.isFinite(value)) return null;
  if (value < row.min || value > row.max || (row.step === 1 && !Number.isInteger(value))) return null;
  return value;
}

/** A seed, '' for none, or null. */
function acceptedSeed(text) {
  const trimmed = String(text).trim();
  if (trimmed === '') return '';
  return /^\d{1,10}$/.test(trimmed) && Number(trimmed) <= MAX_SEED ? Number(trimmed) : null;
}

export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;  // short enough to read out
}

export class Settings {
  #values = {};
  #fields = {};

  /** onChange: called after the user or a link changed something. */
  constructor(onChange) {
    this.onChange = onChange;
    for (const row of NUMBERS) byId('sliders').append(this.#numberField(row));
    byId('system').addEventListener('input', () => this.#set('system', byId('system').value));
    byId('seed').addEventListener('input', () => this.#seedTyped());
    byId('seed-new').addEventListener('click', () => this.pinSeed(randomSeed()));
    byId('reset').addEventListener('click', () => {
      this.apply(new URLSearchParams());
      this.onChange();
      announce('Settings have their defaults again.');
    });
    byId('share').addEventListener('click', () => this.copyLink(byId('share'), this.toParams()));
    byId('parameters').addEventListener('submit', (event) => event.preventDefault());
    byId('key').value = store.get('tern.key', sessionArea()) ?? '';
    byId('key').addEventListener('input',
        () => store.set('tern.key', this.key() || null, sessionArea()));
    byId('announce').checked = store.get('tern.announce') !== 'no';
    byId('announce').addEventListener('change',
        () => store.set('tern.announce', byId('announce').checked ? null : 'no'));
  }

  key() {
    return byId('key').value.trim();
  }

  announceAnswers() {
    return byId('announce').checked;
  }

  system() {
    return this.#values.system;
  }

  /** null: a new one for each answer. */
  seed() {
    return this.#values.seed === '' ? null : this.#values.seed;
  }

  /** The sampling parameters by their names in the API, without the seed. */
  numbers() {
    return Object.fromEntries(NUMBERS.map(({name}) => [name, this.#values[name]]));
  }

  pinSeed(seed) {
    byId('seed').value = seed;
    this.#seedTyped();
  }

  /** Takes everything from a link; what it doesn't hold, or holds wrongly, gets its default. */
  apply(params) {
    for (const row of NUMBERS) {
      const value = accepted(row, params.get(row.name) ?? '') ?? row.value;
      const {number, slider} = this.#fields[row.name];
      number.value = value;
      this.#slide(slider, value);
      this.#values[row.name] = value;
      this.#fault(number, `${row.name}-error`, '');
    }
    this.#values.system = byId('system').value = params.get('system') ?? '';
    this.#values.seed = byId('seed').value = acceptedSeed(params.get('seed') ?? '') ?? '';
    this.#fault(byId('seed'), 'seed-error', '');
  }

  /** What differs from the defaults; `seed` stands in for an empty field. */
  toParams(seed = this.seed()) {
    const params = new URLSearchParams();
    for (const row of NUMBERS) {
      if (this.#values[row.name] !== row.value) params.set(row.name, this.#values[row.name]);
    }
    if (seed !== null) params.set('seed', seed);
    if (this.#values.system) params.set('system', this.#values.system);
    return params;
  }

  /** Puts the page's address with these parameters into the clipboard; the button says so. */
  async copyLink(button, params) {
    const link = new URL(location.href);
    link.hash = params.toString();
    const before = button.dataset.label ??= button.textContent;
    const copied = await copyText(link.href);
    button.textContent = copied ? 'Copied' : 'Not copied';
    announce(copied ? 'The link is copied.' : 'The link could not be copied.');
    setTimeout(() => (button.textContent = before), 2000);
  }

  #set(name, value) {
    this.#values[name] = value;
    this.onChange();
  }

  #seedTyped() {
    const seed = acceptedSeed(byId('seed').value);
    this.#fault(byId('seed'), 'seed-error', seed === null ? `A whole number from 0 to ${MAX_SEED}, or nothing` : '');
    if (seed !== null) this.#set('seed', seed);
  }

  #slide(slider, value) {
    slider.value = value;
    slider.style.setProperty('--part', `${100 * (slider.value - slider.min) / (slider.max - slider.min)}%`);
  }

  #fault(input, errorId, text) {
    byId(errorId).textContent = text;
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  }

  // The number is the field; the slider is for the mouse and out of the way of everything else.
  #numberField(row) {
    const {name} = row;
    const number = element('input', {
      id: name, name, inputmode: row.step === 1 ? 'numeric' : 'decimal', type: 'number',
      min: row.min, max: row.max, step: row.step === 1 ? 1 : 'any',
      'aria-describedby': `${name}-hint ${name}-error`,
    });
    const slider = element('input', {
      type: 'range', min: row.min, max: row.slide ?? row.max, step: row.step, tabindex: '-1', 'aria-hidden': 'true',
    });
    this.#fields[name] = {number, slider};
    number.addEventListener('input', () => {
      const value = accepted(row, number.value);
      this.#fault(number, `${name}-error`,
          value === null ? `${row.step === 1 ? 'A whole number' : 'A number'} from ${row.min} to ${row.max}` : '');
      if (value === null) return;
      this.#slide(slider, value);
      this.#set(name, value);
    });
    slider.addEventListener('input', () => {
      number.value = slider.value;
      number.dispatchEvent(new Event('input'));
    });
    return element('div', {class: 'field number'},
        element('label', {for: name}, row.label), number, slider,
        element('p', {class: 'error', id: `${name}-error`}),
        element('p', {class: 'hint', id: `${name}-hint`}, row.hint));
  }
}
