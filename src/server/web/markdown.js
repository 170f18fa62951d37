// A little Markdown, as DOM nodes: paragraphs, headings, lists, code blocks, `code`, **bold**. What else a model
// writes stays as it wrote it. Nothing here reads HTML.

import {copyText, element} from './dom.js';

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`\s]*)[^`]*$/;
const ITEM = /^( *)(?:([-*+])|(\d{1,9})[.)])(?: +(.*))?$/;
const HEADING = /^(#{1,6}) +(.*?)(?: +#*)?$/;
const MAX_DEPTH = 5;

/** Text to blocks: {kind: code|heading|list|paragraph, source, ...}. */
export function parseBlocks(text) {
  const lines = text.replace(/\r\n?/g, '\n').split('\n');
  const blocks = [];
  let i = 0;
  const add = (from, block) => blocks.push({...block, source: lines.slice(from, i).join('\n')});
  while (i < lines.length) {
    const from = i;
    const fence = FENCE.exec(lines[i]);
    if (lines[i].trim() === '') {
      i++;
    } else if (fence) {
      const code = [];
      const ends = (line) => {
        const mark = line.trim();
        return mark.length >= fence[1].length && mark === fence[1][0].repeat(mark.length);
      };
      for (i++; i < lines.length && !ends(lines[i]); i++) code.push(lines[i]);
      i++;
      add(from, {kind: 'code', language: fence[2], text: code.join('\n')});
    } else if (HEADING.test(lines[i])) {
      const text = HEADING.exec(lines[i++])[2];
      add(from, {kind: 'heading', text});
    } else if (ITEM.test(lines[i])) {
      const items = [];
      for (; i < lines.length; i++) {
        const item = ITEM.exec(lines[i]);
        if (item) {
          items.push({indent: item[1].length, number: item[3], text: item[4] ?? ''});
        } else if (/^ +\S/.test(lines[i])) {
          items.at(-1).text += `\n${lines[i].trim()}`;
        } else if (!(lines[i].trim() === '' && ITEM.test(lines[i + 1] ?? ''))) {
          break;
        }
      }
      add(from, {kind: 'list', items});
    } else {
      const text = [];
      while (i < lines.length && lines[i].trim() !== '' && !FENCE.test(lines[i]) && !HEADING.test(lines[i]) &&
             (i === from || !ITEM.test(lines[i]))) {
        text.push(lines[i++]);
      }
      add(from, {kind: 'paragraph', text: text.join('\n')});
    }
  }
  return blocks;
}

/** The nodes of a line of text: text, <code>, <strong>. */
export function inline(text, bold = true) {
  const nodes = [];
  const never = new Set();  // marks that don't come again: not looked for twice
  let plain = 0;
  let at = 0;
  const flush = (to) => {
    if (to > plain) nodes.push(document.createTextNode(text.slice(plain, to)));
  };
  const closing = (mark, from) => {
    if (never.has(mark)) return -1;
    for (let end = text.indexOf(mark, from); end >= 0; end = text.indexOf(mark, end)) {
      let run = end;
      while (text[run] === mark[0]) run++;
      if (run - end === mark.length || mark === '**') return end;
      end = run;
    }
    never.add(mark);
    return -1;
  };
  while (at < text.length) {
    const c = text[at];
    if (c !== '`' && c !== '*') {
      at++;
      continue;
    }
    let run = at;
    while (text[run] === c) run++;
    const mark = c === '`' ? text.slice(at, run) : '**';
    const usable = c === '`' || (bold && run - at === 2 && /\S/.test(text[run] ?? ' '));
    const end = usable ? closing(mark, run) : -1;
    if (end <= run) {
      at = run;
      continue;
    }
    flush(at);
    const inner = text.slice(run, end);
    nodes.push(c === '`' ? element('code', {}, inner.replace(/^ (.*[^ ].*) $/s, '$1')) :
                           element('strong', {}, ...inline(inner, false)));
    plain = at = end + mark.length;
  }
  flush(text.length);
  return nodes;
}

function listNode(items) {
  const root = element('div');
  const open = [];  // the lists that are open, outermost first: {indent, ordered, node}
  for (const item of items) {
    const ordered = item.number !== undefined;
    while (open.length > 1 && item.indent < open.at(-1).indent) open.pop();
    let top = open.at(-1);
    const deeper = top && item.indent >= top.indent + 2 && open.length < MAX_DEPTH;
    if (top && !deeper && top.ordered !== ordered) {
      open.pop();
      top = null;
    }
    if (!top || deeper) {
      const start = ordered && item.number !== '1' ? item.number : null;
      const node = element(ordered ? 'ol' : 'ul', {start});
      (open.at(-1)?.node.lastElementChild ?? root).append(node);
      top = {indent: item.indent, ordered, node};
      open.push(top);
    }
    top.node.append(element('li', {}, ...inline(item.text)));
  }
  return root.childNodes.length === 1 ? root.firstChild : root;
}

function codeNode(block) {
  const copy = element('button', {
    type: 'button',
    class: 'quiet',
    click: async () => {
      copy.textContent = await copyText(block.text) ? 'Copied' : 'Not copied';
      setTimeout(() => (copy.textContent = 'Copy code'), 2000);
    },
  }, 'Copy code');
  return element('div', {class: 'code'},
      element('div', {class: 'code-head'}, element('span', {}, block.language || 'text'), copy),
      element('pre', {tabindex: '0', role: 'region', 'aria-label': `Code, ${block.language || 'text'}`},
          element('code', {}, block.text)));
}

function blockNode(block) {
  switch (block.kind) {
    case 'code':
      return codeNode(block);
    case 'list':
      return listNode(block.items);
    case 'heading':
      return element('p', {class: 'heading'}, element('strong', {}, ...inline(block.text, false)));
    default:
      return element('p', {}, ...inline(block.text.trimStart()));  // models like to begin with a space
  }
}

const shown = new WeakMap();  // container -> sources of its children

/** Shows the text in the container. While text grows at its end, the nodes of finished blocks stay. */
export function renderMarkdown(container, text) {
  const blocks = parseBlocks(text);
  const before = shown.get(container) ?? [];
  let same = 0;
  while (same < before.length && same < blocks.length && before[same] === blocks[same].source) same++;
  while (container.childNodes.length > same) container.lastChild.remove();
  container.append(...blocks.slice(same).map(blockNode));
  shown.set(container, blocks.map((block) => block.source));
}
