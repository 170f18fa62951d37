// What screen readers are told while text streams: whole sentences, in order, a few at a time. The log itself is no
// live region, or every token would be an event.

import {byId} from './dom.js';

const KEPT = 12;
const GAP = 1500;  // ms between two announcements of one answer

export function announce(text) {
  const live = byId('live');
  const line = document.createElement('div');
  line.textContent = text;
  live.append(line);
  while (live.childElementCount > KEPT) live.firstElementChild.remove();
}

/** Announces a growing text in sentences. */
export class SentenceAnnouncer {
  #said = 0;
  #last = 0;

  /** `text` is all there is so far. */
  update(text, now) {
    if (now - this.#last < GAP) return;
    const ends = [...text.slice(this.#said).matchAll(/[.!?:;\u2026\u3002]["')\]]?\s|\n/g)];
    if (ends.length === 0) return;
    const last = ends.at(-1);
    this.#say(text, this.#said + last.index + last[0].length);
    this.#last = now;
  }

  finish(text) {
    this.#say(text, text.length);
  }

  #say(text, end) {
    const sentences = text.slice(this.#said, end).replace(/[`*#]+/g, '').trim();
    this.#said = end;
    if (sentences) announce(sentences);
  }
}
