// Lines over time, as SVG. A plot is a figure: title and legend in text, lines with axes, and a cursor for pointer
// and arrow keys whose values the legend shows and screen readers hear.

import {element, svg} from './dom.js';

const GAP = 5000;  // ms; lines don't bridge a longer pause
const TIDY = [1, 2, 2.5, 5, 10];
const MARGIN = {top: 10, right: 12, bottom: 24, left: 56};

function rounded(v) {
  return v >= 100 ? v.toFixed(0) : String(Math.round(v * 10) / 10);
}

function short(v) {
  return v >= 10000 ? `${rounded(v / 1000)}k` : rounded(v);
}

export const format = {
  count: short,  // ticks are whole numbers
  rate: short,
  share: (v) => `${Math.round(v * 1000) / 10}%`,
  seconds: (v) => (v === 0 ? '0' : v >= 1 ? `${Number(v.toPrecision(3))} s` : `${Number((v * 1000).toPrecision(3))} ms`),
};

export function shown(value, how) {
  return value === null ? '\u2013' : format[how](value);
}

/** Round steps from 0 up to at least `max`: [0, step, ...]. */
export function ticksTo(max, whole) {
  const rough = max / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = power * TIDY.find((tidy) => tidy * power >= rough * 0.999);
  if (whole) step = Math.max(1, Math.ceil(step));
  const ticks = [0];
  while (ticks.at(-1) < max * 0.999) ticks.push(ticks.length * step);
  return ticks;
}

/** The lowest, mean and highest of the values that are there; null without any. */
export function statistics(values) {
  const there = values.filter((value) => value !== null);
  if (there.length === 0) return null;
  return {
    lowest: there.reduce((a, b) => Math.min(a, b)),
    mean: there.reduce((a, b) => a + b) / there.length,
    highest: there.reduce((a, b) => Math.max(a, b)),
  };
}

function agoText(ms) {
  const s = Math.round(ms / 1000);
  if (s === 0) return 'now';
  return s % 60 === 0 ? `${s / 60} min ago` : `${s} s ago`;
}

export class Plot {
  #samples = [];
  #now = 0;
  #span = 1;
  #cursor = null;  // a time

  /** options: {key, title, how, series: [label, ...], least: lowest top of the axis, most?, hero?} */
  constructor(options) {
    this.options = options;
    this.svg = svg('svg', {role: 'img', class: 'lines'});
    this.frame = element('div', {
      class: 'frame', role: 'slider', tabindex: '0', 'aria-label': `${options.title}: time`,
      'aria-valuemin': '0', 'aria-valuemax': '0', 'aria-valuenow': '0',
      keydown: (event) => this.#key(event),
      blur: () => this.#point(null),
      pointermove: (event) => this.#pointer(event),
      pointerleave: () => this.#point(null),
    }, this.svg);
    this.values = options.series.map(() => element('b', {}, shown(null)));
    this.when = element('span', {class: 'when'});
    this.node = element('figure', {class: options.hero ? 'plot hero' : 'plot'},
        element('figcaption', {},
            element('h3', {}, options.title), this.when,
            element('ul', {class: 'legend'}, ...options.series.map((label, i) => element('li', {},
                svg('svg', {class: 'swatch', viewBox: '0 0 22 8', 'aria-hidden': 'true'},
                    svg('path', {class: `line s${i}`, d: 'M1 4H21'})),
                `${label} `, this.values[i])))),
        this.frame);
    new ResizeObserver(() => this.#draw()).observe(this.frame);
  }

  /** The samples of the last `span` ms before `now`. */
  update(samples, now, span) {
    this.#samples = samples.map(({time, values}) => ({time, values: values[this.options.key]}));
    this.#now = now;
    this.#span = span;
    this.#draw();
  }

  #series(i) {
    return this.#samples.map(({values}) => values[i]);
  }

  #draw() {
    const width = this.frame.clientWidth;
    const height = this.frame.clientHeight;
    if (width === 0 || height === 0) return;
    const {series, how, least, most} = this.options;
    const all = series.flatMap((_, i) => this.#series(i)).filter((value) => value !== null);
    const top = most ?? Math.max(least, ...all);
    const ticks = ticksTo(top, how === 'count');
    const inner = {width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom};
    this.x = (time) => MARGIN.left + inner.width * (1 - (this.#now - time) / this.#span);
    const y = (value) => MARGIN.top + inner.height * (1 - value / ticks.at(-1));
    const grid = ticks.map((tick) => svg('g', {class: 'tick'},
        svg('line', {x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick)}),
        svg('text', {x: MARGIN.left - 8, y: y(tick) + 4, 'text-anchor': 'end'}, format[how](tick))));
    const times = [0, 0.5, 1].map((part) => svg('text', {
      class: 'time', x: MARGIN.left + inner.width * part, y: height - 6,
      'text-anchor': ['start', 'middle', 'end'][part * 2],
    }, agoText(this.#span * (1 - part))));
    const floor = y(0);
    const lines = series.map((_, i) => svg('path', {class: `line s${i}`, d: this.#path(i, y)}));
    const area = series.length === 1 ? [svg('path', {class: 'area s0', d: this.#path(0, y, floor)})] : [];
    this.mark = svg('line', {class: 'cursor', y1: MARGIN.top, y2: floor});
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.svg.replaceChildren(...grid, ...times, ...area, ...lines.reverse(), this.mark);
    this.svg.setAttribute('aria-label', this.#summary());
    this.#showCursor();
  }

  /** With a floor, the area down to it. */
  #path(i, y, floor = null) {
    const close = (x) => (floor === null ? '' : `L${x} ${floor}Z`);
    let path = '';
    let last = null;
    for (const {time, values} of this.#samples) {
      if (values[i] === null || (last && time - last.time > GAP)) {
        if (last) path += close(last.x);
        last = null;
      }
      if (values[i] === null) continue;
      const x = this.x(time).toFixed(1);
      const at = `${x} ${y(values[i]).toFixed(1)}`;
      if (!last) path += floor === null ? `M${at}` : `M${x} ${floor}`;
      path += `L${at}`;
      last = {time, x};
    }
    return path + (last ? close(last.x) : '');
  }

  #summary() {
    const {title, series, how} = this.options;
    const parts = series.map((label, i) => {
      const values = this.#series(i);
      const {lowest, highest} = statistics(values) ?? {};
      if (lowest === undefined) return `${label}: no values`;
      return `${label}: now ${shown(values.at(-1), how)}, lowest ${format[how](lowest)}, highest ${format[how](highest)}`;
    });
    return `${title}, the last ${this.#span / 60000} minutes. ${parts.join('. ')}.`;
  }

  #key(event) {
    const last = this.#samples.length - 1;
    const steps = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10,
                   Home: -Infinity, End: Infinity};
    if (event.key === 'Escape') this.#point(null);
    if (last < 0 || !(event.key in steps)) return;
    event.preventDefault();
    const to = (this.#index() ?? last) + steps[event.key];
    this.#point(this.#samples[Math.max(0, Math.min(last, to))].time);
  }

  #pointer(event) {
    if (!this.x) return;
    const x = event.clientX - this.frame.getBoundingClientRect().left;
    let best = null;
    for (const {time} of this.#samples) {
      if (best === null || Math.abs(this.x(time) - x) < Math.abs(this.x(best) - x)) best = time;
    }
    this.#point(best);
  }

  #index() {
    const index = this.#samples.findIndex(({time}) => time === this.#cursor);
    return index < 0 ? null : index;
  }

  #point(time) {
    this.#cursor = time;
    if (this.mark) this.#showCursor();
  }

  #showCursor() {
    const last = this.#samples.length - 1;
    const at = this.#index();
    const sample = this.#samples[at ?? last];
    const {series, how} = this.options;
    const texts = series.map((_, i) => shown(sample?.values[i] ?? null, how));
    texts.forEach((text, i) => (this.values[i].textContent = text));
    const when = at === null ? '' : new Date(sample.time).toLocaleTimeString();
    this.when.textContent = when;
    this.mark.setAttribute('visibility', at === null ? 'hidden' : 'visible');
    if (at !== null) for (const end of ['x1', 'x2']) this.mark.setAttribute(end, this.x(sample.time));
    this.frame.setAttribute('aria-valuemax', Math.max(0, last));
    this.frame.setAttribute('aria-valuenow', Math.max(0, at ?? last));
    this.frame.setAttribute('aria-valuetext',
        `${when || 'now'}: ${series.map((label, i) => `${label} ${texts[i]}`).join(', ')}`);
  }
}
