// One message of the conversation on the page.

import {announce} from './announcer.js';
import {copyText, element} from './dom.js';
import {renderMarkdown} from './markdown.js';

function seconds(value) {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}

const ENDS = {length: 'cut at the longest answer', stopped: 'stopped', content_filter: 'withheld'};

/** "118 tokens, 42.1 tokens/s, ..." for an answer's facts. */
export function factsLine(facts) {
  const parts = [];
  if (facts.tokens !== undefined) parts.push(`${facts.tokens} ${facts.tokens === 1 ? 'token' : 'tokens'}`);
  if (facts.rate) parts.push(`${facts.rate.toFixed(1)} tokens/s`);
  if (facts.firstToken !== undefined) parts.push(`first after ${seconds(facts.firstToken)}`);
  if (facts.cached) parts.push(`${facts.cached} of ${facts.prompt} prompt tokens cached`);
  if (ENDS[facts.end]) parts.push(ENDS[facts.end]);
  return parts.join(' \u00b7 ');
}

function textButton(label, name, action) {
  return element('button', {type: 'button', class: 'quiet', 'aria-label': name, click: action}, label);
}

/**
 * Builds an article for a message {role, content, facts?, problem?}. `actions` are called with the view:
 * edit, regenerate, share, pinSeed.
 */
export class MessageView {
  constructor(message, number, actions) {
    this.message = message;
    this.actions = actions;
    const user = message.role === 'user';
    this.content = element('div', {class: 'content'});
    this.problem = element('p', {class: 'problem', role: 'alert', hidden: true});
    this.facts = element('p', {class: 'facts'});
    this.buttons = element('div', {class: 'actions'});
    this.node = element('article', {class: `message ${user ? 'user' : 'answer'}`},
        element('h2', {class: 'sr'}, `${user ? 'You' : 'Answer'}, message ${number}`),
        this.content, this.problem, element('div', {class: 'foot'}, this.buttons, this.facts));
    this.update(false);
  }

  /** Shows what the message holds now. `streaming`: more is on its way; the buttons come later. */
  update(streaming) {
    const {role, content, problem, facts} = this.message;
    if (role === 'user') {
      this.content.textContent = content;
    } else {
      renderMarkdown(this.content, content);
    }
    this.node.classList.toggle('streaming', streaming);
    this.problem.hidden = !problem;
    if (this.problem.textContent !== (problem ?? '')) this.problem.textContent = problem ?? '';
    this.facts.textContent = streaming ? '' : factsLine(facts ?? {});
    if (streaming) this.buttons.replaceChildren();
    else if (this.buttons.childElementCount === 0) this.#addButtons();
  }

  #addButtons() {
    const {role, content, facts} = this.message;
    if (content) {
      const copy = textButton('Copy', role === 'user' ? 'Copy message' : 'Copy answer', async () => {
        const copied = await copyText(this.message.content);
        copy.textContent = copied ? 'Copied' : 'Not copied';
        announce(copied ? 'Copied.' : 'It could not be copied.');
        setTimeout(() => (copy.textContent = 'Copy'), 2000);
      });
      this.buttons.append(copy);
    }
    if (role === 'user') {
      this.buttons.append(textButton('Edit', 'Edit message', () => this.edit()));
      return;
    }
    this.buttons.append(textButton('Regenerate', 'Regenerate answer', () => this.actions.regenerate(this)));
    if (facts?.seed === undefined) return;
    const share = textButton('Share', 'Share a link to these settings and this seed',
        () => this.actions.share(this, share));
    this.buttons.append(share, textButton(`Seed ${facts.seed}`, `Seed ${facts.seed}: keep it for the next answers`,
        () => this.actions.pinSeed(facts.seed)));
  }

  /** The message becomes a field; saving it calls actions.edit(view, text). */
  edit() {
    const close = () => {
      form.remove();
      this.node.classList.remove('editing');
    };
    const area = element('textarea', {
      'aria-label': 'Edit message',
      rows: Math.min(10, this.message.content.split('\n').length + 1),
      keydown: (event) => {
        if (event.isComposing) return;
        if (event.key === 'Escape') {
          event.preventDefault();
          cancel();
        }
        if (event.key === 'Enter' && !event.shiftKey) {
          event.preventDefault();
          form.requestSubmit();
        }
      },
    });
    area.value = this.message.content;
    const cancel = () => {
      close();
      this.buttons.querySelector('[aria-label="Edit message"]')?.focus();
    };
    const form = element('form', {
      class: 'edit',
      submit: (event) => {
        event.preventDefault();
        const text = area.value.trim();
        if (text === '') return;
        close();
        this.actions.edit(this, text);
      },
    }, area, element('div', {class: 'row'},
        element('button', {type: 'submit', class: 'secondary'}, 'Save and ask again'),
        element('button', {type: 'button', class: 'quiet', click: cancel}, 'Cancel')));
    this.node.classList.add('editing');
    this.content.after(form);
    area.focus();
  }
}
