// The dashboard: looks at /metrics each second while it is seen, and draws what it saw.

import {ApiProblem, getText} from './api.js';
import {byId, element} from './dom.js';
import {sampleOf, snapshot} from './metrics.js';
import {Plot, shown, statistics} from './plot.js';

const PERIOD = 1000;          // ms
const KEPT = 30 * 60 * 1000;  // ms of samples

const OPERATIONS = {decode: 'Writing answers', prefill: 'Reading prompts'};

const PLOTS = [
  {key: 'generated', title: 'Generated tokens per second', how: 'rate', series: ['all requests'], least: 10, hero: true},
  {key: 'ttft', title: 'Time to first token', how: 'seconds', series: ['median', '95%', '99%'], least: 0.01},
  {key: 'between', title: 'Time between tokens', how: 'seconds', series: ['median', '95%', '99%'], least: 0.01},
  {key: 'requests', title: 'Requests', how: 'count', series: ['running', 'waiting'], least: 4},
  {key: 'rows', title: 'Batch rows', how: 'count', series: ['last pass'], least: 4},
  {key: 'cache', title: 'KV cache', how: 'share', series: ['in use', 'kept for reuse'], least: 1, most: 1},
  {key: 'prompt', title: 'Prompt tokens per second', how: 'rate', series: ['all requests'], least: 10},
];

const TILES = [
  {label: 'Tokens per second', of: (s, v) => shown(v.generated[0], 'rate'),
   more: (s, v) => (v.prompt[0] === null ? '' : `${shown(v.prompt[0], 'rate')} of prompts`)},
  {label: 'Requests running', of: (s) => shown(s.running, 'count'),
   more: (s) => (s.waiting === null ? '' : `${shown(s.waiting, 'count')} waiting`)},
  {label: 'Batch rows', of: (s) => shown(s.rows, 'count'), more: () => 'in the last pass'},
  {label: 'KV cache in use', of: (s, v) => shown(v.cache[0], 'share'),
   more: (s) => (s.blocks === null ? '' : `${shown(s.used, 'count')} of ${shown(s.blocks, 'count')} blocks`)},
  {label: 'First token', of: (s) => shown(s.ttft[0], 'seconds'),
   more: (s) => (s.ttft[2] === null ? '' : `median; 99%: ${shown(s.ttft[2], 'seconds')}`)},
  {label: 'Between tokens', of: (s) => shown(s.between[0], 'seconds'),
   more: (s) => (s.between[2] === null ? '' : `median; 99%: ${shown(s.between[2], 'seconds')}`)},
  {label: 'Tokens generated', of: (s) => shown(s.generated, 'count'),
   more: (s) => (s.prompt === null ? '' : `${shown(s.prompt, 'count')} of prompts`)},
  {label: 'Requests finished',
   of: (s) => shown(s.results.length > 0 ? s.results.reduce((sum, r) => sum + (r.count ?? 0), 0) : null, 'count'),
   more: (s) => s.results.filter((r) => r.count > 0).map((r) => `${shown(r.count, 'count')} ${r.result}`).join(', ')},
];

export class Dashboard {
  #samples = [];
  #last = null;
  #timer = 0;
  #seen = false;
  #paused = false;
  #polling = false;
  #polled = -PERIOD;  // when

  /** key() is the API key, or ''. */
  constructor(key) {
    this.key = key;
    this.plots = PLOTS.map((options) => new Plot(options));
    byId('plots').append(...this.plots.map((plot) => plot.node));
    this.tiles = TILES.map((tile) => {
      const value = element('dd', {class: 'value'}, shown(null));
      const more = element('dd', {class: 'more'});
      byId('tiles').append(element('div', {class: 'tile'}, element('dt', {}, tile.label), value, more));
      return {...tile, value, more, moreOf: tile.more ?? (() => '')};
    });
    this.numbers = PLOTS.flatMap(({key: plot, title, how, series}) => series.map((label, i) => {
      const cells = [1, 2, 3, 4].map(() => element('td', {}, shown(null)));
      byId('numbers').append(element('tr', {}, element('th', {scope: 'row'}, `${title}, ${label}`), ...cells));
      return {plot, i, how, cells};
    }));
    byId('pause').addEventListener('click', () => {
      this.#paused = !this.#paused;
      byId('pause').setAttribute('aria-pressed', String(this.#paused));
      this.#schedule();
    });
    byId('span').addEventListener('change', () => this.#draw());
    document.addEventListener('visibilitychange', () => this.#schedule());
  }

  /** Whether the view is shown; only then is the server asked. */
  see(seen) {
    this.#seen = seen;
    this.#schedule();
    if (seen) this.#draw();
  }

  // Never sooner than a period after the last time: a rate over an instant is noise.
  #schedule() {
    clearTimeout(this.#timer);
    if (!this.#seen || this.#paused || document.hidden || this.#polling) return;
    this.#timer = setTimeout(() => this.#poll(), Math.max(0, this.#polled + PERIOD - performance.now()));
  }

  async #poll() {
    this.#polled = performance.now();
    this.#polling = true;
    try {
      const text = await getText('metrics', {key: this.key()});
      this.#take(snapshot(text, Date.now()));
      this.#problem('');
    } catch (error) {
      const missing = error instanceof ApiProblem && error.status === 404;
      this.#problem(missing ? 'This server publishes no /metrics.' : error instanceof ApiProblem ? error.message :
                    'The server takes too long to answer.');
    }
    this.#polling = false;
    this.#draw();
    this.#schedule();
  }

  #take(look) {
    const sample = sampleOf(this.#last, look);
    this.#last = look;
    this.#samples.push(sample);
    const first = this.#samples.findIndex(({time}) => time >= look.time - KEPT);
    this.#samples.splice(0, Math.max(0, first));
    for (const tile of this.tiles) {
      tile.value.textContent = tile.of(look, sample.values);
      tile.more.textContent = tile.moreOf(look, sample.values);
    }
    this.#alert(look);
    byId('updated').textContent = `as of ${new Date(look.time).toLocaleTimeString()}`;
  }

  // What is slower than usual; said once, not at each look.
  #alert({alerts, tolerance}) {
    const banner = byId('alert');
    const lines = alerts.map(({operation}) => `${OPERATIONS[operation] ?? operation} is slower than usual`);
    const details = alerts.map(({ratio}) => (ratio === null ? '' : `${ratio.toFixed(2)} times the usual time`));
    const allowed = tolerance === null ? '' : `, ${Math.round(tolerance * 100)}% more is allowed`;
    banner.hidden = alerts.length === 0;
    const said = lines.join('. ');
    if (byId('alert-text').textContent !== said) byId('alert-text').textContent = said;
    byId('alert-more').textContent = alerts.length === 0 ? '' : details.filter((text) => text !== '').join('; ') + allowed;
  }

  #problem(text) {
    const line = byId('dashboard-problem');
    line.hidden = text === '';
    if (line.textContent !== text) line.textContent = text;
  }

  #draw() {
    if (!this.#seen) return;
    const now = Date.now();
    const span = Number(byId('span').value) * 1000;
    const samples = this.#samples.filter(({time}) => time >= now - span);
    for (const plot of this.plots) plot.update(samples, now, span);
    for (const {plot, i, how, cells} of this.numbers) {
      const values = samples.map((sample) => sample.values[plot][i]);
      const {lowest = null, mean = null, highest = null} = statistics(values) ?? {};
      [values.at(-1) ?? null, lowest, mean, highest].forEach(
          (value, column) => (cells[column].textContent = shown(value, how)));
    }
  }
}
