// The conversation: asks, streams, stops, asks again, and keeps itself in this browser.

import {announce, SentenceAnnouncer} from './announcer.js';
import {ApiProblem, streamChat} from './api.js';
import {byId, store} from './dom.js';
import {MessageView} from './messages.js';
import {randomSeed} from './settings.js';

const KEY = 'tern.conversation';

/** The stored messages; anything that isn't one is left out. */
function loadMessages() {
  let stored = null;
  try {
    stored = JSON.parse(store.get(KEY) ?? 'null');
  } catch {
    // Not ours: start empty.
  }
  const list = Array.isArray(stored?.messages) ? stored.messages : [];
  const fine = (m) => ['user', 'assistant'].includes(m?.role) && typeof m.content === 'string';
  const messages = list.filter(fine);
  if (messages.at(-1)?.role === 'user') messages.push({role: 'assistant', content: ''});
  const last = messages.at(-1);
  if (last && !last.facts?.end) last.problem ??= 'The page was closed before the answer was complete.';
  return messages;
}

export class Chat {
  #views = [];
  #abort = null;
  #following = true;
  #leaving = false;

  /** model() is the name to send, or null. */
  constructor(settings, model) {
    this.settings = settings;
    this.model = model;
    this.input = byId('message');
    this.log = byId('log');
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.input.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.input.addEventListener('input', () => this.#fitInput());
    byId('chat').addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !event.defaultPrevented && this.busy) this.stop();
    });
    byId('stop').addEventListener('click', () => this.stop());
    byId('clear').addEventListener('click', () => this.clear());
    byId('jump').addEventListener('click', () => {
      this.#follow();
      this.input.focus();
    });
    this.log.addEventListener('scroll', () => {
      this.#following = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
      byId('jump').hidden = this.#following;
    });
    for (const starter of byId('welcome').querySelectorAll('button')) {
      starter.addEventListener('click', () => this.ask(starter.textContent));
    }
    for (const message of loadMessages()) this.#add(message);
    addEventListener('pagehide', () => {
      if (!this.busy) return;
      this.#save();
      this.#leaving = true;  // what breaks now is no news
    });
    addEventListener('pageshow', () => this.#leaving && location.reload());
    this.#showState();
    this.#follow();
  }

  get busy() {
    return this.#abort !== null;
  }

  get messages() {
    return this.#views.map((view) => view.message);
  }

  /** Puts text into the field without sending it. */
  draft(text) {
    this.input.value = text;
    this.#fitInput();
  }

  ask(text) {
    this.#add({role: 'user', content: text});
    this.#answer();
  }

  stop() {
    this.#abort?.abort();
  }

  clear() {
    if (this.#views.length === 0) return;
    if (!confirm('Remove this conversation from this browser?')) return;
    this.stop();
    this.#truncate(0);
    this.#save();
    this.#showState();
    announce('The conversation is removed.');
    this.input.focus();
  }

  #submit() {
    const text = this.input.value.trim();
    if (text === '') return;
    if (this.busy) {
      this.#notice('An answer is still coming: stop it first.');
      return;
    }
    this.draft('');
    this.ask(text);
  }

  #notice(text) {
    byId('notice').textContent = text;
    this.log.closest('.talk').classList.toggle('noticed', text !== '');
  }

  #add(message) {
    const view = new MessageView(message, this.#views.length + 1, {
      edit: (edited, text) => {
        this.#truncate(this.#views.indexOf(edited));
        this.ask(text);
        this.input.focus();
      },
      regenerate: (answer) => this.#regenerate(answer),
      share: (answer, button) => this.#share(answer, button),
      pinSeed: (seed) => {
        this.settings.pinSeed(seed);
        announce(`Seed ${seed} is kept for the next answers.`);
        this.#notice(`Seed ${seed} is kept for the next answers.`);
      },
    });
    this.#views.push(view);
    byId('messages').append(view.node);
    return view;
  }

  #truncate(length) {
    for (const view of this.#views.splice(length)) view.node.remove();
  }

  #regenerate(answer) {
    if (this.busy) return;
    const same = this.settings.seed() !== null && answer.message.facts?.seed === this.settings.seed();
    this.#truncate(this.#views.indexOf(answer));
    this.#answer();
    this.input.focus();
    if (same) this.#notice('The seed is fixed: the same settings give the same answer.');
  }

  // A link can reproduce an answer to the first message: it then holds that message, too.
  #share(answer, button) {
    const params = this.settings.toParams(answer.message.facts.seed);
    if (this.#views.indexOf(answer) === 1) params.set('prompt', this.#views[0].message.content);
    this.settings.copyLink(button, params);
  }

  #request(seed) {
    const system = this.settings.system().trim();
    const messages = this.messages.filter(({content}) => content !== '')
                         .map(({role, content}) => ({role, content}));
    if (system) messages.unshift({role: 'system', content: system});
    const model = this.model();
    return {...(model ? {model} : {}), messages, ...this.settings.numbers(), seed};
  }

  /** Asks for the answer to the conversation so far, and shows it as it comes. */
  async #answer() {
    const seed = this.settings.seed() ?? randomSeed();
    const body = this.#request(seed);
    const message = {role: 'assistant', content: '', facts: {seed}};
    const abort = this.#abort = new AbortController();
    const view = this.#add(message);
    const speaker = new SentenceAnnouncer();
    const begun = performance.now();
    let frame = 0;
    const draw = () => {
      frame = 0;
      view.update(true);
      if (this.#following) this.#follow();
      if (this.settings.announceAnswers()) speaker.update(message.content, performance.now());
    };
    view.update(true);
    this.#notice('');
    this.#showState();
    this.#follow();
    this.#save();
    announce('The answer is on its way.');
    try {
      let chunks = 0;
      let first = 0;
      let last = 0;
      for await (const chunk of streamChat(body, {key: this.settings.key(), signal: abort.signal})) {
        const choice = chunk.choices?.[0];
        if (choice?.delta?.content) {
          chunks++;
          last = performance.now();
          first ||= last;
          message.content += choice.delta.content;
          frame ||= requestAnimationFrame(draw);
        }
        if (choice?.finish_reason) message.facts.end = choice.finish_reason;
        if (first) message.facts.firstToken ??= (first - begun) / 1000;
        this.#count(message.facts, chunk, chunks, (last - first) / 1000);
      }
      message.facts.end ??= 'stop';
    } catch (error) {
      if (abort.signal.aborted) message.facts.end = 'stopped';
      else if (error instanceof ApiProblem) message.problem = error.message;
      else throw error;
    } finally {
      cancelAnimationFrame(frame);
      if (this.#abort === abort) this.#abort = null;
      if (this.#views.includes(view) && !this.#leaving) this.#finish(view, speaker);
    }
  }

  // One chunk is about one token; the server's own figures, which come at the end, are better.
  #count(facts, {usage, timings}, chunks, elapsed) {
    facts.tokens = usage?.completion_tokens ?? (usage || facts.prompt ? facts.tokens : chunks);
    facts.prompt = usage?.prompt_tokens ?? facts.prompt;
    facts.cached = usage?.prompt_tokens_details?.cached_tokens ?? facts.cached;
    if (timings?.predicted_per_second) facts.serverRate = timings.predicted_per_second;
    facts.rate = facts.serverRate ?? (chunks > 1 && elapsed > 0 ? (chunks - 1) / elapsed : undefined);
  }

  #finish(view, speaker) {
    const {message} = view;
    view.update(false);
    if (this.settings.announceAnswers()) speaker.finish(message.content);
    if (message.facts.end === 'stopped') announce('The answer is stopped.');
    else if (!message.problem) announce('The answer is complete.');
    this.#save();
    this.#showState();
    if (this.#following) this.#follow();
  }

  #save() {
    const kept = store.set(KEY, this.#views.length === 0 ? null : JSON.stringify({messages: this.messages}));
    if (!kept) this.#notice('This browser has no room to keep the conversation.');
  }

  #showState() {
    const focusWasOn = document.activeElement;
    byId('welcome').hidden = this.#views.length > 0;
    byId('clear').hidden = this.#views.length === 0;
    byId('stop').hidden = !this.busy;
    byId('send').hidden = this.busy;
    this.log.setAttribute('aria-busy', String(this.busy));
    if (focusWasOn?.closest?.('[hidden]')) this.input.focus();
  }

  #follow() {
    this.log.scrollTop = this.log.scrollHeight;
    this.#following = true;
    byId('jump').hidden = true;
  }

  #fitInput() {
    this.input.style.height = 'auto';
    this.input.style.height = `${this.input.scrollHeight}px`;
  }
}
