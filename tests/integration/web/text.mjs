// The text of the model on its way to the page.

import assert from 'node:assert/strict';

import {END, answers, ask, check, events, fulfilChat, piece} from './support.mjs';

check('text of the model is text', async (page) => {
  const text = '<img src=x onerror="document.title=1"> <script>1</scr' + 'ipt> **<b>bold</b>** `<i>`\n\n```<u>\n<u>\n```';
  await fulfilChat(page, events(piece(text), END));
  await ask(page, '<img src=y>');
  assert.equal(await page.locator('article').locator('img, script, b, i, u').count(), 0);
  assert.ok((await answers(page).locator('.content').textContent()).includes('<img src=x onerror="document.title=1">'));
  assert.equal(await answers(page).locator('strong').textContent(), '<b>bold</b>');
});

check('Markdown becomes nodes, and halves of it stay text', async (page) => {
  const rendered = (text) => page.evaluate(async (source) => {
    const {renderMarkdown} = await import(new URL('web/markdown.js', location.href));
    const box = document.createElement('div');
    for (let end = 0; end <= source.length; end++) renderMarkdown(box, source.slice(0, end));  // as it streams
    for (const node of box.querySelectorAll('.code-head')) node.remove();
    for (const node of box.querySelectorAll('*')) for (const name of node.getAttributeNames()) {
      if (name !== 'start') node.removeAttribute(name);
    }
    return box.innerHTML;
  }, text);
  for (const [source, html] of [
    [' one\ntwo\n\nthree', '<p>one\ntwo</p><p>three</p>'],
    ['a **b `c`** d `` e`f `` *g*', '<p>a <strong>b <code>c</code></strong> d <code>e`f</code> *g*</p>'],
    ['a ** b ** c `d', '<p>a ** b ** c `d</p>'],
    ['# Title #\ntext', '<p><strong>Title</strong></p><p>text</p>'],
    ['- a\n- b\n  1. c\n  2. d\n- e\nf', '<ul><li>a</li><li>b<ol><li>c</li><li>d</li></ol></li><li>e</li></ul><p>f</p>'],
    ['3. a\n\n4. b\n   more', '<ol start="3"><li>a</li><li>b\nmore</li></ol>'],
    ['x\n```js\nif (a < b) {\n\n}\n```\ny', '<p>x</p><div><pre><code>if (a &lt; b) {\n\n}</code></pre></div><p>y</p>'],
    ['~~~\n```\n~~~', '<div><pre><code>```</code></pre></div>'],
    ['```\nopen', '<div><pre><code>open</code></pre></div>'],
    ['2024. A year\n* * x', '<ol start="2024"><li>A year</li></ol><ul><li>* x</li></ul>'],
  ]) assert.equal(await rendered(source), source === '2024. A year\n* * x' ? `<div>${html}</div>` : html, source);
});

check('odd text takes no odd time', async (page) => {
  const took = await page.evaluate(async () => {
    const {renderMarkdown} = await import(new URL('web/markdown.js', location.href));
    const sources = ['**a '.repeat(20000), '`'.repeat(50000), '` `` ``` '.repeat(8000), '- '.repeat(30000),
                     Array.from({length: 3000}, (_, i) => `${' '.repeat(i)}- x`).join('\n'), '# '.repeat(30000)];
    const box = document.createElement('div');
    for (const source of sources) renderMarkdown(box, source);
    return box.childNodes.length;
  });
  assert.ok(took > 0);
});

check('events are cut anywhere and end their lines in any way', async (page) => {
  const read = await page.evaluate(async () => {
    const {EventReader} = await import(new URL('web/api.js', location.href));
    const results = [];
    for (const end of ['\n', '\r\n']) {
      const stream = [': hello', 'data: one', '', 'event: x', 'data:two', 'data: three', '', '', 'data: four', ''].join(end) + end;
      for (let cut = 0; cut <= stream.length; cut++) {
        const reader = new EventReader();
        results.push(JSON.stringify([...reader.push(stream.slice(0, cut)), ...reader.push(stream.slice(cut))]));
      }
    }
    return [...new Set(results)];
  });
  assert.deepEqual(read, ['["one","two\\nthree","four"]']);
});
