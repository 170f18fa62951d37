// Asking, stopping, asking again, keeping.

import assert from 'node:assert/strict';

import {ENDLESS, ENDLESS_HASH, STORY, answers, ask, button, chatBodies, check, directAnswer, field,
        finished, stored} from './support.mjs';

check('an answer streams in, whole and unchanged', async (page) => {
  const bodies = chatBodies(page);
  await page.locator('#model', {hasText: /./}).waitFor();
  await page.evaluate(() => {
    window.lengths = new Set();
    new MutationObserver(() => {
      const text = document.querySelector('article.answer.streaming .content')?.textContent;
      if (text) window.lengths.add(text.length);
    }).observe(document.getElementById('messages'), {childList: true, subtree: true, characterData: true});
  });
  await ask(page, STORY);
  const [question, answer] = await stored(page);
  const lengths = await page.evaluate(() => [...window.lengths]);
  assert.ok(lengths.some((length) => length < answer.content.length), 'no part was seen before the whole');
  assert.deepEqual(question, {role: 'user', content: STORY});
  assert.equal(answer.content, await directAnswer(bodies[0]));
  const bare = (text) => text.replace(/\s+/g, '');  // paragraphs stand for the lines between them
  assert.equal(bare(await answers(page).locator('.content').textContent()), bare(answer.content));
  assert.match(await answers(page).locator('.facts').textContent(), /\d+ tokens · [\d.]+ tokens\/s · first after/);
  const {messages, seed, model, stream, ...rest} = bodies[0];
  assert.deepEqual(messages, [{role: 'user', content: STORY}]);
  assert.ok(Number.isInteger(seed) && seed >= 0 && stream === true && model.length > 0);
  assert.deepEqual(rest, {temperature: 0.8, top_p: 0.95, top_k: 40, min_p: 0.05, max_tokens: 512,
                          stream_options: {include_usage: true}});
  await ask(page, 'And then?', 2);
  assert.deepEqual(bodies[1].messages.map((m) => m.role), ['user', 'assistant', 'user']);
  assert.equal(bodies[1].messages[1].content, answer.content);
});

check('stop keeps what came, and the server is rid of the request', async (page) => {
  for (const stop of [() => button(page, 'Stop').click(), () => page.keyboard.press('Escape')]) {
    const before = await answers(page).count();
    await field(page).fill(ENDLESS);
    await field(page).press('Enter');
    await page.waitForFunction((n) => document.querySelectorAll('article.answer .content')[n]?.textContent.length > 20, before);
    const over = page.waitForEvent('requestfailed');
    await stop();
    assert.ok((await over).url().endsWith('/v1/chat/completions'));
    await finished(page, before + 1);
    const text = (await stored(page)).at(-1).content;
    assert.ok(text.length > 20);
    assert.match(await answers(page).last().locator('.facts').textContent(), /stopped/);
    assert.equal(await field(page).evaluate((node) => node === document.activeElement), true);
  }
}, {hash: ENDLESS_HASH});

check('regenerate: a new seed each time, or the same text with a kept one', async (page) => {
  const bodies = chatBodies(page);
  await ask(page, STORY);
  await button(page, 'Regenerate answer').click();
  await finished(page);
  assert.equal(await page.locator('article').count(), 2);
  assert.notEqual(bodies[0].seed, bodies[1].seed);
  assert.deepEqual(bodies[0].messages, bodies[1].messages);
  const first = (await stored(page))[1].content;
  await page.getByRole('button', {name: `Seed ${bodies[1].seed}`}).click();
  assert.equal(await page.getByLabel('Seed', {exact: true}).inputValue(), String(bodies[1].seed));
  await button(page, 'Regenerate answer').click();
  await finished(page);
  assert.equal(bodies[2].seed, bodies[1].seed);
  assert.equal((await stored(page))[1].content, first);
  assert.match(await page.locator('#notice').textContent(), /seed is fixed/);
});

check('edit asks again from there; Escape leaves all as it was', async (page) => {
  const bodies = chatBodies(page);
  await ask(page, STORY);
  await ask(page, 'And then?', 2);
  await button(page, 'Edit message').first().click();
  const area = page.getByRole('textbox', {name: 'Edit message'});
  await area.press('Escape');
  assert.equal(await page.locator('article').count(), 4);
  assert.equal(await button(page, 'Edit message').first().evaluate((node) => node === document.activeElement), true);
  await page.keyboard.press('Enter');
  await area.fill('Another story, please.');
  await area.press('Enter');
  await finished(page);
  assert.equal(await page.locator('article').count(), 2);
  assert.deepEqual(bodies[2].messages, [{role: 'user', content: 'Another story, please.'}]);
});

check('the conversation outlives the page until it is cleared', async (page) => {
  await ask(page, STORY);
  const before = await stored(page);
  await page.reload();
  await finished(page);
  assert.deepEqual(await stored(page), before);
  assert.equal(await answers(page).locator('.content').count(), 1);
  page.once('dialog', (dialog) => dialog.accept());
  await button(page, 'Clear').click();
  await page.locator('#welcome').waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('tern.conversation')), null);
  await button(page, STORY.replace('a bird.', 'a bird that learns to fly.')).click();
  await finished(page);
});

check('a page closed in mid answer says so afterwards', async (page) => {
  await field(page).fill(ENDLESS);
  await field(page).press('Enter');
  await page.waitForFunction(() => document.querySelector('article.answer .content')?.textContent.length > 20);
  await page.reload();
  await finished(page);
  assert.ok((await answers(page).locator('.content').textContent()).length > 20);
  assert.match(await answers(page).locator('.problem').textContent(), /closed before/);
}, {hash: ENDLESS_HASH});

check('damaged storage is no obstacle', async (page) => {
  await page.evaluate(() => localStorage.setItem('tern.conversation', '{"messages": [7, {"role": "x"}, null'));
  await page.reload();
  await ask(page, STORY);
  await page.evaluate(() => localStorage.setItem('tern.conversation', '{"messages": [7, {"role": "x"}, null]}'));
  await page.reload();
  await page.locator('#welcome').waitFor();
});
